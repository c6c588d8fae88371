"""What a compiled plan needs while it runs.

`operations` work on values, a `scope` keeps the values of rules, `calls` wraps built-ins, and
`runner` evaluates an entry point.
"""
