"""Rego: `policy` is the engine's door, `lexer` its first stage, `second_opinion` is regopy.

Only `Policy` is for other folders, with the `options` it takes and the `results` it gives, and what
the publisher's tools read: the lexer, the parser and the checks.
"""

from policy_agent.rego.policy import Policy

__all__ = ["Policy"]
