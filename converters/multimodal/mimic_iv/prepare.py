"""The large tables of MIMIC-IV, once, as a small table of what was charted in each ICU stay.

    prepared/stays.parquet            a row a stay: what is known when it begins
    prepared/outcomes.parquet         a row a stay: what became of it
    prepared/inputs/00000.parquet     stay_id and a cell of events, for a run of stays
    prepared/receipt.json             what it was made of, counts, and digests of the above

Events are read in blocks and filtered into parts, then runs of stays are gathered from the parts,
so that memory follows from BLOCK_BYTES, PART_ROWS and RUN_ROWS, and not from the tables. A run that
was interrupted goes on behind the last part that it wrote, and gives the same bytes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from blake3 import blake3

from qoqdata.atomic import file_digest, write_json
from qoqdata.errors import BadTable

from .events import (
    DROPPED,
    ITEMS,
    KEPT,
    UNREAD,
    check_items,
    event_cells,
    kept_events,
    read_items,
)
from .stays import read_outcomes, read_stays
from .tables import BLOCK_BYTES, DICTIONARIES, INPUTS, find_tables, read_blocks, read_whole

#: Raise it when what is prepared changes.
VERSION = 2
FOLDER, RECEIPT = "prepared", "receipt.json"
STAYS, OUTCOMES, CELLS = "stays.parquet", "outcomes.parquet", "inputs/{:05}.parquet"
#: Events in memory: of a part before it is written, of a run of stays when it is gathered.
PART_ROWS, RUN_ROWS = 1_000_000, 300_000
#: Most stays of a run.
RUN_STAYS = 1024
#: Values that cannot be read for each one that is kept: more is a table in another form.
MOST_UNREAD = 3
#: Which column joins events to stays.
JOINED = {"icu/chartevents": "stay_id", "hosp/labevents": "subject_id"}

#: Hears of the table or step, and of bytes or runs done.
Progress = Callable[[str, int], None]


@dataclass(frozen=True)
class _Work:
    """A run of the preparation: its folders and sizes."""

    out: Path
    block_bytes: int
    part_rows: int
    progress: Progress

    @property
    def folder(self) -> Path:
        return self.out / "unfinished"


def prepare(
    raw: Path,
    out: Path,
    *,
    block_bytes: int = BLOCK_BYTES,
    part_rows: int = PART_ROWS,
    progress: Progress = lambda what, done: None,
) -> dict[str, Any]:
    """Prepare the tables below `raw` in the folder `out`; the receipt.

    What is there of the same tables is kept, what is unfinished goes on. Raises MissingFile and
    BadTable for tables that are not there or not MIMIC-IV's, UnreadableFile for damaged ones.
    """
    tables = find_tables(raw)
    origin = {
        "made_by": made_by(),
        "tables": {
            # Another table may well be of the same size.
            name: [path.stat().st_size, file_digest(path)]
            for name, path in sorted(tables.items())
        },
    }
    if (done := _receipt(out)) is not None and done["origin"] == origin:
        return done
    work = _Work(out, block_bytes, part_rows, progress)
    if _state(work, "origin") != origin:
        shutil.rmtree(work.folder, ignore_errors=True)
        (out / RECEIPT).unlink(missing_ok=True)
        shutil.rmtree(out / "inputs", ignore_errors=True)
        _keep(work, "origin", origin)
    items = read_items()
    for table, dictionary in DICTIONARIES.items():
        check_items(items, read_whole(tables[dictionary], ("itemid", "label")), table)
    stays = read_stays(tables)
    counts = {table: _events(work, table, tables[table], items, stays) for table in DICTIONARIES}
    files = _cells(work, stays)
    stays = stays.with_columns(file=pl.Series(files, dtype=pl.String))
    stays.write_parquet(out / STAYS)
    read_outcomes(tables).write_parquet(out / OUTCOMES)
    names = [STAYS, OUTCOMES, *sorted(set(files))]
    receipt = {
        "origin": origin,
        "stays": stays.height,
        "events": counts,
        "digests": {name: content_digest(pl.read_parquet(out / name)) for name in names},
    }
    write_json(out / RECEIPT, receipt)
    shutil.rmtree(work.folder)
    return receipt


def made_by() -> dict[str, Any]:
    """What, beside the tables, decides what is prepared."""
    return {
        "version": VERSION,
        "items": blake3(ITEMS.read_bytes()).hexdigest(),
        "run": [RUN_STAYS, RUN_ROWS],
    }


def content_digest(table: pl.DataFrame) -> str:
    """BLAKE3 of names and cells of a table, whatever the order of its columns."""
    total = blake3()
    for name in sorted(table.columns):
        total.update(f"{name}\0".encode())
        column = table[name]
        if column.dtype != pl.Binary:
            column = column.cast(pl.String).fill_null("\1").cast(pl.Binary)
        for cell in column:
            total.update(len(cell).to_bytes(8, "big"))
            total.update(cell)
    return total.hexdigest()


def _events(
    work: _Work, table: str, path: Path, items: pl.DataFrame, stays: pl.DataFrame
) -> dict[str, int]:
    """Filter a table of events into parts; how many were kept and left out."""
    name = table.rpartition("/")[2]
    state = _state(work, name) or {"offset": 0, "parts": 0, "counts": {}, "whole": False}
    own = items.filter(pl.col("table") == table).select(
        "itemid", "item", "units", "scale", "offset", "low", "high"
    )
    sound = stays.with_row_index("stay").filter(pl.col("fault").is_null())
    sound = sound.select("stay", "stay_id", "subject_id", "intime")
    waiting: list[pl.DataFrame] = []
    offset, counts = state["offset"], state["counts"]

    def write(*, whole: bool) -> None:
        nonlocal waiting
        part = pl.concat([pl.DataFrame(schema=KEPT), *waiting]).sort("stay")
        file = work.folder / f"{name}-{state['parts']:05}.parquet"
        # An unfinished part of an interrupted run is overwritten.
        part.write_parquet(file, row_group_size=1 << 16, statistics=True)
        state["parts"] += 1
        state.update(offset=offset, counts=counts, whole=whole)
        _keep(work, name, state)
        waiting = []

    if not state["whole"]:
        blocks = read_blocks(path, INPUTS[table], start=offset, block_bytes=work.block_bytes)
        for offset, rows in blocks:
            kept, dropped = kept_events(rows, own, sound, JOINED[table])
            found = {"rows": rows.height, "kept": kept.height, **dropped}
            counts = {key: counts.get(key, 0) + count for key, count in found.items()}
            waiting.append(kept)
            if sum(part.height for part in waiting) >= work.part_rows:
                write(whole=False)
            work.progress(name, offset)
        write(whole=True)
    counts = {key: counts.get(key, 0) for key in ("rows", "kept", *DROPPED)}
    unread = sum(counts[reason] for reason in UNREAD)
    if unread > MOST_UNREAD * counts["kept"]:
        # Now and then a cell is blank. A table of other times or numbers would leave stays without
        # any value, and nobody would see it.
        what = f"of {unread + counts['kept']} values of the items asked for {unread} cannot be read"
        told = ", ".join(f"{reason} {counts[reason]}" for reason in UNREAD)
        raise BadTable(f"{what}: {told}", where=table, fix="fetch the table again")
    return counts


def _cells(work: _Work, stays: pl.DataFrame) -> list[str]:
    """Write the cells of runs of stays; the file of each stay."""
    parts = sorted(work.folder.glob("*-*.parquet"))
    sizes = np.zeros(stays.height, np.int64)
    for part in parts:
        places, counts = np.unique(pl.read_parquet(part, columns=["stay"])["stay"],
                                   return_counts=True)  # fmt: skip
        sizes[places] += counts
    ids = stays["stay_id"].to_list()
    files: list[str] = []
    for number, (first, last) in enumerate(_runs(sizes)):
        name = CELLS.format(number)
        files += [name] * (last - first)
        if (work.out / name).is_file():
            continue
        own = pl.col("stay").is_between(first, last - 1)
        # One part at a time: a scan of all of them would hold row groups of each.
        found = [pl.scan_parquet(part).filter(own).collect() for part in parts]
        cells = event_cells(pl.concat([pl.DataFrame(schema=KEPT), *found]))
        run = pl.DataFrame({"stay": np.arange(first, last, dtype=np.uint32),
                            "stay_id": ids[first:last]})  # fmt: skip
        run = run.join(cells, on="stay", how="left", maintain_order="left")
        table = run.select("stay_id", pl.col("events").fill_null("").cast(pl.Binary))
        _write_whole(table, work.out / name)
        work.progress("inputs", number + 1)
    return files


def _runs(sizes: np.ndarray) -> Iterator[tuple[int, int]]:
    """Runs of neighbouring stays of at most RUN_STAYS and, but for single ones, RUN_ROWS events."""
    first, rows = 0, 0
    for place, size in enumerate(sizes.tolist()):
        if place > first and (rows + size > RUN_ROWS or place - first >= RUN_STAYS):
            yield first, place
            first, rows = place, 0
        rows += size
    if len(sizes) > first:
        yield first, len(sizes)


def _write_whole(table: pl.DataFrame, path: Path) -> None:
    """A file that is there is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.draft")
    table.write_parquet(draft)
    draft.replace(path)


def _state(work: _Work, name: str) -> dict[str, Any] | None:
    path = work.folder / f"{name}.json"
    return json.loads(path.read_bytes()) if path.is_file() else None


def _keep(work: _Work, name: str, state: Mapping[str, Any]) -> None:
    work.folder.mkdir(parents=True, exist_ok=True)
    write_json(work.folder / f"{name}.json", dict(state))


def _receipt(out: Path) -> dict[str, Any] | None:
    path = out / RECEIPT
    if not path.is_file():
        return None
    try:
        receipt = json.loads(path.read_bytes())
        return receipt if {"origin", "stays", "digests"} <= set(receipt) else None
    except ValueError as error:
        raise BadTable("is damaged", where=str(path), fix="delete it and prepare again") from error
