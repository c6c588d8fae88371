"""Input and policy in, `Decision` out."""
