// Ask the policy agent on localhost, and do what it says. No dependencies.
//
// The same rules as policy_agent.client for Python: only a clear yes allows, an obligation that
// nobody understands denies, and no agent is no permission. See docs/client.md.

import { readFileSync } from "node:fs";
import http from "node:http";

const TIMEOUT_MS = 5000; // also how long a call during Init waits for the agent
const TOKEN_HEADER = "x-policy-agent-token";
const connections = new http.Agent({ keepAlive: true });
let portToken;

/** There is no decision, which is a denial; nothing was done. */
export class AgentUnavailableError extends Error {}

/** The request must not go on; `reasons` and `obligations` say why and what would change it. */
export class DeniedError extends Error {
  constructor(reasons, obligations = []) {
    super(reasons.join("; ") || "denied by policy");
    this.reasons = reasons;
    this.obligations = obligations;
  }
}

/**
 * Ask for the decision at `path`, such as `orders/authz/decision`.
 *
 * @param {string} path the document below `data`
 * @param {object} input what the policy is to see
 * @param {{token?: string}} [options] `token`: the caller's, for an agent that verifies it
 * @returns {Promise<{allow: boolean, obligations: object[], reasons: string[],
 *   decisionId: string, code: string}>}
 */
export async function decide(path, input, { token } = {}) {
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const name = path.split("/").map(encodeURIComponent).join("/");
  const { status, body } = await post(`/v1/data/${name}`, { input }, headers);
  const answer = parsed(body);
  if (status !== 200 || !isObject(answer)) {
    throw new AgentUnavailableError(`the policy agent answered ${status}: ${answer?.message}`);
  }
  const { result, warning, decision_id: decisionId = "" } = answer;
  const decision = { allow: false, obligations: [], reasons: [], decisionId, code: "" };
  if (typeof result === "boolean") {
    return { ...decision, allow: result };
  }
  if (!isObject(result)) {
    const reasons = [warning?.message ?? `the policy has no decision at ${path}`];
    return { ...decision, reasons, code: warning?.code ?? "" };
  }
  const { allow, obligations = [], reasons = [] } = result;
  if (!Array.isArray(obligations) || !obligations.every(isObject)) {
    return { ...decision, reasons: ["the policy's obligations are not a list of objects"] };
  }
  return { ...decision, allow: allow === true, obligations, reasons };
}

/**
 * Act if the decision allows it, fulfil its obligations on the outcome, and return that.
 *
 * @param {object} decision what `decide` gave
 * @param {Object<string, function(object, any): any>} handlers obligation type -> function of the
 *   obligation and the outcome so far
 * @param {function(): any} act called once, and only when nothing stands against it
 */
export async function enforce(decision, handlers, act) {
  if (!decision.allow) {
    throw new DeniedError(decision.reasons, decision.obligations);
  }
  for (const obligation of decision.obligations) {
    if (!Object.hasOwn(handlers, obligation.type)) {
      const reason = `obligation ${JSON.stringify(obligation.type)} cannot be fulfilled here`;
      throw new DeniedError([reason], [obligation]);
    }
  }
  let outcome = await act();
  const report = [];
  try {
    for (const obligation of decision.obligations) {
      const { type } = obligation;
      try {
        outcome = await handlers[type](obligation, outcome);
        report.push({ type, status: "fulfilled" });
      } catch (error) {
        report.push({ type, status: "failed", error: error.name });
        throw error instanceof DeniedError
          ? error
          : new DeniedError([`obligation '${type}' could not be fulfilled`], [obligation]);
      }
    }
  } finally {
    if (report.length > 0) {
      await reportFulfilment(decision.decisionId, report);
    }
  }
  return outcome;
}

async function reportFulfilment(decisionId, obligations) {
  if (!decisionId) {
    return;
  }
  try {
    const { status } = await post(`/v1/obligations/${decisionId}`, { obligations }, {});
    if (status !== 204) {
      console.warn(`Obligations of decision ${decisionId} were reported in vain: ${status}`);
    }
  } catch (error) {
    console.warn(`Obligations of decision ${decisionId} were reported in vain: ${error.message}`);
  }
}

async function post(path, content, headers) {
  const body = JSON.stringify(content);
  portToken ??= readPortToken();
  let answer = await send(path, body, headers);
  if (answer.status === 401) {
    // A restarted agent has another secret.
    const old = portToken;
    portToken = readPortToken();
    if (portToken !== old) {
      answer = await send(path, body, headers);
    }
  }
  return answer;
}

function readPortToken() {
  if (process.env.POLICY_AGENT_TOKEN) {
    return process.env.POLICY_AGENT_TOKEN;
  }
  try {
    const path = process.env.POLICY_AGENT_TOKEN_PATH || "/tmp/policy-agent/port-token";
    return readFileSync(path, "ascii").trim();
  } catch {
    return undefined;
  }
}

async function send(path, body, headers) {
  try {
    return await exchange(path, body, headers);
  } catch (error) {
    // A connection that was kept across a freeze may have died with it: once more, on a new one.
    if (!error.wasReused) {
      throw new AgentUnavailableError(`the policy agent cannot be reached: ${error.message}`);
    }
  }
  connections.destroy();
  try {
    return await exchange(path, body, headers);
  } catch (error) {
    throw new AgentUnavailableError(`the policy agent cannot be reached: ${error.message}`);
  }
}

function exchange(path, body, headers) {
  const address = process.env.POLICY_AGENT_ADDR || "127.0.0.1:8181";
  const colon = address.lastIndexOf(":");
  return new Promise((resolve, reject) => {
    const request = http.request({
      agent: connections,
      host: address.slice(0, colon).replace(/^\[|\]$/g, "") || "127.0.0.1",
      port: Number(address.slice(colon + 1)),
      method: "POST",
      path,
      headers: {
        "content-type": "application/json",
        "content-length": Buffer.byteLength(body),
        ...(portToken ? { [TOKEN_HEADER]: portToken } : {}),
        ...headers,
      },
    });
    let hasBegun = false;
    const timer = setTimeout(() => request.destroy(new Error("timed out")), TIMEOUT_MS);
    const fail = (error) => {
      clearTimeout(timer);
      const wasReused = request.reusedSocket && !hasBegun && error.code !== undefined;
      reject(Object.assign(error, { wasReused }));
    };
    request.on("error", fail);
    request.on("response", (response) => {
      hasBegun = true;
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("error", fail);
      response.on("end", () => {
        clearTimeout(timer);
        resolve({ status: response.statusCode, body: Buffer.concat(chunks).toString() });
      });
    });
    request.end(body);
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
