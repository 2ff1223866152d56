"""Encoded still pictures, one module per file format: walk the structure, check it, decode it."""
