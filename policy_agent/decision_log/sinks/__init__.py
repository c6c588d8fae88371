"""Where events go: `http` is OPA's upload protocol, `console` is OPA's log line."""

from __future__ import annotations
