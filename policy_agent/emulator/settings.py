"""What one local Lambda is made of. Pure."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from policy_agent.emulator.relay import Relay

TelemetryMode = Literal["deliver", "refuse"]
InitializationType = Literal[
    "on-demand", "provisioned-concurrency", "snap-start", "lambda-managed-instances"
]

SNAP_START: Final = "snap-start"
MANAGED_INSTANCES: Final = "lambda-managed-instances"
RESTORE_LIMIT_SECONDS: Final = 10.0  # for the runtime's hooks
ACCOUNT_ID = "123456789012"
FUNCTION_VERSION = "$LATEST"


@dataclass(frozen=True, slots=True)
class LambdaSettings:
    """A function, its layer and its limits.

    Attributes:
        function_dir: stands for `/var/task`.
        handler: `module.function`, as in Lambda's configuration.
        layer_dir: an unpacked layer, stands for `/opt`; None for a function without extensions.
        environment: the function's variables; credentials and region given here replace the
            made-up ones, the names that Lambda reserves cannot be replaced.
        timeout_seconds: for runtime and extensions together, as on Lambda.
        memory_mb: what all processes may hold together; beyond that the largest is killed.
        tmp_mb: gives the environment a `/tmp` of its own of that size, which needs root; None for
            this machine's.
        relays: connections that go through one of these are frozen and thawed with the processes.
        freeze: stop all processes (SIGSTOP) between invocations.
        telemetry: `refuse` answers 202 Telemetry.NotSupported, as AWS's own emulator does.
        lost_telemetry: types of events that are lost, such as `platform.runtimeDone`.
        telemetry_late_seconds: how much later than asked for each batch comes.
        python: the interpreter that runs the function; awslambdaric must be installed for it.
        init_limit_seconds: Lambda's 10 s for on-demand functions.
        initialization_type: with `snap-start` the environment is frozen when Init is over, and
            thawed as a copy of the snapshot is: the runtime is told of the restore, extensions are
            not, and credentials are at a URI in place of the static ones.
        max_concurrency: how many invocations a Managed Instance's runtime takes at once.
        api_host: not 127.0.0.1, so that a client with that address built in fails here as it
            would on Lambda, where the API is at 169.254.100.1 with newer runtimes.
    """

    function_dir: Path
    handler: str
    layer_dir: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_seconds: float = 3.0
    memory_mb: int = 512
    tmp_mb: int | None = None
    relays: tuple[Relay, ...] = ()
    freeze: bool = True
    telemetry: TelemetryMode = "deliver"
    lost_telemetry: tuple[str, ...] = ()
    telemetry_late_seconds: float = 0.0
    python: str = sys.executable
    init_limit_seconds: float = 10.0
    initialization_type: InitializationType = "on-demand"
    max_concurrency: int = 1
    function_name: str = "function"
    region: str = "us-east-1"
    api_host: str = "127.0.0.2"

    @property
    def function_arn(self) -> str:
        """Return the ARN that events and the runtime are told."""
        return f"arn:aws:lambda:{self.region}:{ACCOUNT_ID}:function:{self.function_name}"

    @property
    def python_path(self) -> tuple[Path, ...]:
        """Return where the function's modules are looked for, in Lambda's order."""
        layer = (self.layer_dir / "python",) if self.layer_dir is not None else ()
        return (self.function_dir, *layer)
