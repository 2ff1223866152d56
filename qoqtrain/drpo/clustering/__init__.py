"""Difficulty clusters: k-means on question success rates (exact, on a line) or reward vectors."""
