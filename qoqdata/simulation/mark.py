"""What synthetic files say of themselves, and how their folders come to be."""

from __future__ import annotations

from pathlib import Path

#: In a DICOM comment, a PNG text, a JPEG comment, a WFDB comment, NIfTI's `descrip`, a video.
MARK = "synthetic, made by qoqdata; shows no patient"


def write_bytes(path: Path, data: bytes) -> None:
    """A file with its folders; one that is there is overwritten."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
