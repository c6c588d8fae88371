package orders.authzen_test

import data.orders.authzen

sue := {"type": "user", "id": "sue", "properties": {"roles": ["support"], "region": "eu"}}

order := {"type": "order", "id": "o-1", "properties": {"owner": "carol", "region": "eu"}}

test_a_decision_is_that_of_the_order_service if {
	asked := {"subject": sue, "action": {"name": "orders:read"}, "resource": order}
	authzen.decision.allow with input as asked
	authzen.decision.obligations[_].type == "mask_fields" with input as asked
}

test_properties_cannot_say_who_it_is if {
	forged := object.union(sue, {"properties": {"roles": ["customer"], "id": "carol"}})
	asked := {"subject": forged, "action": {"name": "orders:read"}, "resource": order}
	not authzen.decision.allow with input as asked
}

test_actions_are_those_that_would_be_allowed if {
	found := authzen.actions with input as {"subject": sue, "resource": order}
	found == {{"name": "orders:cancel"}, {"name": "orders:read"}}
}

test_nobody_may_do_anything if {
	nobody := {"type": "user", "id": "nobody"}
	count(authzen.actions) == 0 with input as {"subject": nobody, "resource": order}
}
