// Asks an agent by OPA's own client and prints what it was told, as JSON.
import { OPAClient } from "@open-policy-agent/opa";

const opa = new OPAClient(process.argv[2]);
const answers = {
  allowed: await opa.evaluate("app/allow", { user: "bob" }),
  denied: await opa.evaluate("app/allow", { user: "eve" }),
  document: await opa.evaluate("app/limits"),
  byDefault: await opa.evaluateDefault({ user: "bob" }),
  batch: await opa.evaluateBatch("app/allow", { a: { user: "bob" }, b: { user: "eve" } }),
};
try {
  await opa.evaluate("app/fails", { fail: true });
} catch (error) {
  answers.error = error.constructor.name;
}
console.log(JSON.stringify(answers));
