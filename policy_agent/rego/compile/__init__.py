"""Turn parsed modules and queries into ones that can be planned.

`compiler` runs the passes over modules and `query` over a query; each is a module: `resolve`
(names), `capture` (the values of a query), `locals` and `local_rules` (scopes), `templates`,
`prints`, `expand` (calls inside terms), `metadata`, `hoist` (what needs evaluation), `withs`,
`safety` and `rule_safety` (order), `equal`.
`tree` holds the rules by path, `compiled` the result, with the seam for further checks.
"""
