"""Synthetic DICOM sets: chest films, CT slices, and the compressed transfer syntaxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

#: Name, side in pixels, bits stored, files, transfer syntax.
SETS = (
    ("CXR 2048 raw", 2048, 12, 24, ExplicitVRLittleEndian),
    ("CT 512 raw", 512, 16, 100, ExplicitVRLittleEndian),
    ("RLE 1024", 1024, 12, 18, RLELossless),
    ("JPEG-LS 1024", 1024, 12, 18, JPEGLSLossless),
    ("JPEG 2000 1024", 1024, 12, 12, JPEG2000Lossless),
)


def make_sets(root: Path) -> dict[str, list[Path]]:
    """Write all sets below `root`; the same bytes in every run, unique names and UIDs."""
    return {
        name: [
            write_dicom(
                root / f"{name.replace(' ', '_')}_{number:03d}.dcm", side, bits, syntax, number
            )
            for number in range(count)
        ]
        for name, side, bits, count, syntax in SETS
    }


def write_dicom(path: Path, side: int, bits: int, syntax: str, number: int) -> Path:
    """One file of `side` x `side`: a film, or with 16 bits a CT slice; `number` is its seed."""
    dataset = Dataset()
    ct = bits == 16
    kind = CTImageStorage if ct else DigitalXRayImageStorageForPresentation
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = kind
    uid = generate_uid(entropy_srcs=[path.name])
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = uid
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=[path.name, "study"])
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=[path.name, "series"])
    dataset.Modality = "CT" if ct else "DX"
    dataset.PatientID, dataset.PatientName = f"P{number}", "Benchmark"
    dataset.StudyDate, dataset.SeriesNumber, dataset.InstanceNumber = "20000101", 1, number
    dataset.Rows = dataset.Columns = side
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, bits, bits - 1
    dataset.PixelRepresentation = int(ct)
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, (-1024 if ct else 0)
    dataset.WindowCenter, dataset.WindowWidth = (40, 400) if ct else (2048, 3600)
    dataset.PixelData = _image(side, bits, number).astype("<i2" if ct else "<u2").tobytes()
    if syntax != ExplicitVRLittleEndian:
        dataset.compress(syntax)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def _image(side: int, bits: int, number: int) -> np.ndarray:
    """Smooth anatomy-like blobs with detector noise, so that codecs meet realistic entropy."""
    rng = np.random.default_rng(number)
    y, x = np.mgrid[:side, :side] / side
    field = 0.5 + 0.25 * np.sin(7 * x + number) * np.cos(5 * y)
    for cx, cy, r in rng.random((6, 3)):
        field += 0.3 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (0.005 + 0.03 * r))
    field = field / field.max() + rng.normal(0, 0.004, field.shape)
    if bits == 16:
        return np.clip(field * 2000, 0, 3000)
    return np.clip(field * (2**bits - 1), 0, 2**bits - 1)
