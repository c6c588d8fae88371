"""Turn compiled modules and queries into a plan, OPA's intermediate representation.

`planner` is the entrance; `emitter` writes statements, `terms`, `references`, `unification`,
`calls` and `expressions` plan what the names say, `functions` rules, `trie` and `scopes` hold what
is in force while `with` replaces documents and functions.
"""
