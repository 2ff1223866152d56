"""webdataset: tar shards of samples.

A sample holds `json` (everything that is neither image nor signal), `0.jpg` or `0.png` and so
on for each image, `0.mask.png` and so on for each mask (`mask_info` names its image), and for an
ECG `ecg.npy` (float32 mV, lead x sample) with `ecg_valid.npy`. Nothing is left out.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qoqdata.atomic import replacing
from qoqdata.dataset import Dataset
from qoqdata.exports.rows import Change, Row, Tally, by_split, signal, unchanged

SAMPLES = 1000
_MEDIA = ("images", "masks", "ecg")


def write_webdataset(dataset: Dataset, out: Path, change: Change = unchanged) -> Tally:
    """Files `<split>-00000.tar` of 1,000 samples."""
    tally = Tally()
    out.mkdir(parents=True, exist_ok=True)
    for split, records in by_split(dataset, change):
        for number in count():
            if (first := next(records, None)) is None:
                break
            part = chain([first], islice(records, SAMPLES - 1))
            for _ in range(_write_tar(out / f"{split}-{number:05d}.tar", part)):
                tally.wrote(split)
    return tally


def _write_tar(path: Path, part: Iterable[Row]) -> int:
    """Write samples as they come, so that one is in memory; returns how many."""
    rows = 0
    with replacing(path) as draft, tarfile.open(draft, "w") as tar:
        for row in part:
            rows += 1
            for name, data in _members(row):
                tar.addfile(_entry(f"{row['id']}.{name}", data), io.BytesIO(data))
    return rows


def _members(row: Row) -> Iterator[tuple[str, bytes]]:
    plain: dict[str, Any] = {name: value for name, value in row.items() if name not in _MEDIA}
    if row["ecg"] is not None:
        plain["ecg"] = {"leads": row["ecg"]["leads"], "fs": row["ecg"]["fs"]}
    yield "json", json.dumps(plain, ensure_ascii=False).encode()
    for index, image in enumerate(row["images"] or ()):
        yield f"{index}.{image['path'].rpartition('.')[2]}", image["bytes"]
    for index, mask in enumerate(row["masks"] or ()):
        yield f"{index}.mask.png", mask["bytes"]
    if row["ecg"] is not None:
        yield "ecg.npy", _npy(signal(row))
        yield "ecg_valid.npy", _npy(np.asarray(row["ecg"]["valid"], dtype=bool))


def _npy(array: NDArray[Any]) -> bytes:
    with io.BytesIO() as stream:
        np.save(stream, array)
        return stream.getvalue()


def _entry(name: str, data: bytes) -> tarfile.TarInfo:
    # No time and no owner: the same records give the same bytes.
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    return entry
