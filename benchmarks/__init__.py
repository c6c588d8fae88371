"""The agent and OPA side by side in one run; `python -m benchmarks` prints ratios."""
