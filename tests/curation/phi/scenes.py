"""Data sets whose records hold given texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qoqdata.dataset import Dataset
from qoqdata.readers import encode
from tests.records.sound_rows import HEIGHT, WIDTH, image_row
from tests.validation.written_set import write


def texts(tmp_path: Path, *context: str, **changes) -> Dataset:
    """Records r0, r1, ... with these contexts, each of an image of its own."""
    rows = [
        image_row(id=f"r{n}", patient=f"p{n}", study=f"s{n}", context=text, **changes)
        | {"images": [{"bytes": _image(n), "path": "0.png"}]}
        for n, text in enumerate(context)
    ]
    return write(tmp_path / "set", rows)


def _image(seed: int) -> bytes:
    """Noise, as large as the row says."""
    return encode.png(np.random.default_rng(seed).integers(0, 255, (HEIGHT, WIDTH), np.uint8))
