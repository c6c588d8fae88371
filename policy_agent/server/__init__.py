"""HTTP in, decisions out: OPA's REST API on localhost.

`request` reads what a caller sent, `wire` writes what goes back, `app` joins them, `serve` runs it.
"""
