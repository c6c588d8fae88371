"""Rego laid out as `opa fmt` lays it out (OPA v1.22 v1/format/format.go).

Pure. `formatter` is the door. A module is parsed and written again by `rules`, `expressions` and
`terms`, one building on the next, on a `Layout` that knows indentation and the comments that are
still to be written; `written` says where line breaks and parentheses were. What would lose a
comment or change a rule is refused.
"""
