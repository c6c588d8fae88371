"""HTTP in, decisions out: OPA's REST API on localhost.

`request` reads what a caller sent, `wire` and `results` write what goes back, `routes` has a module
for each family of resources, `app` joins them, `serve` runs it.
"""
