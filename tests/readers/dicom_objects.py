"""Small DICOM objects for the tests, written from arrays and keywords."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from qoqdata.readers.dicom import DicomImage, read_dicom


def image(stored: np.ndarray, **keywords: Any) -> FileDataset:
    """A grey image of stored values (rows, columns) or (frames, rows, columns), CT by default.

    Keywords set or, with None, delete elements. Signedness and bits follow the dtype.
    """
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["qoqdata", "object"])
    dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=["qoqdata", "study"])
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=["qoqdata", "series"])
    dataset.Modality = "CT"
    bits = stored.dtype.itemsize * 8
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = stored.shape[-2:]
    if stored.ndim == 3:
        dataset.NumberOfFrames = len(stored)
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = int(stored.dtype.kind == "i")
    data = np.ascontiguousarray(stored).tobytes()
    dataset.add_new("PixelData", "OW" if bits > 8 else "OB", data + b"\0" * (len(data) % 2))
    return change(dataset, **keywords)


def colour(samples: np.ndarray, **keywords: Any) -> FileDataset:
    """An RGB image of samples (rows, columns, 3)."""
    dataset = image(np.zeros(samples.shape[:2], samples.dtype))
    dataset.SamplesPerPixel = 3
    dataset.PhotometricInterpretation = "RGB"
    dataset.PlanarConfiguration = 0
    data = np.ascontiguousarray(samples).tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    return change(dataset, **keywords)


def change(dataset: FileDataset, **keywords: Any) -> FileDataset:
    """Set elements of a dataset; None deletes."""
    for keyword, value in keywords.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def item(**keywords: Any) -> Dataset:
    """A sequence item."""
    dataset = Dataset()
    for keyword, value in keywords.items():
        setattr(dataset, keyword, value)
    return dataset


def save(dataset: FileDataset, path: Path) -> Path:
    """Write a dataset in the encoding of its transfer syntax."""
    dataset.save_as(path, enforce_file_format=True)
    return path


def shown(dataset: FileDataset, tmp_path: Path, **options: object) -> DicomImage:
    """What `read` makes of a dataset once it is a file."""
    return read_dicom(save(dataset, tmp_path / "one.dcm"), **options)  # type: ignore[arg-type]


def levels(dataset: FileDataset, tmp_path: Path, **options: object) -> list:
    """The first frame of `shown`, as a list."""
    return shown(dataset, tmp_path, **options).frames[0].tolist()


def row(*values: int, dtype: str = "<u2") -> np.ndarray:
    """One row of stored values."""
    return np.array([values], dtype)
