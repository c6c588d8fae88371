"""Limits of the HTTP server."""

from __future__ import annotations

from typing import ClassVar, Final

from msgspec import Struct

from policy_agent.config.section import Section
from policy_agent.record import Record


class PortTokenSource(Record, frozen=True):
    """Where the secret that callers must bring comes from: given, or made and left in a file."""

    unshown: ClassVar[frozenset[str]] = frozenset({"secret"})

    path: str
    secret: str = ""


class Server(Struct, frozen=True):
    """Limits of the HTTP server (OPA's `server` section), and who may call it."""

    max_request_bytes: int = 268435456
    max_gzip_bytes: int = 536870912
    gzip_min_length: int = 1024
    gzip_level: int = 9
    port_token: PortTokenSource | None = None


DEFAULT_SERVER: Final = Server()


def read_server(section: Section, persistence_directory: str) -> Server:
    """Read `server`."""
    decoding, encoding = section.section("decoding"), section.section("encoding")
    gzip_in, gzip_out = decoding.section("gzip"), encoding.section("gzip")
    level = gzip_out.integer("compression_level", DEFAULT_SERVER.gzip_level)
    if level not in (0, 1, 9):
        gzip_out.problem("compression_level", "must be 0, 1 or 9")
    server = Server(
        max_request_bytes=decoding.integer(
            "max_length", DEFAULT_SERVER.max_request_bytes, at_least=1
        ),
        max_gzip_bytes=gzip_in.integer("max_length", DEFAULT_SERVER.max_gzip_bytes, at_least=1),
        gzip_min_length=gzip_out.integer("min_length", DEFAULT_SERVER.gzip_min_length),
        gzip_level=level,
        port_token=_port_token(section.section("port_token"), persistence_directory)
        if section.has("port_token")
        else None,
    )
    section.ignore("metrics")
    section.refuse("logger_plugin")
    for part in (gzip_in, gzip_out, decoding, encoding, section):
        part.finish()
    return server


def _port_token(section: Section, persistence_directory: str) -> PortTokenSource:
    path = section.text("path", f"{persistence_directory}/port-token")
    secret = section.text("secret")
    if section.has("path") and section.has("secret"):
        section.problem("path", "must not be given together with secret")
    if section.has("secret") and (not secret or "${" in secret):
        # A variable that is not set stays as it is written, and everybody knows that.
        section.problem("secret", "is empty or an environment variable that is not set")
    section.finish()
    return PortTokenSource(path, secret)
