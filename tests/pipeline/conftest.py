"""Raw trees that the build tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from qoqdata.pipeline.config import SourceRequest
from qoqdata.readers import encode
from qoqdata.records.identity import Salt

SALT = Salt(b"a salt of thirty-two bytes, test")


@pytest.fixture
def films(tmp_path: Path) -> Callable[..., SourceRequest]:
    """Make a folder of `count` small images with a table; returns the request that builds it."""

    def make(count: int, slug: str = "films", name: str = "films-raw") -> SourceRequest:
        raw = tmp_path / name
        raw.mkdir()
        rows = ["file,label,patient"]
        for number in range(count):
            pixels = np.random.default_rng(number).integers(0, 256, (40, 50), np.uint8)
            (raw / f"{number:04d}.png").write_bytes(encode.png(pixels))
            rows.append(f"{number:04d}.png,{'ab'[number % 2]},p{number // 3}")
        (raw / "labels.csv").write_text("\n".join(rows) + "\n")
        return SourceRequest(source="image_table", raw=raw, mapping=mapping(slug))

    return make


def mapping(slug: str, **labels: str) -> dict:
    """The mapping of `films`."""
    return {
        "slug": slug,
        "name": "Films",
        "domain": "chest_xray",
        "question": "What does it show?",
        "labels": labels or {"a": "Clear", "b": "Opaque"},
        "table": {"file": "labels.csv", "key": "file", "labels": "label", "patient": "patient"},
    }
