"""The formats by name, and the export of a data set to one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from qoqdata.dataset import Dataset
from qoqdata.errors import UsageError
from qoqdata.exports.json_lines import write_climb, write_sharegpt
from qoqdata.exports.parquet import write_trl, write_verl
from qoqdata.exports.records import write_records
from qoqdata.exports.rows import Change, Tally, unchanged
from qoqdata.exports.webdataset import write_webdataset
from qoqdata.progress import ProgressCallback, silent
from qoqdata.roles import for_training

FORMATS: Mapping[str, Callable[[Dataset, Path, Change, ProgressCallback], Tally]] = {
    "verl": write_verl,
    "trl": write_trl,
    "sharegpt": write_sharegpt,
    "webdataset": write_webdataset,
    "climb": write_climb,
    "records": write_records,
}


def write_export(
    dataset: Dataset,
    *,
    to: str,
    out: Path,
    change: Change = unchanged,
    progress: ProgressCallback = silent,
) -> Tally:
    """Write the kept records at `out` in the format `to`, and return counts by split and reason.

    Each record is as `change` makes it, such as with boxes blanked. Records of evaluation sources
    are left out. `progress` hears of records. Raises UsageError for a format that is none of
    FORMATS, for a folder in use, and where only such records are there.
    """
    if to not in FORMATS:
        raise UsageError(f"there is no format {to!r}", where="--to", fix=", ".join(FORMATS))
    if out.is_dir() and any(out.iterdir()):
        raise UsageError("is not empty", where=str(out), fix="name a new folder")
    _, benchmarks = for_training(dataset.kept(["source"]), dataset.manifest, where=dataset.where)
    tally = FORMATS[to](dataset, out, change, progress)
    for slug, count in benchmarks.items():
        tally.left_out[f"{slug} is for evaluation only"] = count
    return tally
