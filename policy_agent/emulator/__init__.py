"""A local Lambda for functions with extensions: no AWS, no Docker, no root.

`sandbox.LocalLambda` is the public name. It starts the executables of an unpacked layer and AWS's
own Python runtime client as real processes (`processes`, `environment`, `preflight`), serves them
the Runtime, Extensions and Telemetry APIs (`runtime_api`, `extensions_api`, `telemetry_api`,
`telemetry`), drives each generation of processes through Init, Invoke and Shutdown (`generation`,
`phases`, `shutdown`), freezes it in between, and keeps a time-stamped record of all of it
(`events`). `command` is `policy-agent local`.
"""
