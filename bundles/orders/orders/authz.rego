# METADATA
# title: Order service authorization
# description: |
#   Decides who may do what to an order. Everything that is not granted here is denied.
#
#   Input:
#
#     {
#       "subject": {
#         "id": "alice",
#         "roles": ["customer"],
#         "region": "eu",
#         "mfa": false
#       },
#       "action": "orders:read",
#       "resource": {
#         "type": "order",
#         "id": "o-1",
#         "owner": "alice",
#         "region": "eu",
#         "amount": 120
#       }
#     }
#
#   `subject.region` and `resource.region` matter to roles bound to a region, `resource.owner` to
#   customers, `resource.amount` and `subject.mfa` to refunds. Which role is granted which action on
#   whose orders, and the limits of refunds, are data: see data.json.
package orders.authz

# METADATA
# title: Decision
# description: |
#   The whole answer. The caller carries out every obligation of an allowed request or treats it as
#   denied. A denial names its reasons, and the step-up after which it would be allowed.
# entrypoint: true
decision := {
	"allow": allow,
	"obligations": obligations,
	"reasons": reasons,
}

# METADATA
# title: Allow
# description: |
#   The decision as a boolean, for callers that have no obligations to carry out.
# entrypoint: true
default allow := false

allow if {
	entitled
	input.action != "orders:refund"
}

allow if {
	entitled
	input.action == "orders:refund"
	within_refund_limit
	refund_confirmed
}

# METADATA
# title: Support agents never see contact and payment details
obligations contains {"type": "mask_fields", "fields": ["customer.email", "payment.card"]} if {
	allow
	input.action == "orders:read"
	granting_roles == {"support"}
}

# METADATA
# title: What an auditor reads is on record in full
obligations contains {"type": "audit", "level": "full"} if {
	allow
	"auditor" in granting_roles
}

# METADATA
# title: Refunds that needed a second factor are on record in full
obligations contains {"type": "audit", "level": "full"} if {
	allow
	input.action == "orders:refund"
	input.resource.amount > data.orders.refunds.mfa_above
}

# METADATA
# title: A refund denied for want of a second factor says how to get it
obligations contains {"type": "step_up", "method": "mfa"} if {
	entitled
	input.action == "orders:refund"
	within_refund_limit
	not refund_confirmed
}

reasons contains problem if some problem in malformed

reasons contains "none of the subject's roles grants this action on this order" if {
	count(malformed) == 0
	count(granting_roles) == 0
}

reasons contains sprintf("the refund exceeds the limit of %v", [data.orders.refunds.limit]) if {
	entitled
	input.action == "orders:refund"
	not within_refund_limit
}

reasons contains reason if {
	entitled
	input.action == "orders:refund"
	within_refund_limit
	not refund_confirmed
	reason := sprintf(
		"a refund above %v needs multi-factor authentication",
		[data.orders.refunds.mfa_above],
	)
}

# METADATA
# title: The request is well-formed and one of the subject's roles grants it
entitled if {
	count(malformed) == 0
	count(granting_roles) > 0
}

# METADATA
# title: Roles of the subject that grant the action on this order
granting_roles contains role if {
	some role in input.subject.roles
	in_scope(data.orders.grants[role][input.action])
}

in_scope("any") := true

in_scope("own") if input.resource.owner == input.subject.id

in_scope("region") if {
	is_name(input.subject.region)
	input.resource.region == input.subject.region
}

within_refund_limit if input.resource.amount <= data.orders.refunds.limit

refund_confirmed if input.resource.amount <= data.orders.refunds.mfa_above

refund_confirmed if input.subject.mfa == true

# METADATA
# title: What is wrong with the request itself
malformed contains "subject.id must be a non-empty string" if not has_subject_id

malformed contains "subject.roles must be a list of strings" if not has_roles

malformed contains "action must be a known action" if not has_known_action

malformed contains "resource.type must be \"order\"" if not has_order

malformed contains "resource.amount must be a positive number" if {
	input.action == "orders:refund"
	not has_positive_amount
}

# A missing input inside `not f(input.x)` leaves the whole expression undefined, so each check is a
# rule of its own.

has_subject_id if is_name(input.subject.id)

has_roles if {
	is_array(input.subject.roles)
	names := [role | some role in input.subject.roles; is_name(role)]
	count(names) == count(input.subject.roles)
}

has_known_action if {
	some role
	data.orders.grants[role][input.action]
}

has_order if input.resource.type == "order"

has_positive_amount if {
	is_number(input.resource.amount)
	input.resource.amount > 0
}

is_name(value) if {
	is_string(value)
	value != ""
}
