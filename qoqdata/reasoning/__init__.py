"""Reasoning traces: what a policy wrote on the way to right answers, as a column of the set."""
