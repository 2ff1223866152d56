"""Data sets whose records hold given texts."""

from __future__ import annotations

from pathlib import Path

from qoqdata.dataset import Dataset
from tests.records.sound_rows import image_row
from tests.validation.written_set import write


def texts(tmp_path: Path, *context: str, **changes) -> Dataset:
    """Records r0, r1, ... with these contexts."""
    rows = [
        image_row(id=f"r{n}", patient=f"p{n}", study=f"s{n}", context=text, **changes)
        for n, text in enumerate(context)
    ]
    return write(tmp_path / "set", rows)
