// Lambda's Runtime API, version 2018-06-01, for a Node.js function: what AWS's nodejs runtimes do
// with a handler, without their native client.
import http from "node:http";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { existsSync } from "node:fs";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function call(method, where, body, headers = {}) {
  return new Promise((resolve, reject) => {
    const options = { host, port, agent, method, path: `/2018-06-01/runtime/${where}`, headers };
    const request = http.request(options, (answer) => {
      const chunks = [];
      answer.on("data", (chunk) => chunks.push(chunk));
      answer.on("end", () => resolve([answer, Buffer.concat(chunks).toString()]));
    });
    request.on("error", reject);
    request.end(body);
  });
}

function describe(error) {
  const trace = String(error?.stack ?? "").split("\n");
  return JSON.stringify({
    errorType: error?.name ?? "Error", errorMessage: String(error?.message ?? error), trace,
  });
}

async function load() {
  const [, module, name] = process.env._HANDLER.match(/^(.*)\.([^.]+)$/);
  const base = path.join(process.env.LAMBDA_TASK_ROOT, module);
  const file = [".mjs", ".cjs", ".js"].map((end) => base + end).find(existsSync);
  const loaded = await import(pathToFileURL(file));
  const handler = loaded[name] ?? loaded.default?.[name];
  if (typeof handler !== "function") {
    throw new TypeError(`${process.env._HANDLER} is not a function`);
  }
  return handler;
}

let handler;
try {
  handler = await load();
} catch (error) {
  await call("POST", "init/error", describe(error), {
    "Lambda-Runtime-Function-Error-Type": "Runtime.UserCodeError",
  });
  process.exit(1);
}
for (;;) {
  const [{ headers }, event] = await call("GET", "invocation/next");
  const id = headers["lambda-runtime-aws-request-id"];
  const deadline = Number(headers["lambda-runtime-deadline-ms"]);
  const context = {
    awsRequestId: id,
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    invokedFunctionArn: headers["lambda-runtime-invoked-function-arn"],
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    getRemainingTimeInMillis: () => deadline - Date.now(),
  };
  try {
    const result = await handler(JSON.parse(event), context);
    await call("POST", `invocation/${id}/response`, JSON.stringify(result ?? null));
  } catch (error) {
    await call("POST", `invocation/${id}/error`, describe(error), {
      "Lambda-Runtime-Function-Error-Type": error?.name ?? "Error",
    });
  }
}
