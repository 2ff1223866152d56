"""What the settings of `training` cost: bytes, decoding, error, and how small a box becomes.

    python -m benchmarks.build.storage_policy FOLDER...

Each folder holds image or DICOM files of one kind. The error is that of JPEG against the area
average that it encodes, in grey levels; the box is one of 1 % of the longer side, as small as
radiologists draw them, in stored pixels.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from benchmarks.cpu import best
from qoqdata import console
from qoqdata.contract.storage import Storage
from qoqdata.errors import InputError
from qoqdata.readers import encode
from qoqdata.readers.dicom import read_dicom
from qoqdata.readers.image.reader import read_image, to_uint8
from qoqdata.records.storage import bounded, shrink_pixels

MEGAPIXEL = 1024 * 1024
PIXELS = (0.25, 0.5, 1.0, 2.0, 4.0)
QUALITIES = (85, 90, 95, 98)
SMALLEST = 0.01


def main(folders: Iterable[str]) -> None:
    """One table a folder: settings against costs, means over its files."""
    for folder in folders:
        images = [pixels for path in _files(Path(folder)) if (pixels := _pixels(path)) is not None]
        if not images:
            raise SystemExit(f"{folder}: no image that can be read")
        sides = sorted(max(pixels.shape[:2]) for pixels in images)
        rows = [
            (f"{size:g} MP, quality {quality}", *_costs(images, _storage(size, quality)))
            for size in PIXELS
            for quality in (QUALITIES if size == 1 else (95,))
        ]
        png = [encode.png(pixels) for pixels in images]
        rows.append(("native PNG", _mean(map(len, png)) / 1000, _decoding(png), 0.0, 0.0,
                     SMALLEST * _mean(sides)))  # fmt: skip
        title = f"{Path(folder).name}, {len(images)} of {sides[0]} to {sides[-1]}"
        heads = ("kB", "decode ms", "mean error", "largest error", "box of 1 %")
        console.table((title, *heads), rows)
        console.say()


def _costs(images: list[np.ndarray], storage: Storage) -> tuple[float, ...]:
    encoded, errors, sides = [], [], []
    for pixels in images:
        size = bounded((pixels.shape[1], pixels.shape[0]), storage.max_pixels)
        small = shrink_pixels(pixels, size)
        data = encode.jpeg(small, quality=storage.quality)
        encoded.append(data)
        errors.append(np.abs(_decoded(data).astype(int) - small))
        sides.append(max(size))
    return (
        _mean(map(len, encoded)) / 1000,
        _decoding(encoded),
        _mean(float(error.mean()) for error in errors),
        float(max(error.max() for error in errors)),
        SMALLEST * _mean(sides),
    )


def _storage(size: float, quality: int) -> Storage:
    return Storage(max_pixels=round(size * MEGAPIXEL), quality=quality)


def _decoding(encoded: list[bytes]) -> float:
    return best(lambda: [_decoded(data) for data in encoded]) / len(encoded) * 1000


def _decoded(data: bytes) -> np.ndarray:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    return pixels if pixels.ndim == 2 else pixels[..., ::-1]


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _pixels(path: Path) -> np.ndarray | None:
    try:
        image = read_image(path)
        return image.pixels if image.bits == 8 else to_uint8(image.pixels, bits=image.bits)
    except InputError:
        try:
            return read_dicom(path, frames=[0]).frames[0]
        except InputError:
            return None


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


if __name__ == "__main__":
    main(sys.argv[1:])
