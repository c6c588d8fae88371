"""OPA's built-in functions: `registry` is the contract, `catalog` finds one by name.

Every other module is one group of functions and is imported only when a policy calls one of them.
"""
