# METADATA
# title: The order service's decisions for callers that speak AuthZEN
# description: |
#   AuthZEN keeps what is known of a subject or resource in its `properties`, and names the action in
#   an object. The decisions are those of orders.authz.
package orders.authzen

import data.orders.authz

# METADATA
# title: Decision
# entrypoint: true
decision := answer if {
	answer := authz.decision with input as question(input.action.name)
}

# METADATA
# title: Actions that the subject may take on the resource
# entrypoint: true
actions contains {"name": action} if {
	some role in input.subject.properties.roles
	some action, _ in data.orders.grants[role]
	authz.allow with input as question(action)
}

question(action) := {
	"subject": object.union(properties(input.subject), {"id": input.subject.id}),
	"action": action,
	"resource": object.union(
		properties(input.resource),
		{"type": input.resource.type, "id": input.resource.id},
	),
}

properties(entity) := object.get(entity, "properties", {})
