"""Difficulty from a linear probe on frozen features: how far a simple reader gets."""
