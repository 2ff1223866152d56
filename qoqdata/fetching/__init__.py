"""Fetching: raw files of open sources from where their publishers have them, and their checks."""
