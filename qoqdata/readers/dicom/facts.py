"""The header facts of a file, without its pixels: what planning looks at."""

from __future__ import annotations

from pathlib import Path

from qoqdata.readers.dicom.dataset import located, open_dataset
from qoqdata.readers.dicom.header import DicomHeader, header
from qoqdata.readers.limits import DEFAULT_LIMITS, Limits


def read_dicom_header(path: Path | str, *, limits: Limits = DEFAULT_LIMITS) -> DicomHeader:
    """The facts of the DICOM file at `path`; identifiers in it are raw.

    Raises MissingFile, UnreadableFile (no DICOM, damaged), TooLarge.
    """
    opened = open_dataset(Path(path), limits=limits, pixels=False)
    with located(opened.where):
        return header(opened.dataset)
