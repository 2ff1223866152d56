"""Where the data of a detached NRRD header lie: lists, patterns; nothing outside its folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qoqdata.errors import MissingFile, OutsideRoot, TooLarge, UnreadableFile
from qoqdata.readers.volume import nrrd
from tests.readers.itk_images import assert_agrees_with_itk
from tests.readers.nrrd_files import SHORTS, header, write


@pytest.mark.parametrize(
    "statement",
    [
        "LIST\ns1.raw\ns2.raw\ns3.raw\ns4.raw\n",
        "LIST 2\ns1.raw\r\ns2.raw\r\ns3.raw\r\ns4.raw\r\n",
        "LIST 3\nslab1.raw\nslab2.raw\n",
        "s%d.raw 1 4 1\n",
        "r%02d.raw 4 1 -1\n",
        "slab%d.raw 1 2 1 3\n",
    ],
)
def test_data_in_several_files(tmp_path: Path, statement: str) -> None:
    for number, part in enumerate(np.split(SHORTS, 4), 1):
        (tmp_path / f"s{number}.raw").write_bytes(part.tobytes())
        (tmp_path / f"r{5 - number:02d}.raw").write_bytes(part.tobytes())
    for number, part in enumerate(np.split(SHORTS, 2), 1):
        (tmp_path / f"slab{number}.raw").write_bytes(part.tobytes())
    path = write(tmp_path, header() + f"data file: {statement}".encode())
    np.testing.assert_array_equal(nrrd.read_nrrd(path).voxels.ravel(order="F"), SHORTS)
    assert_agrees_with_itk(nrrd.read_nrrd(path), path)


@pytest.mark.parametrize(
    "statement",
    [
        "LIST\ns1.raw\n",
        "LIST\n",
        "LIST 3\ns1.raw\ns1.raw\ns1.raw\n",
        "LIST 0\ns1.raw\n",
        "LIST 4\ns1.raw\n",
        "LIST two\ns1.raw\n",
        "s%d.raw 1 4",
        "s%d.raw 1 3 1",
        "s%d.raw 1 4 0",
        "s%d.raw a b c",
        "s%s.raw 1 4 1",
        "",
    ],
)
def test_wrong_lists_and_patterns_are_refused(tmp_path: Path, statement: str) -> None:
    (tmp_path / "s1.raw").write_bytes(SHORTS[:6].tobytes())
    with pytest.raises(UnreadableFile):
        nrrd.read_nrrd(write(tmp_path, header() + f"data file: {statement}\n".encode()))


def test_a_pattern_of_a_billion_files_is_refused(tmp_path: Path) -> None:
    head = header() + b"data file: s%d.raw 1 1000000000 1\n"
    with pytest.raises(TooLarge, match="frames"):
        nrrd.read_nrrd(write(tmp_path, head))


@pytest.mark.parametrize("name", ["../a.raw", "/etc/passwd", "C:/a.raw", "sub/../../a.raw"])
@pytest.mark.parametrize("prefix", ["", "LIST 3\n"])
def test_data_files_elsewhere_are_refused(tmp_path: Path, name: str, prefix: str) -> None:
    inside = tmp_path / "in"
    (inside / "sub").mkdir(parents=True)
    (tmp_path / "a.raw").write_bytes(SHORTS.tobytes())
    with pytest.raises(OutsideRoot):
        nrrd.read_nrrd(write(inside, header() + f"data file: {prefix}{name}\n".encode()))


def test_links_out_of_the_folder_and_absent_files_are_refused(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    (tmp_path / "a.raw").write_bytes(SHORTS.tobytes())
    path = write(inside, header() + b"data file: a.raw\n")
    with pytest.raises(MissingFile):
        nrrd.read_nrrd(path)
    (inside / "a.raw").symlink_to(tmp_path / "a.raw")
    with pytest.raises(OutsideRoot):
        nrrd.read_nrrd(path)
