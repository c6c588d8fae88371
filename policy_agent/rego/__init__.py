"""Rego: `policy` is the engine's door, `lexer` its first stage, `second_opinion` is regopy.

Only `Policy` is for other folders; what evaluates behind it may change.
"""

from policy_agent.rego.policy import Policy

__all__ = ["Policy"]
