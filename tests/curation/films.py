"""Data sets of films whose copies a curation pass finds."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from qoqdata.dataset import Dataset, open_dataset
from qoqdata.pipeline.build import build
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from tests.pipeline.conftest import SALT, mapping
from tests.scenes import scene

#: File, split and what it shows: 0 to 5 are scenes; a quarter of the size, brighter or JPEG.
FILMS = (
    ("train_own.png", "train", scene(0)),
    ("train_of_test.png", "train", cv2.resize(scene(1), (80, 80), interpolation=cv2.INTER_AREA)),
    ("train_of_validation.jpg", "train", scene(2)),
    ("train_black.png", "train", np.zeros((60, 60, 3), np.uint8)),
    ("validation_own.png", "validation", scene(2)),
    ("validation_of_test.png", "validation", np.clip(scene(3) * 1.1, 0, 255).astype(np.uint8)),
    ("test_one.png", "test", scene(1)),
    ("test_two.jpg", "test", scene(3)),
    ("test_black.png", "test", np.zeros((60, 60, 3), np.uint8)),
)


def built(tmp_path: Path, films: Iterable[tuple[str, str, str, np.ndarray]]) -> Dataset:
    """A data set of (file, split, label, RGB pixels), one patient a film, so that only the images
    tell."""
    raw = tmp_path / "raw"
    raw.mkdir()
    rows = ["file,label,patient,set"]
    for number, (name, split, label, pixels) in enumerate(films):
        cv2.imwrite(str(raw / name), pixels[..., ::-1])
        rows.append(f"{name},{label},p{number},{split}")
    (raw / "labels.csv").write_text("\n".join(rows) + "\n")
    said = mapping("films")
    said["table"]["split"] = "set"
    request = SourceRequest(source="image_table", raw=raw, mapping=said)
    build(BuildConfig(sources=(request,)), tmp_path / "set", BuildSetting(SALT, workers=0))
    return open_dataset(tmp_path / "set")


def leaky_set(tmp_path: Path) -> Dataset:
    """The films of FILMS."""
    return built(tmp_path, ((name, split, "a", pixels) for name, split, pixels in FILMS))


def in_train(tmp_path: Path, films: dict[str, np.ndarray]) -> Dataset:
    """Films that are all in train; the first letter of a file is its label."""
    return built(tmp_path, ((name, "train", name[0], one) for name, one in films.items()))
