"""The platform engineer's check-up of a layer or a function, before Lambda is asked to run it."""
