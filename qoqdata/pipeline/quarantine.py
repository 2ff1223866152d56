"""Quarantine rows: everything that gave no record, with its reason."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from qoqdata.atomic import replacing
from qoqdata.contract.arrow import arrow_schema
from qoqdata.contract.side_tables import QUARANTINE
from qoqdata.errors import ConverterError, QoqdataError
from qoqdata.printable import printable
from qoqdata.sources.protocol import Filtered, Job, Refused, Source

Stage = Literal["plan", "convert", "validate"]
Row = dict[str, Any]

#: Reason of an exception that is none of ours: the converter, or a library under it, is at fault.
CONVERTER_ERROR = ConverterError.code
#: Reason of a unit of which no question could be asked.
ALL_SKIPPED = "all_skipped"
#: The unit of a source that was refused as a whole.
WHOLE_SOURCE = "(the whole source)"


def failure_row(
    key: str,
    files: tuple[str, ...],
    stage: Stage,
    error: BaseException,
    job: Job,
    source: Source | None = None,
) -> Row:
    """The row of a unit that failed with `error`; paths in it are made relative to the raw root.

    Of a fault of the converter the message names the line of `source` that it passed last.
    """
    return {
        "source": job.card.slug,
        "unit": key,
        "raw": list(files),
        "outcome": "quarantined",
        "stage": stage,
        "reason": _reason(error),
        "error": type(error).__name__,
        "message": without_roots(failure_message(error, source), job),
        "converter_version": str(job.card.version),
    }


def failure_message(error: BaseException, source: Source | None = None) -> str:
    """What an error says, in one line; of a fault of the converter, also where it is."""
    line = converter_line(error, source) if _reason(error) == CONVERTER_ERROR else None
    return _in_words(error) if line is None else f"{_in_words(error)} ({line})"


def converter_line(error: BaseException, source: Source | None) -> str | None:
    """`ecg/ptb_xl/source.py, line 80`: the innermost place of the source's own code."""
    if source is None:
        return None
    root = source.root or source.folder
    modules = {source.module, source.plan.__module__, source.convert.__module__}
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(root):
            return f"{path.relative_to(root).as_posix()}, line {line}"
        if frame.f_globals.get("__name__") in modules:
            return f"{path.name}, line {line}"
    return None


def _reason(error: BaseException) -> str:
    return error.code if isinstance(error, QoqdataError) else CONVERTER_ERROR


def _in_words(error: BaseException) -> str:
    """What an error says; of one that is none of ours, its type as well."""
    if isinstance(error, QoqdataError):
        text = str(error)
    else:
        name = type(error).__name__
        text = f"{name}: {error}" if str(error) else name
    # A table holds UTF-8, and a message may quote any bytes of a file or its name.
    return printable(text)


def without_roots(message: str, job: Job) -> str:
    """A message whose paths are relative to the raw root, however a reader spells it."""
    staged = () if job.raw.store is None else (job.raw.store.stage,)
    for root in (job.raw.root, *staged, *job.raw.mounts.values()):
        # The longest first: a relative root is part of the absolute one.
        for spelled in (str(root.resolve()), str(root.absolute()), str(root)):
            message = message.replace(f"{spelled}/", "").replace(spelled, ".")
    return message


def refusal_row(item: Refused, job: Job) -> Row:
    """The row of something that planning refused."""
    return failure_row(item.key, item.files, "plan", item.error, job)


def filtered_row(item: Filtered, job: Job, stage: Stage = "plan") -> Row:
    """The row of something that a stated rule leaves out."""
    return {
        "source": job.card.slug,
        "unit": item.key,
        "raw": list(item.files),
        "outcome": "filtered",
        "stage": stage,
        "reason": item.reason,
        "error": None,
        "message": item.message,
        "converter_version": str(job.card.version),
    }


def write_quarantine(path: Path, rows: list[Row]) -> None:
    """Write the quarantine table of a source, sorted by unit; no rows, no file."""
    if not rows:
        path.unlink(missing_ok=True)
        return
    in_order = sorted(rows, key=lambda row: (row["unit"], row["stage"], row["reason"]))
    table = pa.Table.from_pylist(in_order, schema=arrow_schema(QUARANTINE))
    with replacing(path) as draft:
        pq.write_table(table, draft, compression="zstd")
