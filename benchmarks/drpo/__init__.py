"""DRPO: cost of a step, and what its weights do on CLIMB: `python -m benchmarks.drpo`."""
