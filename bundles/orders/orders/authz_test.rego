package orders.authz_test

import data.orders.authz

order := {
	"type": "order",
	"id": "o-1",
	"owner": "alice",
	"region": "eu",
	"amount": 80,
}

order_elsewhere := object.union(order, {"owner": "bob", "region": "us"})

subject(role) := {"id": "alice", "roles": [role], "region": "eu", "mfa": false}

manager_with_mfa(mfa) := object.union(subject("manager"), {"mfa": mfa})

order_of(amount) := object.union(order, {"amount": amount})

decide(who, action, what) := decision if {
	decision := authz.decision with input.subject as who
		with input.action as action
		with input.resource as what
}

allows(who, action, what) := allow if {
	allow := authz.allow with input.subject as who
		with input.action as action
		with input.resource as what
}

allowed_with(obligations) := {"allow": true, "obligations": obligations, "reasons": set()}

denied(reason) := {"allow": false, "obligations": set(), "reasons": {reason}}

allowed := allowed_with(set())

not_granted := denied("none of the subject's roles grants this action on this order")

full_audit := {"type": "audit", "level": "full"}

test_customer_reads_own_order if {
	decide(subject("customer"), "orders:read", order) == allowed
}

test_customer_creates_and_cancels_own_order if {
	decide(subject("customer"), "orders:create", order) == allowed
	decide(subject("customer"), "orders:cancel", order) == allowed
}

test_customer_is_denied_the_order_of_another if {
	decide(subject("customer"), "orders:read", order_elsewhere) == not_granted
}

test_customer_is_denied_a_refund if {
	decide(subject("customer"), "orders:refund", order) == not_granted
}

test_support_reads_orders_of_its_region_masked if {
	mask := {"type": "mask_fields", "fields": ["customer.email", "payment.card"]}
	decide(subject("support"), "orders:read", order) == allowed_with({mask})
}

test_support_is_denied_another_region if {
	decide(subject("support"), "orders:read", order_elsewhere) == not_granted
}

test_support_cancels_without_obligations if {
	decide(subject("support"), "orders:cancel", order) == allowed
}

test_support_who_owns_the_order_sees_it_unmasked if {
	both := object.union(subject("support"), {"roles": ["support", "customer"]})
	decide(both, "orders:read", order) == allowed
}

test_two_absent_regions_are_not_the_same_region if {
	nowhere := object.union(subject("support"), {"region": null})
	decide(nowhere, "orders:read", object.union(order, {"region": null})) == not_granted
}

test_manager_reads_unmasked if {
	decide(subject("manager"), "orders:read", order) == allowed
}

test_manager_refunds_a_small_amount if {
	decide(subject("manager"), "orders:refund", order_of(100)) == allowed
}

test_larger_refund_without_mfa_is_denied_with_a_step_up if {
	decision := decide(subject("manager"), "orders:refund", order_of(101))
	decision.allow == false
	decision.obligations == {{"type": "step_up", "method": "mfa"}}
	decision.reasons == {"a refund above 100 needs multi-factor authentication"}
}

test_larger_refund_with_mfa_is_allowed_and_audited if {
	decision := decide(manager_with_mfa(true), "orders:refund", order_of(500))
	decision == allowed_with({full_audit})
}

test_only_true_counts_as_mfa if {
	decision := decide(manager_with_mfa("true"), "orders:refund", order_of(101))
	decision.allow == false
}

test_refund_above_the_limit_is_denied_even_with_mfa if {
	decision := decide(manager_with_mfa(true), "orders:refund", order_of(501))
	decision == denied("the refund exceeds the limit of 500")
}

test_refund_limit_comes_from_data if {
	decision := decide(manager_with_mfa(true), "orders:refund", order_of(900)) with data.orders.refunds.limit as 1000
	decision == allowed_with({full_audit})
}

test_refund_without_limits_in_data_is_denied if {
	decision := decide(manager_with_mfa(true), "orders:refund", order_of(50)) with data.orders.refunds as {}
	decision.allow == false
}

test_refund_amount_must_be_a_positive_number if {
	every amount in [0, -5, "50", null] {
		decision := decide(manager_with_mfa(true), "orders:refund", order_of(amount))
		decision == denied("resource.amount must be a positive number")
	}
}

test_manager_is_denied_a_refund_in_another_region if {
	decide(manager_with_mfa(true), "orders:refund", order_elsewhere) == not_granted
}

test_auditor_reads_everything_on_record if {
	decide(subject("auditor"), "orders:read", order_elsewhere) == allowed_with({full_audit})
}

test_auditor_changes_nothing if {
	every action in ["orders:create", "orders:cancel", "orders:refund"] {
		decide(subject("auditor"), action, order) == not_granted
	}
}

test_no_input_is_denied_with_every_reason if {
	authz.decision.allow == false
	authz.decision.reasons == {
		"action must be a known action",
		"resource.type must be \"order\"",
		"subject.id must be a non-empty string",
		"subject.roles must be a list of strings",
	}
}

test_unknown_action_is_denied if {
	every action in ["orders:burn", "", null, ["orders:read"]] {
		decide(subject("auditor"), action, order) == denied("action must be a known action")
	}
}

test_missing_subject_is_denied if {
	decision := authz.decision with input.action as "orders:read"
		with input.resource as {"type": "order"}
	decision.allow == false
	decision.reasons == {
		"subject.id must be a non-empty string",
		"subject.roles must be a list of strings",
	}
}

test_roles_of_the_wrong_type_are_denied if {
	every roles in ["auditor", {"role": "auditor"}, ["auditor", 1], null] {
		who := object.union(subject("auditor"), {"roles": roles})
		decide(who, "orders:read", order) == denied("subject.roles must be a list of strings")
	}
}

test_unknown_role_is_granted_nothing if {
	decide(subject("intern"), "orders:read", order) == not_granted
}

test_other_resource_types_are_denied if {
	invoice := object.union(order, {"type": "invoice"})
	decide(subject("auditor"), "orders:read", invoice) == denied("resource.type must be \"order\"")
}

test_allow_is_the_decision_as_a_boolean if {
	allows(subject("customer"), "orders:read", order) == true
	allows(subject("customer"), "orders:read", order_elsewhere) == false
}
