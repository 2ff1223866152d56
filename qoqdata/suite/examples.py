"""Build a source's example and describe its records so that a person can check them."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from qoqdata.dataset import Dataset, open_dataset
from qoqdata.errors import CardError, FailedSourceWarning
from qoqdata.pipeline.build import build_requests
from qoqdata.pipeline.config import BuildSetting, SourceRequest
from qoqdata.records.identity import Salt
from qoqdata.sources.protocol import Source

#: Ids in expected records depend on a salt; this one is for examples and keeps no secret.
SALT = Salt(b"examples have no secret to keep.")

RECORDS, QUARANTINE, MAPPING = "expected.jsonl", "quarantine.jsonl", "mapping.yaml"


@dataclass(frozen=True)
class BuiltExample:
    """A built example: the data set, described records and quarantine rows, both sorted."""

    dataset: Dataset
    records: tuple[dict[str, Any], ...]
    quarantine: tuple[dict[str, Any], ...]


def build_example(
    source: Source,
    out: Path,
    *,
    raw: Path | None = None,
    options: Mapping[str, Any] | None = None,
) -> BuiltExample:
    """Build the example of a source (or another raw tree with its mapping) in this process."""
    folder = source.folder / "example"
    mapping = folder / MAPPING
    request = SourceRequest(
        source=source.card.slug,
        raw=raw or folder / "raw",
        mapping=mapping if mapping.is_file() else None,
        options=dict(options or {}),
    )
    build_requests([(source, request)], out, BuildSetting(SALT, workers=0))
    with warnings.catch_warnings():
        # A damaged tree may well be refused, which is what the checks look for.
        warnings.simplefilter("ignore", FailedSourceWarning)
        dataset = open_dataset(out)
    rows = [row for path in dataset.paths for row in pq.read_table(path).to_pylist()]
    records = sorted((describe(row) for row in rows), key=lambda row: row["id"])
    failures: list[dict[str, Any]] = []
    for slug in dataset.manifest.sources:
        if (table := dataset.layout.quarantine(slug)).is_file():
            failures += pl.read_parquet(table).to_dicts()
    return BuiltExample(dataset, tuple(records), tuple(failures))


def read_expected(source: Source, name: str) -> tuple[dict[str, Any], ...]:
    """The rows of expected.jsonl or quarantine.jsonl; no quarantine file means none."""
    path = source.folder / "example" / name
    if not path.is_file():
        if name == RECORDS:
            fix = "pytest --qoqdata-accept writes it; then read it line by line"
            raise CardError("the example has no expected records", where=str(path), fix=fix)
        return ()
    return tuple(json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())


def accept(source: Source, example: BuiltExample) -> None:
    """Write what was built as what is expected; for a person to read before it is committed."""
    for name, rows in ((RECORDS, example.records), (QUARANTINE, example.quarantine)):
        path = source.folder / "example" / name
        if rows or name == RECORDS:
            lines = (json.dumps(row, ensure_ascii=False) for row in rows)
            path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        else:
            path.unlink(missing_ok=True)


def describe(row: dict[str, Any]) -> dict[str, Any]:
    """A record as JSON values: images by size and mean grey, masks by pixels a code, ECGs by
    leads, rate, samples and range in mV. Absent columns are left out."""
    values = {name: value for name, value in row.items() if value is not None}
    if row["images"] is not None:
        values["images"] = [_image(image["bytes"]) for image in row["images"]]
    if row["masks"] is not None:
        values["masks"] = [_mask(mask["bytes"]) for mask in row["masks"]]
    if row["ecg"] is not None:
        values["ecg"] = _ecg(row["ecg"])
    return json.loads(json.dumps(values))


def _image(data: bytes) -> dict[str, Any]:
    from PIL import Image

    with Image.open(BytesIO(data)) as image:
        mean = float(np.asarray(image).mean())
        return {"format": image.format, "mode": image.mode, "size": image.size, "mean": round(mean)}


def _mask(data: bytes) -> dict[str, int]:
    from PIL import Image

    with Image.open(BytesIO(data)) as image:
        codes, counts = np.unique(np.asarray(image), return_counts=True)
    return {str(code): int(count) for code, count in zip(codes, counts, strict=True)}


def _ecg(ecg: dict[str, Any]) -> dict[str, Any]:
    signal = np.asarray(ecg["signal"], np.float32)
    valid = np.asarray(ecg["valid"], bool)
    return {
        "leads": ecg["leads"],
        "fs": ecg["fs"],
        "samples": signal.shape[1],
        "mV": [round(float(signal.min()), 3), round(float(signal.max()), 3)],
        "valid": round(float(valid.mean()), 3),
    }
