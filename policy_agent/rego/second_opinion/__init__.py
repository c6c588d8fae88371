"""Evaluate Rego with regopy (rego-cpp), kept in a child process and behind checks of our own.

Pure: `syntax` and `outline` (tokens to rule heads and calls), `check` (refuses what regopy would
misread in silence), `wording` (values to regopy's text and back). I/O: `child` (the process),
`worker` (its main) and `engine`, which keeps one child loaded.
"""
