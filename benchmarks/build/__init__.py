"""What a build costs beside pixels: `python -m benchmarks.build.records`."""
