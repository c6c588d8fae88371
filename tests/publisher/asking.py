"""One directory of policies, and the same command line for our command and for OPA's."""

import subprocess

from policy_agent.cli import main
from tests.support import OPA

FILES = {
    "p.rego": "package a\np := 1\nq contains x if some x in [1, 2]\nf(x) := x + 1\n"
    "c := 1 if input.a\nc := 2 if input.b\n",
    "bad.rego": "package b\np := nope(1)\nq if x > 1\nr := f(1, 2)\nf(x) := x\n",
    "syntax.rego": "package b\np := {\n",
    "tabs.rego": "package a\n\n\tp if {\n\té := 1 ++ 2\n\t}\nq := [1,,2]\n",
    "v0.rego": "package v\np { true }\nq[x] { x := 1 }\n",
    "types.rego": 'package a\nr if { 1 == "a" }\ns := upper(1)\n',
    "by_schema.rego": "package a\np if input.b == 1\n",
    "schema.json": '{"properties": {"a": {"type": "string"}}, "additionalProperties": false}',
    "unknown.txt": "package u\np := 1\n",
    "a.json": '{"k": {"l": 2}}',
    "b.json": '{"k": {"l": 3}}',
    "in.json": '{"a": 1, "n": 1.50}',
    "bundle/p.rego": "package a\np := data.sub.k\n",
    "bundle/sub/data.json": '{"k": 1}',
    "bundle/.manifest": '{"revision": "r"}',
    "tree/sub/x.yaml": "k: [1]\n",
    "tree/sub/y.json": '{"m": 1}',
    "tree/note.txt": "nothing",
}


def write_files(directory):
    for name, text in FILES.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def ours(capsys, *arguments):
    """Exit status, stdout and stderr of our command."""
    status = main(list(arguments))
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def opas(*arguments):
    """Exit status, stdout and stderr of OPA's command."""
    assert OPA is not None
    done = subprocess.run([OPA, *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr
