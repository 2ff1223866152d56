"""The data files of headers, and texts beside the data."""

from __future__ import annotations

from pathlib import Path

import pytest

from qoqdata.errors import OutsideRoot, UnreadableFile
from qoqdata.sources.companions import beside_the_data, data_files
from qoqdata.sources.protocol import Filtered, Refused
from qoqdata.sources.rawtree import open_raw


@pytest.mark.parametrize(
    ("header", "content", "found"),
    [
        ("d/a.mhd", "NDims = 3\nElementDataFile = other.raw\n", ["d/other.raw"]),
        ("d/a.mhd", "ElementDataFile = s%02d.raw 1 3 1\n", ["d/s01.raw", "d/s02.raw"]),
        ("d/a.mhd", "ElementDataFile = LIST\ns02.raw\ns01.raw\n", ["d/s02.raw", "d/s01.raw"]),
        ("d/a.mhd", "ElementDataFile = LOCAL\n", []),
        ("d/a.mhd", "ElementDataFile = ../a.raw\n", []),
        ("d/a.mhd", "ElementDataFile = %999999999d 1 2 1\n", []),
        ("d/a.nhdr", "NRRD0004\ntype: short\ndata file: other.raw\n", ["d/other.raw"]),
        ("d/p.hdr", "\0", ["d/p.img"]),
        ("d/q.hdr", "\0", []),
        ("d/a.nii.gz", "other.raw", []),
    ],
)
def test_a_header_tells_its_data(
    tmp_path: Path, header: str, content: str, found: list[str]
) -> None:
    (tmp_path / "d").mkdir()
    for name in ("other.raw", "s01.raw", "s02.raw", "p.img"):
        (tmp_path / "d" / name).write_text("")
    (tmp_path / header).write_text(content)
    raw = open_raw(tmp_path)
    assert list(data_files(header, raw, set(raw.files()))) == found


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("README", True),
        ("deep/README.md", True),
        ("LICENSE.txt", True),
        ("SHA256SUMS", True),
        ("labels.xlsx", True),
        ("IM0001", False),
        ("readme_0001.dcm", False),
        ("1.2.840.113", False),
    ],
)
def test_texts_are_told_by_their_names(path: str, document: bool) -> None:
    outcome = beside_the_data(path, UnreadableFile("the file is not DICOM", where=path))
    assert isinstance(outcome, Filtered if document else Refused)
    assert outcome.files == (path,)
    assert isinstance(beside_the_data(path, OutsideRoot("leaves", where=path)), Refused)
