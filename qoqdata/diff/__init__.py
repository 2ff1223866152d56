"""What changed between two data sets."""
