"""Every reader takes members as it takes files, and gives the same."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_file

import qoqdata.readers
from qoqdata.errors import MissingFile, OutsideRoot
from qoqdata.readers import encode, masks, video, volume
from qoqdata.readers.dicom import group_series, read_dicom
from qoqdata.readers.ecg import read_ecg
from qoqdata.readers.image.reader import read_image
from qoqdata.readers.raw_file import taking_digests
from qoqdata.sources.rawtree import RawTree, open_raw, read_text
from tests.readers import nifti_files, wfdb_records_by_hand
from tests.readers.container_files import write_tar, write_zip
from tests.readers.video_clips import ALL, written_clip

LIMITED = {"exists", "is_file", "is_dir", "iterdir", "stat", "open", "read_bytes", "read_text"}
#: Where the files themselves are looked at, and the one reader that takes a folder.
DOORS = ("raw_file.py", "beside.py", "slices.py")


def packed(folder: Path, file: str) -> RawTree:
    """A raw tree that holds nothing but an archive of the files in `folder`, below `in/`."""
    root = folder.parent / "packed"
    root.mkdir()
    members = {f"in/{path.name}": path.read_bytes() for path in sorted(folder.iterdir())}
    (write_zip if file.endswith("zip") else write_tar)(root / file, members)
    return open_raw(root)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "plain").mkdir()
    return tmp_path / "plain"


@pytest.mark.parametrize("file", ["a.zip", "a.tar.gz"])
def test_images_masks_and_texts(folder: Path, file: str) -> None:
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8) % 3
    (folder / "a.png").write_bytes(encode.png(pixels))
    (folder / "a.txt").write_text("text")
    raw = packed(folder, file)
    path = raw.resolve(f"{file}#in/a.png")
    assert np.array_equal(read_image(path).pixels, pixels)
    assert np.array_equal(masks.read_mask(path, codes={1: "a", 2: "b"}).codes, pixels)
    assert read_text(raw, f"{file}#in/a.txt") == "text"


def test_dicom_with_large_pixel_data(folder: Path) -> None:
    source = get_testdata_file("MR_small_RLE.dcm", download=False)
    plain = get_testdata_file("CT_small.dcm", download=False)
    assert source is not None and plain is not None
    for name, path in (("a.dcm", source), ("b.dcm", plain)):
        (folder / name).write_bytes(Path(str(path)).read_bytes())
    raw = packed(folder, "a.tar")
    members = [raw.resolve(one) for one in raw.files("a.tar#*.dcm")]
    for name, member in zip(("a.dcm", "b.dcm"), members, strict=True):
        assert np.array_equal(read_dicom(member).frames, read_dicom(folder / name).frames)
    assert sorted(len(paths) for paths in group_series(members).values()) == [1, 1]


def test_volumes_and_their_pairs(folder: Path) -> None:
    voxels = nifti_files.ramp((3, 4, 5), "int16")
    nifti_files.write(folder / "v.nii.gz", voxels)
    nifti_files.write(folder / "p.img", voxels)
    (folder / "m.raw").write_bytes(voxels.astype("<i2").tobytes(order="F"))
    (folder / "m.mhd").write_text(
        "ObjectType = Image\nNDims = 3\nDimSize = 3 4 5\nElementType = MET_SHORT\n"
        "ElementSpacing = 1 1 1\nElementDataFile = m.raw\n"
    )
    raw = packed(folder, "a.tar.gz")
    for name in ("v.nii.gz", "p.img", "p.hdr", "m.mhd"):
        member = raw.resolve(f"a.tar.gz#in/{name}")
        expected = volume.read_volume(folder / name)
        found = volume.read_volume(member)
        assert np.array_equal(found.voxels, expected.voxels)
        assert np.array_equal(found.affine, expected.affine)


@pytest.mark.parametrize("prefix", ["", "deep/er/"])
def test_wfdb_pairs(folder: Path, prefix: str) -> None:
    stored = wfdb_records_by_hand.noise()
    wfdb_records_by_hand.dat(folder, stored)
    members = {f"{prefix}{path.name}": path.read_bytes() for path in folder.iterdir()}
    write_zip(folder / "a.zip", members)
    # The files beside the archive are another recording, and must not be taken.
    wfdb_records_by_hand.dat(folder, stored[::-1] + 1)
    raw = open_raw(folder)
    expected = wfdb_records_by_hand.millivolts(stored)
    for name in ("rec.hea", "rec.dat"):
        with taking_digests():
            found = read_ecg(raw.resolve(f"a.zip#{prefix}{name}"))
        assert np.array_equal(found.signal, expected) and found.age == 60
        assert not any("another record" in repair for repair in found.repairs)


def test_a_header_in_an_archive_names_files_beside_it_only(folder: Path) -> None:
    stored = wfdb_records_by_hand.noise()
    wfdb_records_by_hand.dat(folder, stored)
    header = (folder / "rec.hea").read_bytes()
    raw = open_raw(folder)
    write_zip(folder / "a.zip", {"rec.hea": header})
    with pytest.raises(MissingFile, match="not beside the header"):
        read_ecg(raw.resolve("a.zip#rec.hea"))
    outside = header.replace(b"rec.dat", b"../rec.dat")
    write_zip(folder / "a.zip", {"x/rec.hea": outside, "rec.dat": b"1"})
    with pytest.raises(OutsideRoot, match="outside of its folder"):
        read_ecg(raw.resolve("a.zip#x/rec.hea"))


def test_formats_that_a_library_opens_by_path(folder: Path) -> None:
    stored = wfdb_records_by_hand.noise()
    text = wfdb_records_by_hand.header(stored // 40, layout="80", sums=[0, 0, 0])
    (folder / "rec.hea").write_text(text)
    (folder / "rec.dat").write_bytes((stored // 40 + 128).astype(np.uint8).tobytes())
    raw = packed(folder, "a.zip")
    found = read_ecg(raw.resolve("a.zip#in/rec.hea"))
    assert np.array_equal(found.signal, read_ecg(folder / "rec.hea").signal)
    with raw.local_file("a.zip#in/rec.dat") as path:
        assert path.suffix == ".dat" and path.read_bytes() == (folder / "rec.dat").read_bytes()
    assert not path.exists()


def test_clips(folder: Path) -> None:
    written_clip(folder / "a.mp4", "mp4v")
    raw = packed(folder, "a.zip")
    found = video.read_video(raw.resolve("a.zip#in/a.mp4"), choose=ALL)
    assert np.array_equal(found.frames, video.read_video(folder / "a.mp4", choose=ALL).frames)


def test_readers_look_at_files_through_one_door() -> None:
    """A reader that asks the disk itself would not see members."""
    offences = []
    root = Path(qoqdata.readers.__file__).parent
    for path in root.rglob("*.py"):
        if path.name in DOORS or path.parent.name == "container":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in LIMITED:
                offences.append(f"{path.relative_to(root)}:{node.lineno} {ast.unparse(node)}")
    allowed = {"pixel.data.open", "data.open", "self.open", "pillow.opened", "Image.open"}
    found = {one.split(" ", 1)[1] for one in offences} - allowed
    # A pipe would block whoever opens it, and a member is none.
    assert found <= {"path.exists", "path.is_file"}, offences
