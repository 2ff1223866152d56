"""Encoded still images, one module per file format: walk the structure, check it, decode it."""
