"""Tables and texts. Neither has a place for a mark: whoever reads them sees what they hold."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path

from qoqdata.simulation.mark import write_bytes


def write_csv(
    path: Path,
    rows: Sequence[Mapping[str, object]],
    *,
    columns: Sequence[str] | None = None,
    separator: str | None = None,
) -> None:
    """A table of rows in UTF-8, gzipped where the name ends in `.gz`; None is an empty cell.

    `columns` are by default those of the first row, and are needed for a table without rows. The
    separator is a tab for `.tsv` and `.tab`, else a comma. A table carries no mark: a comment or a
    further column would change what its source reads. Raises ValueError for a row with other
    columns.
    """
    names = list(rows[0] if columns is None else columns)
    if separator is None:
        separator = "\t" if {".tsv", ".tab"} & set(path.suffixes) else ","
    stream = StringIO()
    table = csv.DictWriter(stream, names, delimiter=separator, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_text(path, stream.getvalue())


def write_text(path: Path, text: str) -> None:
    """A text in UTF-8, gzipped where the name ends in `.gz`; it carries no mark but its own."""
    data = text.encode()
    # A time of 0, so that the same text is the same file.
    write_bytes(path, gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
