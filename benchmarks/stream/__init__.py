"""The stream against peers: `python -m benchmarks.stream --peers PYTHON`."""
