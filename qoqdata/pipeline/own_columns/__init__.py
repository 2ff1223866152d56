"""Columns of signals and large media, encoded here; everything else of a shard is Arrow's.

Arrow's writer walks each sample of each row five times (levels, histograms, values), 1.4 ms a
question about twelve leads of 10 s. The pages of rows that show the same recording hold the same
bytes again and again, so they are made of one row's. Large media it copies again and again, so they
are written from where they are. The format is plain Parquet,
https://parquet.apache.org/docs/file-format/, which everyone reads.

`runs.py`, which rows show the same; `signal_pages.py`, their pages; `media_page.py`, that of media;
`chunk.py`, what both come to; `shard_file.py`, how it gets into the file that Arrow writes;
`thrift.py`, its footer; `written.py`, signals read back once a recording.
"""
