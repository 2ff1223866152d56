"""Films with a table of labels, patients, splits and contexts, built into a set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from qoqdata.dataset import Dataset, open_dataset
from qoqdata.pipeline.build import build
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from tests.pipeline.conftest import SALT, mapping


@dataclass(frozen=True)
class Film:
    """A row of the table and its file, grey or RGB; without pixels the file is not there."""

    file: str
    label: str
    patient: str
    split: str
    pixels: np.ndarray | None
    context: str = ""


def built(root: Path, films: Iterable[Film], **said: Any) -> Dataset:
    """The set at `root`/set, of the raw files that are written to `root`/raw; `said` is what its
    mapping says otherwise."""
    request = requested(root / "raw", films, "films", **said)
    build(BuildConfig(sources=(request,)), root / "set", BuildSetting(SALT, workers=0))
    return open_dataset(root / "set")


def requested(raw: Path, films: Iterable[Film], slug: str, **said: Any) -> SourceRequest:
    """The source `slug` of raw files that are written to `raw`."""
    raw.mkdir(parents=True)
    rows = ["file,label,patient,set,note"]
    for film in films:
        if film.pixels is not None:
            pixels = film.pixels if film.pixels.ndim == 2 else film.pixels[..., ::-1]
            cv2.imwrite(str(raw / film.file), pixels)
        rows.append(f"{film.file},{film.label},{film.patient},{film.split},{film.context}")
    (raw / "labels.csv").write_text("\n".join(rows) + "\n")
    own = mapping(slug) | said
    own["table"] |= {"split": "set", "context": "note"}
    return SourceRequest(source="image_table", raw=raw, mapping=own)
