"""The Rego parser: text to the syntax tree of `ast`, with OPA's problems.

`tokens` splits the text; one class in layers reads it: `cursor`, `terms`, `composites`, `literals`,
`logic`, `rules`, `statements`; `bare_rules`, `annotations`, `attachment` and `module` put the
statements together; `kinds`, `names`, `problem` and `rewrite` are what they share.
"""

from policy_agent.rego.parse.module import parse_module, parse_query

__all__ = ["parse_module", "parse_query"]
