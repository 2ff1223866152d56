"""Where the data of a MetaImage header lie: lists, patterns, links; nothing outside its folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qoqdata.errors import InputError, MissingFile, OutsideRoot, UnreadableFile
from qoqdata.readers.volume import metaimage
from tests.readers.metaimage_files import SHORTS, binary, write


@pytest.mark.parametrize(
    "statement",
    [
        "LIST\ns1.raw\ns2.raw\ns3.raw\ns4.raw\n",
        "LIST 2D\ns1.raw\r\ns2.raw\r\ns3.raw\r\ns4.raw",
        "LIST 2\n\ns1.raw\ns2.raw\ns3.raw\ns4.raw\n\n",
        "s%d.raw\n",
        "s%d.raw 1\n",
        "s%d.raw 1 4\n",
        "s%d.raw 1 4 1\n",
        "sub/s%03d.raw 10 16 2\n",
    ],
)
def test_slices_in_files_of_their_own(tmp_path: Path, statement: str) -> None:
    (tmp_path / "sub").mkdir()
    for number, part in enumerate(np.split(SHORTS, 4)):
        (tmp_path / f"s{number + 1}.raw").write_bytes(part.tobytes())
        (tmp_path / "sub" / f"s{10 + 2 * number:03d}.raw").write_bytes(part.tobytes())
    path = write(tmp_path, binary(file=statement.rstrip("\n")) if "LIST" not in statement else "")
    if "LIST" in statement:
        path = write(tmp_path, binary(file=statement))
    np.testing.assert_array_equal(metaimage.read_metaimage(path).voxels.ravel(order="F"), SHORTS)


@pytest.mark.parametrize(
    "statement",
    [
        "LIST\ns1.raw\n",
        "LIST\ns1.raw\ns1.raw\ns1.raw\ns1.raw\ns1.raw\n",
        "LIST 9\ns1.raw\n",
        "LIST x\ns1.raw\n",
        "s%d.raw 1 3",
        "s%d.raw 1 4 0",
        "s%d.raw one 4 1",
        "s%d.raw 1 999999999999 1",
        "s%s.raw 1 4 1",
        "s%d%d.raw 1 4 1",
        "s%n.raw",
        "s%999999999d.raw",
        "",
    ],
)
def test_wrong_lists_and_patterns_are_refused(tmp_path: Path, statement: str) -> None:
    (tmp_path / "s1.raw").write_bytes(SHORTS[:6].tobytes())
    with pytest.raises(UnreadableFile):
        metaimage.read_metaimage(write(tmp_path, binary(file=statement)))


@pytest.mark.parametrize(
    "name",
    ["../a.raw", "sub/../../a.raw", "/etc/passwd", "C:\\a.raw", "\\\\host\\a.raw", "..\\a.raw"],
)
@pytest.mark.parametrize("listed", [False, True])
def test_data_files_elsewhere_are_refused(tmp_path: Path, name: str, listed: bool) -> None:
    inside = tmp_path / "in"
    (inside / "sub").mkdir(parents=True)
    (tmp_path / "a.raw").write_bytes(SHORTS.tobytes())
    statement = "LIST 3\n" + name if listed else name
    with pytest.raises(OutsideRoot):
        metaimage.read_metaimage(write(inside, binary(file=statement)))


def test_links_are_followed_inside_the_folder_only(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    (inside / "sub").mkdir(parents=True)
    (tmp_path / "a.raw").write_bytes(SHORTS.tobytes())
    (inside / "sub" / "b.raw").write_bytes(SHORTS.tobytes())
    path = write(inside, binary())
    (inside / "a.raw").symlink_to(inside / "sub" / "b.raw")
    np.testing.assert_array_equal(metaimage.read_metaimage(path).voxels.ravel(order="F"), SHORTS)
    (inside / "a.raw").unlink()
    (inside / "a.raw").symlink_to(tmp_path / "a.raw")
    with pytest.raises(OutsideRoot):
        metaimage.read_metaimage(path)
    (inside / "a.raw").unlink()
    (inside / "a.raw").symlink_to(inside / "a.raw")
    with pytest.raises(InputError):
        metaimage.read_metaimage(path)


def test_absent_data_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFile):
        metaimage.read_metaimage(write(tmp_path, binary(file="none.raw")))
    (tmp_path / "sub").mkdir()
    with pytest.raises(UnreadableFile):
        metaimage.read_metaimage(write(tmp_path, binary(file="sub")))
    with pytest.raises(MissingFile):
        metaimage.read_metaimage(tmp_path / "none.mhd")
    with pytest.raises(UnreadableFile):
        metaimage.read_metaimage(tmp_path)
