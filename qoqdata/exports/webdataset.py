"""webdataset: tar shards of samples, which all have the same two members.

`json`       the texts that each record has, such as question and answer, and as `record` the whole
             record without its media, a text of JSON
`media.zip`  its media, stored in a zip file: `images/0.jpg` or `images/0.png` and so on,
             `masks/0.png` and so on (`mask_info` names their images), and of an ECG
             `ecg/signal.npy` (float32 mV, lead x sample) and `ecg/valid.npy`; empty without any

Nothing is left out. Readers take the columns of all samples from the first ones, so a member for
each image would be lost where later records show more, and a column of JSON that is null in the
first records could hold nothing later; so nothing in `json` is null, a list or a number:

    load_dataset(OUT, split="train")
    load_dataset("webdataset", data_files="OUT/train-*.tar", split="train", streaming=True)
    webdataset.WebDataset("OUT/train-00000.tar").decode(unzipped)

    def unzipped(key, data):
        if key.endswith(".zip"):
            with zipfile.ZipFile(io.BytesIO(data)) as media:
                return {name: media.read(name) for name in media.namelist()}
"""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qoqdata.atomic import replacing
from qoqdata.contract.record import METADATA
from qoqdata.contract.types import Scalar
from qoqdata.dataset import Dataset
from qoqdata.exports.rows import Change, Row, Tally, by_split, signal, unchanged
from qoqdata.progress import ProgressCallback, silent
from qoqdata.yaml_document import dump_yaml

SAMPLES = 1000
_MEDIA = ("images", "masks", "ecg")
#: The texts that every record has, and the member that has all of a record.
TEXTS = tuple(
    field.name
    for field in METADATA.fields
    if isinstance(field.type, Scalar) and field.type.name == "string" and not field.nullable
)
RECORD = "record"


def write_webdataset(
    dataset: Dataset, out: Path, change: Change = unchanged, progress: ProgressCallback = silent
) -> Tally:
    """Files `<split>-00000.tar` of 1,000 samples, and README.md."""
    tally = Tally()
    out.mkdir(parents=True, exist_ok=True)
    for split, records in by_split(dataset, change, progress):
        for number in count():
            if (first := next(records, None)) is None:
                break
            part = chain([first], islice(records, SAMPLES - 1))
            for _ in range(_write_tar(out / f"{split}-{number:05d}.tar", part)):
                tally.wrote(split)
    with replacing(out / "README.md") as draft:
        draft.write_text(_readme(tally.written), encoding="utf-8")
    return tally


def _readme(splits: Iterable[str]) -> str:
    """What `datasets` reads: the files of each split, and the columns."""
    texts = [{"name": name, "dtype": "string"} for name in (*TEXTS, RECORD)]
    columns = [
        {"name": "json", "struct": texts},
        {"name": "media.zip", "dtype": "binary"},
        {"name": "__key__", "dtype": "string"},
        {"name": "__url__", "dtype": "string"},
    ]
    files = [{"split": split, "path": [f"{split}-*.tar"]} for split in splits]
    front = {
        "configs": [{"config_name": "default", "data_files": files}],
        "dataset_info": {"features": columns},
    }
    return f"---\n{dump_yaml(front)}---\n"


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
    ecg = row["ecg"]
    plain["ecg"] = None if ecg is None else {"leads": ecg["leads"], "fs": ecg["fs"]}
    whole = json.dumps(plain, ensure_ascii=False)
    texts = {name: row[name] for name in TEXTS} | {RECORD: whole}
    yield "json", json.dumps(texts, ensure_ascii=False).encode()
    with io.BytesIO() as stream:
        with zipfile.ZipFile(stream, "w") as archive:
            for name, data in _media(row):
                archive.writestr(_zip_entry(name), data)
        yield "media.zip", stream.getvalue()


def _media(row: Row) -> Iterator[tuple[str, bytes]]:
    for index, image in enumerate(row["images"] or ()):
        yield f"images/{index}.{image['path'].rpartition('.')[2]}", image["bytes"]
    for index, mask in enumerate(row["masks"] or ()):
        yield f"masks/{index}.png", mask["bytes"]
    if row["ecg"] is not None:
        yield "ecg/signal.npy", _npy(signal(row))
        yield "ecg/valid.npy", _npy(np.asarray(row["ecg"]["valid"], dtype=bool))


def _npy(array: NDArray[Any]) -> bytes:
    with io.BytesIO() as stream:
        np.save(stream, array)
        return stream.getvalue()


def _entry(name: str, data: bytes) -> tarfile.TarInfo:
    # No time and no owner: the same records give the same bytes.
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    return entry


def _zip_entry(name: str) -> zipfile.ZipInfo:
    # Likewise, and as if written on Linux, wherever it is.
    entry = zipfile.ZipInfo(name)
    entry.create_system = 3
    return entry
