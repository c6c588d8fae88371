"""Start, ask and end the process that runs regopy."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

from policy_agent.errors import EvaluationDeadlineError, EvaluationError, PolicyProblem
from policy_agent.rego.second_opinion import worker


class Child:
    """One worker process; after a failed request it is of no more use and must be closed."""

    def __init__(self) -> None:
        """Start the process.

        Raises:
            EvaluationError: the system refuses to start one.
        """
        search_path = [os.path.abspath(entry) for entry in sys.path]
        # -I -S: the agent itself runs without site-packages, so nothing may depend on them.
        command = [sys.executable, "-I", "-S", worker.__file__, *search_path]
        self._channel, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and file
                    command,
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            except OSError as exc:
                self._channel.close()
                message = f"the engine cannot be started: {exc.strerror}"
                raise EvaluationError(PolicyProblem("eval_internal_error", message)) from exc

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    def ask(self, request: list[bytes], *, deadline_seconds: float, doing: str) -> list[bytes]:
        """Send a request and return the answer.

        Args:
            doing: what the request is for, as it reads in `the engine crashed while ...`.

        Raises:
            EvaluationDeadlineError: no whole answer came in time.
            EvaluationError: the process ended instead of answering.
        """
        deadline_monotonic_s = time.monotonic() + deadline_seconds
        try:
            self._channel.settimeout(deadline_seconds)
            self._channel.sendall(worker.pack(request))
            length = worker.message_length(self._receive(4, deadline_monotonic_s))
            return worker.unpack(self._receive(length, deadline_monotonic_s))
        except TimeoutError as exc:
            raise EvaluationDeadlineError(f"{doing} took longer than {deadline_seconds} s") from exc
        except OSError as exc:
            message = f"the engine crashed while {doing} ({self._cause_of_death()})"
            raise EvaluationError(PolicyProblem("eval_internal_error", message)) from exc

    def close(self) -> None:
        """End the process and wait for its end."""
        self._channel.close()
        self._process.kill()
        self._process.wait()

    def _receive(self, length: int, deadline_monotonic_s: float) -> bytes:
        received = bytearray()
        while len(received) < length:
            remaining_seconds = deadline_monotonic_s - time.monotonic()
            if remaining_seconds <= 0:
                raise TimeoutError
            self._channel.settimeout(remaining_seconds)
            chunk = self._channel.recv(length - len(received))
            if not chunk:
                raise ConnectionResetError
            received += chunk
        return bytes(received)

    def _cause_of_death(self) -> str:
        try:
            status = self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            return "connection lost"
        return f"signal {-status}" if status < 0 else f"exit status {status}"
