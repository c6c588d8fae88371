"""What happens while policies are evaluated: OPA's trace events, and the lines they cover.

Nothing here is part of an ordinary evaluation: `instrument` adds calls to compiled rules that tell
a `Recorder` where evaluation is, `indexed` knows which rules OPA's index would leave out, and
`history` makes OPA's events of what was told, which `filters` selects and `trace_text` prints.
"""
