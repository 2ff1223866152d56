"""Encoded images written to a file and read back."""

from __future__ import annotations

from pathlib import Path

from qoqdata.readers.image import reader


def read_back(folder: Path, data: bytes, name: str = "image") -> reader.DecodedImage:
    """What `read_image` makes of a file of these bytes."""
    path = folder / name
    path.write_bytes(data)
    return reader.read_image(path)
