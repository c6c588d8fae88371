"""What OPA's compiler refuses beyond syntax and safety.

`stages` runs the checks where the compiler's passes allow them, `compile_checked` with the passes.
`sources` checks modules as written, `functions` calls, `conflicts` rules that contradict others,
`recursion` (with `graph`, `origins`) rules that need themselves, `annotations` METADATA. `checker`
infers types: `types` is the lattice, `signatures` declares the built-in functions, `schemas` and
`assumptions` add JSON schemas, `environment` and `type_tree` hold what is known, `inference`,
`compatible`, `references` and `calls` decide. `problems`, `wording`, `term_text`, `written` and
`type_json` are for messages.
"""
