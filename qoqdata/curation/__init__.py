"""Curation: global passes over a data set that decide which records stay."""
