"""Ask the agent from inside a function: `decide()` and what it returns. Standard library only."""

from policy_agent.client.connection import AgentUnavailableError
from policy_agent.client.decisions import Decision, DeniedError, decide, enforce

__all__ = ["AgentUnavailableError", "Decision", "DeniedError", "decide", "enforce"]
