"""Whole builds of ECG sources against a bare loop that reads their records."""
