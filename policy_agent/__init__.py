"""Authorization decisions for AWS Lambda functions: an OPA-style agent in Python."""

__version__ = "0.1.0"
