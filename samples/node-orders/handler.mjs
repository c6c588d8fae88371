// An order service behind API Gateway: every request is decided by the policy agent.
//
// The caller's claims come from API Gateway's JWT authorizer, which has verified them. The function
// itself only says who wants to do what to which order, and fulfils the obligations that come back.

import { AgentUnavailableError, DeniedError, decide, enforce } from "./policy-agent.mjs";

const DECISION_PATH = "orders/authz/decision";
const ORDERS = {
  "o-1": {
    id: "o-1",
    owner: "carol",
    region: "eu",
    amount: 120,
    customer: { name: "Carol", email: "carol@example.com" },
    payment: { card: "4111111111111111" },
  },
  "o-2": {
    id: "o-2",
    owner: "dave",
    region: "us",
    amount: 900,
    customer: { name: "Dave", email: "dave@example.com" },
    payment: { card: "5500005555555559" },
  },
};
const ACTIONS = { "GET /orders/{id}": "orders:read", "POST /orders/{id}/refund": "orders:refund" };
const OBLIGATIONS = { mask_fields: maskFields, audit };

/** Answer one API Gateway HTTP API event (payload format 2.0). */
export async function handle(event) {
  const action = ACTIONS[event.routeKey];
  const order = ORDERS[event.pathParameters?.id];
  if (!action || !order) {
    return response(404, { message: "not found" });
  }
  const question = { subject: subject(event), action, resource: resource(order) };
  try {
    const decision = await decide(DECISION_PATH, question);
    console.info(`decision ${decision.decisionId} allow=${decision.allow}`);
    return response(200, await enforce(decision, OBLIGATIONS, () => act(action, order)));
  } catch (error) {
    if (error instanceof DeniedError) {
      const asked = error.obligations.filter((each) => each.type === "step_up");
      const body = { message: "forbidden", reasons: error.reasons };
      return response(403, { ...body, step_up: asked.map((each) => each.method) });
    }
    if (error instanceof AgentUnavailableError) {
      console.error("No decision", error.message);
      return response(503, { message: "authorization is unavailable" });
    }
    throw error;
  }
}

function subject(event) {
  const { claims } = event.requestContext.authorizer.jwt;
  return {
    id: claims.sub,
    roles: (claims.roles ?? "").split(" ").filter(Boolean),
    region: claims.region ?? "",
    mfa: claims.mfa === "true",
  };
}

function resource({ id, owner, region, amount }) {
  return { type: "order", id, owner, region, amount };
}

function act(action, order) {
  return action === "orders:refund" ? { id: order.id, refunded: order.amount } : order;
}

function maskFields(obligation, order) {
  const masked = structuredClone(order);
  for (const field of obligation.fields) {
    const keys = field.split(".");
    const last = keys.pop();
    const target = keys.reduce((value, key) => value?.[key], masked);
    if (target && Object.hasOwn(target, last)) {
      target[last] = "***";
    }
  }
  return masked;
}

function audit(obligation, order) {
  console.warn(`audit level=${obligation.level} order=${order.id}`);
  return order;
}

function response(statusCode, body) {
  return {
    statusCode,
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  };
}
