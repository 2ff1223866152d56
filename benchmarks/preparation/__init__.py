"""Memory of preparing large tables: `python -m benchmarks.preparation`."""
