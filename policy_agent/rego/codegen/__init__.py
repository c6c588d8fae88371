"""Plan functions as Python functions.

`usage` finds out how a block uses its locals, `shapes` which statements are mere tests, `index` and
`constant` which alternatives need not run. `names` says what things are called in the source,
`predicates` makes `conditions` of tests, `statements` and `blocks` write the rest with the help of
`frames` and `writer`, `function` puts a whole function together, and `program` compiles functions
when they are first called.
"""
