"""What a hostile file makes large costs in proportion to it: steps are counted, not timed."""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from qoqdata.errors import BadTable
from qoqdata.readers.dicom import dataset
from qoqdata.readers.limits import Limits
from qoqdata.sources import raw_tables
from qoqdata.sources.rawtree import RawTree
from tests.readers import dicom_files  # noqa: F401


class CountingInflater:
    """zlib's, with a count of the input bytes that each call is given, so copies when it is not
    all used."""

    given = 0

    def __init__(self, inflater: Any) -> None:
        self._inflater = inflater

    def decompress(self, data: bytes, most: int) -> bytes:
        CountingInflater.given += len(data)
        return self._inflater.decompress(data, most)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inflater, name)
