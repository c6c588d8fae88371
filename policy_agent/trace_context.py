"""Read which trace a request belongs to.

Pure. W3C Trace Context (`traceparent`, version 00 and what later versions keep of it) and AWS X-Ray
(`X-Amzn-Trace-Id`). What is malformed is ignored, as both say.
"""

from __future__ import annotations

import re
from typing import Final

_TRACEPARENT: Final = re.compile(
    "(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?"
)
_XRAY_ROOT: Final = re.compile("(?:^|;) *Root=(1-[0-9a-f]{8}-[0-9a-f]{24}) *(?:;|$)")


def read_trace(traceparent: str, xray: str) -> dict[str, str]:
    """Return `trace_id` and `span_id` (the caller's) and `xray_trace_id`, those that are there.

    Args:
        traceparent: header of that name, "" without one.
        xray: header `X-Amzn-Trace-Id` or the value of an event's `tracing`, "" without one.
    """
    trace: dict[str, str] = {}
    if traceparent and (w3c := _TRACEPARENT.fullmatch(traceparent)):
        trace["trace_id"], trace["span_id"] = w3c.groups()
    if xray and (root := _XRAY_ROOT.search(xray)):
        trace["xray_trace_id"] = root[1]
    return trace
