"""Data sets behind a URL: read through a local cache of bounded size, checked by digest.

`qoqdata.open("s3://bucket/set")` is the way in; `files.open_files` explains what is fetched when.
"""
