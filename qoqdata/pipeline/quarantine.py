"""Quarantine rows: everything that gave no record, with its reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from qoqdata.atomic import replacing
from qoqdata.contract.arrow import arrow_schema
from qoqdata.contract.side_tables import QUARANTINE
from qoqdata.errors import ConverterError, QoqdataError
from qoqdata.sources.protocol import Filtered, Job, Refused

Stage = Literal["plan", "convert", "validate"]
Row = dict[str, Any]

#: Reason of an exception that is none of ours: the converter, or a library under it, is at fault.
CONVERTER_ERROR = ConverterError.code
#: Reason of a unit of which no question could be asked.
ALL_SKIPPED = "all_skipped"


def failure_row(
    key: str, files: tuple[str, ...], stage: Stage, error: BaseException, job: Job
) -> Row:
    """The row of a unit that failed with `error`; paths in it are made relative to the raw root."""
    code = error.code if isinstance(error, QoqdataError) else CONVERTER_ERROR
    message = without_roots(str(error) or type(error).__name__, job)
    return {
        "source": job.card.slug,
        "unit": key,
        "raw": list(files),
        "outcome": "quarantined",
        "stage": stage,
        "reason": code,
        "error": type(error).__name__,
        "message": message,
        "converter_version": str(job.card.version),
    }


def without_roots(message: str, job: Job) -> str:
    """A message whose paths are relative to the raw root."""
    for root in (job.raw.root, *job.raw.mounts.values()):
        message = message.replace(f"{root}/", "").replace(str(root), ".")
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
