"""Containers: files that hold many raw files, addressed as `file#member`.

| suffix | member | content |
|---|---|---|
| .zip | path in the archive | the file, inflated |
| .tar, .tar.gz, .tgz | path in the archive | the file |
| .parquet | `column[17]`, `column[key=value]`, either with `[0]` for an item of a list | the cell |
| .tsv, .csv | `column[17]`, `column[key=value]` | the cell, decoded from base64 |
| .h5, .hdf5 | `path/of/dataset`, or with `[3]` along its first axis | bytes, or values in C order |
| .lmdb, .mdb | key | the value |

Numbers count from 0. Nothing is ever unpacked beside the container: a member comes into memory as a
whole, and readers get it through `qoqdata.readers.raw_file` as they get any other file. A name or
key that occurs twice is refused, and only that one; a container that is cut short is refused as a
whole, since nobody can tell what it lacks.
"""
