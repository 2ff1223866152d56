"""Films with lines burned into them, and a private data set of them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from qoqdata.dataset import Dataset, open_dataset
from qoqdata.pipeline.build import build
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.suite.examples import SALT
from tests.scenes import scene

#: Corners of the line on every written film.
LINE = (12, 8, 200, 32)


def write(pixels: np.ndarray, text: str, *, at=(14, 26), colour=(255, 255, 255)) -> np.ndarray:
    """A copy with a line, capitals about 14 pixels high, its base line's left end at x, y."""
    written = pixels.copy()
    cv2.putText(written, text, at, colour, cv2.FontFace("uni"), 19)
    return written


def films(folder: Path, **files: np.ndarray) -> Path:
    """A raw tree of PNG files, of which each is another patient's, all in train."""
    folder.mkdir()
    rows = ["file,label,patient"]
    for number, (name, pixels) in enumerate(files.items()):
        cv2.imwrite(str(folder / f"{name}.png"), pixels[..., ::-1])
        rows.append(f"{name}.png,a,p{number}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder


def films_set(raw: Path, out: Path) -> Dataset:
    """A private data set of `films`, which its owner may publish."""
    mapping = {
        "slug": "mine",
        "name": "My films",
        "domain": "chest_xray",
        "question": "What is it?",
        "options": ["a", "b"],
        "redistribution": "allowed",
        "table": {"file": "labels.csv", "key": "file", "labels": "label", "patient": "patient"},
    }
    request = SourceRequest(source="image_table", raw=raw, mapping=mapping)
    build(BuildConfig(sources=(request,)), out, BuildSetting(SALT, workers=0))
    return open_dataset(out)


def three_films(folder: Path) -> Path:
    """One film with a name, one with the marker L, one without either."""
    return films(
        folder,
        named=write(scene(0, 240), "SMITH^JOHN 1943"),
        marked=write(scene(1, 240), "L"),
        clean=scene(2, 240),
    )


def without_ocr(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the extra is not installed, whatever is on this machine."""
    monkeypatch.setattr("qoqdata.curation.burned_in.pixels.recogniser_name", lambda: None)
