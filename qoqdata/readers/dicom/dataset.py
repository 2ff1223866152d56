"""Open one DICOM file: with or without a preamble, a file extension or a transfer syntax."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from qoqdata.errors import MissingFile, QoqdataError, UnreadableFile
from qoqdata.readers.dicom import elements, identifiers
from qoqdata.readers.dicom.pixel_data import HELD_BYTES, UNDEFINED_LENGTH
from qoqdata.readers.limits import Limits
from qoqdata.readers.raw_file import RangedFile, open_raw_file, raw_state

_PREAMBLE = 128
_DEFLATED_STEP, _INFLATE_STEP = 1 << 16, 1 << 20
# No DEFLATE stream grows more: 258 bytes from two bits (RFC 1951, 3.2.5).
_LARGEST_INFLATION = 1032
_TRAILING_PADDING = 0xFFFCFFFC
_FIRST_GROUPS = (0x0002, 0x0008, 0x0800)  # file meta, identification, the latter in big endian


@dataclass(frozen=True)
class OpenFile:
    """A parsed dataset, the `where` that errors name, and what had to be repaired on opening."""

    dataset: Dataset
    where: str
    repairs: tuple[str, ...]


@contextmanager
def located(where: str) -> Iterator[None]:
    """Give our errors that lack a place the place `where`, and keep pydicom's warnings quiet.

    Its warnings quote header values, which may be names or dates.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except QoqdataError as error:
        if error.where is None:
            error.where = where
        raise


def open_dataset(path: Path | RangedFile, *, limits: Limits, pixels: bool = True) -> OpenFile:
    """Parse the DICOM file at `path`; without the pixel data when `pixels` is False.

    Large pixel data stay in the file: read them with `pixel_data`.

    A file without the preamble is accepted when it starts with a file meta or identifying group
    and names its SOP class or an image size. A file without TransferSyntaxUID is read in the
    uncompressed syntax that its first element shows. Both are told in `repairs`. Deflated files
    (PS3.5 A.5) are measured before they are inflated.

    Raises MissingFile, UnreadableFile (no DICOM, damaged, truncated) or TooLarge.
    """
    where = str(path)
    with located(where):
        try:
            size = raw_state(path, limits=limits)[1]
            limits.check("file_bytes", size, where=where)
            file = open_raw_file(path, limits=limits)
            # Pixel data in memory are read from there later, as those in a file are from the file.
            with nullcontext(file) if isinstance(file, BytesIO) else file:
                return _parse(file, size, limits=limits, pixels=pixels, where=where)
        except FileNotFoundError as error:
            raise MissingFile("the file does not exist") from error
        except OSError as error:
            raise UnreadableFile(f"the file cannot be opened ({error.strerror})") from error


def _parse(file: BinaryIO, size: int, *, limits: Limits, pixels: bool, where: str) -> OpenFile:
    start = file.read(_PREAMBLE + 4)
    has_preamble = start[_PREAMBLE:] == b"DICM"
    if size * _LARGEST_INFLATION > limits.inflated_bytes:
        _check_inflated(file, _PREAMBLE + 4 if has_preamble else 0, limits=limits, where=where)
    file.seek(0)
    try:
        dataset = _dataset(file, has_preamble=has_preamble, pixels=pixels)
    except QoqdataError:  # of a file elsewhere, which went
        raise
    except Exception as error:
        raise UnreadableFile(
            f"the file does not parse as DICOM ({type(error).__name__})"
        ) from error
    repairs = []
    if not has_preamble:
        has_facts = "SOPClassUID" in dataset or ("Rows" in dataset and "Columns" in dataset)
        if int.from_bytes(start[:2], "little") not in _FIRST_GROUPS or not has_facts:
            raise UnreadableFile("the file is not DICOM")
        repairs.append("no preamble: read as DICOM from the first byte")
    _check_complete(dataset, size)
    identifiers.note(dataset)
    repairs += _supply_transfer_syntax(dataset)
    return OpenFile(dataset, where, tuple(repairs))


def _dataset(file: BinaryIO, *, has_preamble: bool, pixels: bool) -> Dataset:
    """The parsed dataset; values beyond HELD_BYTES from the pixel data on are left in the file."""
    dataset: Dataset = pydicom.dcmread(file, force=not has_preamble, stop_before_pixels=True)
    if not pixels:
        return dataset
    if dataset.file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        file.seek(0)
        return pydicom.dcmread(file, force=not has_preamble)
    implicit, little = dataset.original_encoding
    dataset.update(read_dataset(file, bool(implicit), bool(little), defer_size=HELD_BYTES))
    return dataset


def _check_inflated(file: BinaryIO, offset: int, *, limits: Limits, where: str) -> None:
    """Raise TooLarge when a deflated data set is beyond the limit, before pydicom inflates it."""
    for implicit in (False, True):
        file.seek(offset)
        try:
            meta = read_dataset(
                file, implicit, True, stop_when=lambda tag, vr, length: tag >> 16 != 2
            )
            syntax = meta.get("TransferSyntaxUID")
        except Exception:  # the parse that follows says what is wrong with the file
            continue
        if syntax != DeflatedExplicitVRLittleEndian:
            return
        inflater, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
        # In small pieces: what one leaves over is copied with every step of inflating it.
        while not inflater.eof and (data := inflater.unconsumed_tail or file.read(_DEFLATED_STEP)):
            try:
                size += len(inflater.decompress(data, _INFLATE_STEP))
            except zlib.error as error:
                raise UnreadableFile("the deflated data set is damaged") from error
            limits.check("inflated_bytes", size, where=where)
        return


def _check_complete(dataset: Dataset, size: int) -> None:
    """Raise UnreadableFile when the file ends before its first or inside its last element."""
    tags = list(dataset.keys())
    if not tags:
        raise UnreadableFile("the file holds no data elements, it is truncated or damaged")
    try:
        last = dataset.get_item(tags[-1], keep_deferred=True)
    except Exception as error:
        raise UnreadableFile("the last data element is damaged") from error
    if not isinstance(last, RawDataElement) or last.tag == _TRAILING_PADDING:
        return
    if last.length == UNDEFINED_LENGTH:
        return
    length = len(last.value) if last.value is not None else size - last.value_tell
    if length < last.length:
        raise UnreadableFile("the file ends inside a data element, it is truncated")


def _supply_transfer_syntax(dataset: Dataset) -> list[str]:
    """Write down the syntax that the parser found when the file names none."""
    meta = getattr(dataset, "file_meta", None)
    if meta is None:
        meta = dataset.file_meta = FileMetaDataset()
    if elements.value(meta, "TransferSyntaxUID") is not None:
        return []
    if "PixelData" in dataset:
        element = dataset.get_item("PixelData", keep_deferred=True)
        if getattr(element, "length", None) == UNDEFINED_LENGTH:
            raise UnreadableFile("compressed pixel data without a transfer syntax")
    implicit, little = dataset.original_encoding
    syntax = UID(
        ImplicitVRLittleEndian
        if implicit
        else (ExplicitVRLittleEndian if little else ExplicitVRBigEndian)
    )
    meta.TransferSyntaxUID = syntax
    return [f"no transfer syntax: read as {syntax.name}"]
