"""The `policy-agent` command: a table of subcommands, each imported only when it is called.

A command module has `configure(parser)`, which declares its arguments, and `main(arguments)`, which
returns the exit status. Only here does an error end the process.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from policy_agent import __version__
from policy_agent.errors import PolicyAgentError

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("policy_agent.run_command", "run the agent as a sidecar or a Lambda extension"),
    "local": (
        "policy_agent.emulator.command",
        "run a function with the agent under a local Lambda",
    ),
    "demo": ("policy_agent.demo.command", "show the whole story on this machine"),
    "build": ("policy_agent.publisher.build_command", "build a bundle from a directory"),
    "sign": ("policy_agent.publisher.sign_command", "sign the files of a bundle"),
    "verify": ("policy_agent.publisher.verify_command", "check a bundle's signature"),
    "inspect": ("policy_agent.publisher.inspect_command", "say what is in a bundle"),
    "eval": ("policy_agent.publisher.eval_command", "answer a Rego query"),
    "check": ("policy_agent.publisher.check_command", "say what is wrong with Rego files"),
    "fmt": ("policy_agent.publisher.fmt_command", "lay out Rego files"),
    "test": ("policy_agent.publisher.test_command", "run the Rego tests of a directory"),
    "bench": ("policy_agent.publisher.bench_command", "measure how fast a query is answered"),
    "serve-bundles": ("policy_agent.publisher.serve_command", "serve bundles over HTTP"),
    "audit serve": ("policy_agent.auditor.serve_command", "receive decision logs and store them"),
    "audit web": ("policy_agent.auditor.web_command", "show decisions and their proof as pages"),
    "audit query": ("policy_agent.auditor.query_command", "ask the store who was decided what"),
    "audit anomalies": (
        "policy_agent.auditor.anomalies_command",
        "say what is unusual about recent decisions",
    ),
    "audit load": ("policy_agent.auditor.load_command", "store decision logs from files"),
    "audit compact": ("policy_agent.auditor.compact_command", "rewrite small files as large ones"),
    "audit expire": ("policy_agent.auditor.expire_command", "drop old days"),
    "audit ddl": ("policy_agent.auditor.ddl_command", "print the table for decisions in S3"),
    "audit verify": ("policy_agent.auditor.verify_command", "prove that no decision is missing"),
    "doctor": ("policy_agent.doctor.command", "say what would go wrong on Lambda"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand and return its exit status; 1 with a sentence on stderr for errors."""
    words = list(sys.argv[1:] if argv is None else argv)
    name = " ".join(words[:2]) if words[:1] == ["audit"] else " ".join(words[:1])
    if name not in COMMANDS:
        return _overview(words)
    module_name, help_text = COMMANDS[name]
    module = importlib.import_module(module_name)
    parser = argparse.ArgumentParser(prog=f"policy-agent {name}", description=help_text)
    module.configure(parser)
    arguments = parser.parse_args(words[len(name.split()) :])
    try:
        return int(module.main(arguments))
    except PolicyAgentError as exc:
        print(f"policy-agent {name}: error: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _overview(words: list[str]) -> int:
    if words[:1] == ["--version"]:
        print(f"policy-agent {__version__}")
        return 0
    wants_help = not words or words[0] in ("-h", "--help", "audit")
    out = sys.stdout if wants_help else sys.stderr
    if not wants_help:
        print(f"policy-agent: no such command: {words[0]}\n", file=out)
    print("usage: policy-agent COMMAND [options]\n\ncommands:", file=out)
    for name, (_, help_text) in COMMANDS.items():
        print(f"  {name:14} {help_text}", file=out)
    print("\n`policy-agent COMMAND --help` explains one command.", file=out)
    return 0 if wants_help else 2
