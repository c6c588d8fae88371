"""Limits of the HTTP server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from policy_agent.config.section import Section


@dataclass(frozen=True, slots=True)
class Server:
    """Limits of the HTTP server (OPA's `server` section)."""

    max_request_bytes: int = 268435456
    max_gzip_bytes: int = 536870912
    gzip_min_length: int = 1024
    gzip_level: int = 9


DEFAULT_SERVER: Final = Server()


def read_server(section: Section) -> Server:
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
    )
    section.ignore("metrics")
    section.refuse("logger_plugin")
    for part in (gzip_in, gzip_out, decoding, encoding, section):
        part.finish()
    return server
