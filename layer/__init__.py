"""Builds the Lambda layer; not part of the installed package."""
