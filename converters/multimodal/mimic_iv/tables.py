"""Which tables and columns of MIMIC-IV are read, for what, and how: blocks of whole rows.

What a patient's doctor knew and what became of the patient come from columns that are listed apart.
No function reads both: what is built from INPUTS cannot hold an outcome.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Mapping, Sequence
from io import BufferedReader
from pathlib import Path

import polars as pl

from qoqdata.errors import BadTable, MissingFile, UnreadableFile

#: Columns that are known at the time they speak of; events count from when they were charted.
INPUTS: Mapping[str, tuple[str, ...]] = {
    "icu/icustays": ("subject_id", "hadm_id", "stay_id", "first_careunit", "intime"),
    "hosp/admissions": (
        "subject_id",
        "hadm_id",
        "admittime",
        "admission_type",
        "admission_location",
    ),
    "hosp/patients": ("subject_id", "gender", "anchor_age", "anchor_year"),
    "icu/chartevents": (
        "subject_id",
        "stay_id",
        "charttime",
        "storetime",
        "itemid",
        "valuenum",
        "valueuom",
    ),
    "hosp/labevents": (
        "subject_id",
        "charttime",
        "storetime",
        "itemid",
        "valuenum",
        "valueuom",
    ),
}
#: Columns that are known when it is over; beside keys none is among INPUTS.
OUTCOMES: Mapping[str, tuple[str, ...]] = {
    "icu/icustays": ("stay_id", "hadm_id", "intime", "outtime"),
    "hosp/admissions": ("hadm_id", "admittime", "dischtime", "deathtime", "hospital_expire_flag"),
    "hosp/diagnoses_icd": ("hadm_id", "seq_num", "icd_code", "icd_version"),
}
#: What both may read, to join and to count time from.
KEYS = frozenset({"subject_id", "hadm_id", "stay_id", "intime", "admittime"})
#: Names of the items of each table of events.
DICTIONARIES = {"icu/chartevents": "icu/d_items", "hosp/labevents": "hosp/d_labitems"}
SUFFIXES = (".csv.gz", ".csv")
#: Bytes of unpacked text that are looked at at once.
BLOCK_BYTES = 16 * 2**20


def find_tables(raw: Path) -> dict[str, Path]:
    """The table files below a folder that has `hosp` and `icu`, at any depth, by short name.

    Raises MissingFile for a table that is not there, BadTable for one that is there twice.
    """
    names = [*dict.fromkeys([*INPUTS, *OUTCOMES, *DICTIONARIES.values()])]
    found = {}
    for name in names:
        folder, _, stem = name.partition("/")
        paths = sorted(
            path
            for suffix in SUFFIXES
            for path in raw.rglob(f"{folder}/{stem}{suffix}")
            if path.is_file()
        )
        if not paths:
            fix = "point --raw at the folder of MIMIC-IV that holds hosp and icu"
            raise MissingFile("is not there", where=f"{name}.csv.gz", fix=fix)
        if len(paths) > 1:
            what = f"is there {len(paths)} times: {', '.join(map(str, paths))}"
            raise BadTable(what, where=name, fix="keep one version")
        found[name] = paths[0]
    return found


def read_blocks(
    path: Path, columns: Sequence[str], *, start: int = 0, block_bytes: int = BLOCK_BYTES
) -> Iterator[tuple[int, pl.DataFrame]]:
    """Rows of a CSV, gzipped or not, as text, in blocks; with each, the offset behind it.

    Offsets count bytes of the unpacked file; `start` is one of them, from which to go on. At most
    some blocks are in memory, however large the file is. Raises BadTable for a column that is not
    there and for rows that cannot be parsed, UnreadableFile for a file that is cut short.
    """
    where = str(path)
    try:
        with _unpacked(path) as file:
            header = file.readline()
            names = [name.strip('"') for name in header.decode("utf-8-sig").strip().split(",")]
            if absent := [name for name in columns if name not in names]:
                fix = f"it has: {', '.join(names)}"
                raise BadTable(f"lacks the column {absent[0]!r}", where=where, fix=fix)
            offset = max(start, len(header))
            file.seek(offset)
            rest = b""
            while data := file.read(block_bytes):
                rest += data
                end = _end_of_rows(rest)
                offset += end
                if end:
                    yield offset, _parse(header, rest[:end], columns, where)
                rest = rest[end:]
            if rest:
                yield offset + len(rest), _parse(header, rest, columns, where)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        fix = "fetch it again, and compare it with SHA256SUMS.txt"
        raise UnreadableFile(f"is damaged or cut short: {error}", where=where, fix=fix) from error


def read_some(path: Path, columns: Sequence[str], key: str, keys: pl.Series) -> pl.DataFrame:
    """The rows of a table whose `key` is among `keys`, as text."""
    wanted = keys.unique().to_list()
    parts = [rows.filter(pl.col(key).is_in(wanted)) for _, rows in read_blocks(path, columns)]
    empty = pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    return pl.concat([empty, *parts])


def read_whole(path: Path, columns: Sequence[str]) -> pl.DataFrame:
    """All rows of a small table, as text."""
    empty = pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    return pl.concat([empty, *(rows for _, rows in read_blocks(path, columns))])


def time_of(column: str) -> pl.Expr:
    """A column of times; null for what is no time."""
    return pl.col(column).str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False)


def _unpacked(path: Path) -> gzip.GzipFile | BufferedReader:
    return gzip.GzipFile(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _end_of_rows(data: bytes) -> int:
    """The place behind the last line break that is in no quotes; 0 if there is none."""
    end = len(data)
    while (end := data.rfind(b"\n", 0, end)) >= 0:
        if data.count(b'"', 0, end) % 2 == 0:
            return end + 1
    return 0


def _parse(header: bytes, rows: bytes, columns: Sequence[str], where: str) -> pl.DataFrame:
    try:
        table = pl.read_csv(header + rows, columns=list(columns), infer_schema=False)
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise BadTable(f"cannot be parsed: {reason}", where=where) from error
    return table.select(columns)
