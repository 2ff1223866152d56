"""Raw folders that are built: chest films, CT slices, RLE films, and small JPEG photographs."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from benchmarks.readers.dicom_sets import write_dicom

DICOM_MAPPING = """slug: films
name: Benchmark films
domain: chest_xray
question: Which modality is this?
labels: {DX: Radiograph, CT: Tomogram}
label_header: modality
"""
JPEG_MAPPING = """slug: photographs
name: Benchmark photographs
domain: dermoscopy
question: Which lesion is this?
labels: {a: Naevus, b: Melanoma}
table: {file: labels.csv, key: file, labels: label}
"""
#: Name, source, mapping, and how a file of a number is written.
SETS = (
    ("film 2048", "dicom_folder", DICOM_MAPPING, (2048, 12, ExplicitVRLittleEndian)),
    ("CT 512", "dicom_folder", DICOM_MAPPING, (512, 16, ExplicitVRLittleEndian)),
    ("RLE 1024", "dicom_folder", DICOM_MAPPING, (1024, 12, RLELossless)),
    ("JPEG 600 x 450", "image_table", JPEG_MAPPING, None),
)


def write_set(root: Path, count: int, shape: tuple[int, int, str] | None) -> None:
    """`count` files below `root`: DICOM of (side, bits, transfer syntax), or JPEG with a table."""
    root.mkdir(parents=True)
    for number in range(count):
        if shape is not None:
            write_dicom(root / f"{number:05d}.dcm", *shape, number)
        else:
            _write_photograph(root / f"{number:05d}.jpg", number)
    if shape is None:
        rows = (f"{number:05d}.jpg,{'ab'[number % 2]}" for number in range(count))
        (root / "labels.csv").write_text("\n".join(("file,label", *rows)) + "\n")


def _write_photograph(path: Path, number: int) -> None:
    rng = np.random.default_rng(number)
    y, x = np.mgrid[:450, :600] / 450
    skin = np.stack([190 + 30 * x, 150 + 20 * y, 140 + 10 * x * y], axis=-1)
    lesion = np.exp(-((x - 0.6) ** 2 + (y - 0.5) ** 2) / rng.uniform(0.01, 0.05))
    pixels = skin - 110 * lesion[..., None] + rng.normal(0, 4, skin.shape)
    cv2.imwrite(str(path), np.clip(pixels, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 90])
