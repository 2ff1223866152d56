"""Readers against peers: `python -m benchmarks.readers`."""
