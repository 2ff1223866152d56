"""Columns of signals, encoded here: once a recording, and not once a question.

Arrow's writer walks each sample of each row five times (levels, histograms, values), 1.4 ms a
question about twelve leads of 10 s. The pages of rows that show the same recording hold the same
bytes again and again, so they are made of one row's. Everything else of a shard is Arrow's; the
format is plain Parquet, https://parquet.apache.org/docs/file-format/, which everyone reads.

`runs.py`, which rows show the same; `pages.py`, their pages; `shard_file.py`, how these get into
the file that Arrow writes; `thrift.py`, its footer.
"""
