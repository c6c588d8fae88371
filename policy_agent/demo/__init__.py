"""The whole story on one machine, with real processes and real protocols.

`stage` starts what stands around the function, `requests` makes API Gateway events, `story` plays
the scenes and counts, `command` is `policy-agent demo`.
"""
