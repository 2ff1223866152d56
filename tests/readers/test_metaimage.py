"""MetaImage against SimpleITK as writer and reader; hand-written headers; damage refused."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from qoqdata.errors import (
    InputError,
    MissingFile,
    OutsideRoot,
    TooLarge,
    UnreadableFile,
    UnsupportedFormat,
)
from qoqdata.readers.limits import Limits
from qoqdata.readers.volume import Volume, metaimage, world_from_voxel

HEAD = "ObjectType = Image\nNDims = 3\nDimSize = 2 3 4\nElementSpacing = 0.5 2 3\nOffset = 1 2 3\n"
IDENTITY = "TransformMatrix = 1 0 0 0 1 0 0 0 1\n"
SHORTS = np.arange(-12, 12, dtype="<i2")
DEFLATED = zlib.compress(SHORTS.tobytes())


def write(folder: Path, rest: str, data: bytes | None = None, head: str = HEAD + IDENTITY) -> Path:
    """A header `a.mhd` that ends in `rest`, and data `a.raw`."""
    if data is not None:
        (folder / "a.raw").write_bytes(data)
    (folder / "a.mhd").write_bytes((head + rest).encode())
    return folder / "a.mhd"


def binary(dtype: str = "MET_SHORT", extra: str = "", file: str = "a.raw") -> str:
    return f"ElementByteOrderMSB = False\n{extra}ElementType = {dtype}\nElementDataFile = {file}\n"


def assert_agrees_with_itk(volume: Volume, path: Path) -> None:
    """Same voxels, and corner voxels within 1e-3 mm (ITK's world is LPS)."""
    image = sitk.ReadImage(str(path))
    array = sitk.GetArrayFromImage(image).T
    size = image.GetSize()
    np.testing.assert_array_equal(volume.voxels.reshape(array.shape), array)
    assert volume.voxels.dtype == array.dtype
    for corner in np.ndindex(*(2,) * min(3, len(size))):
        index = [bit * (side - 1) for bit, side in zip(corner, size, strict=False)]
        index += [0] * (len(size) - len(index))
        lps = (*image.TransformIndexToPhysicalPoint(index), 0)[:3]
        ijk = np.array([[*index, 0][:3]])
        ras = world_from_voxel(volume.affine, ijk)[0]
        np.testing.assert_allclose(ras[: len(lps)], (lps * np.array([-1, -1, 1])), atol=1e-3)


def test_real_files_agree_with_itk(realdata: Path) -> None:
    files = sorted((realdata / "metaimage").glob("*.mh[ad]"))
    assert len(files) == 4
    for path in files:
        assert_agrees_with_itk(metaimage.read(path), path)


@pytest.mark.parametrize(
    "dtype",
    [
        "int8",
        "uint8",
        "int16",
        "uint16",
        "int32",
        "uint32",
        "int64",
        "uint64",
        "float32",
        "float64",
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("suffix", [".mha", ".mhd"])
def test_files_written_by_itk(tmp_path: Path, dtype: str, compressed: bool, suffix: str) -> None:
    array = (np.arange(60) % 127).astype(dtype).reshape(3, 4, 5)
    image = sitk.GetImageFromArray(array)
    rotation = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
    image.SetDirection(rotation.ravel())
    image.SetSpacing((0.7, 0.8, 2.5))
    image.SetOrigin((-120.5, 33.25, 71))
    path = tmp_path / f"a{suffix}"
    sitk.WriteImage(image, str(path), useCompression=compressed)
    volume = metaimage.read(path)
    assert_agrees_with_itk(volume, path)
    assert volume.spacing == pytest.approx((0.7, 0.8, 2.5))
    assert volume.repairs == ()
    assert volume.source_format == "metaimage"


def test_two_and_four_dimensions_written_by_itk(tmp_path: Path) -> None:
    flat = np.arange(12, dtype=np.int16).reshape(3, 4)
    sitk.WriteImage(sitk.GetImageFromArray(flat), str(tmp_path / "flat.mha"))
    volume = metaimage.read(tmp_path / "flat.mha")
    assert volume.voxels.shape == (4, 3, 1)
    assert_agrees_with_itk(volume, tmp_path / "flat.mha")
    series = sitk.GetImageFromArray(np.arange(120, dtype=np.int16).reshape(2, 3, 4, 5), False)
    series.SetSpacing((0.5, 2, 3, 9))
    sitk.WriteImage(series, str(tmp_path / "series.mhd"))
    volume = metaimage.read(tmp_path / "series.mhd")
    assert volume.voxels.shape == (5, 4, 3, 2)
    assert_agrees_with_itk(volume, tmp_path / "series.mhd")


def test_axes_by_hand(tmp_path: Path) -> None:
    head = HEAD + "TransformMatrix = 0 1 0 -1 0 0 0 0 1\n"
    volume = metaimage.read(write(tmp_path, binary(), SHORTS.tobytes(), head))
    # Voxel axis i runs along LPS +y at 0.5 mm, j along LPS -x at 2 mm; RAS turns x and y round.
    wanted = [[0, 2, 0, -1], [-0.5, 0, 0, -2], [0, 0, 3, 3], [0, 0, 0, 1]]
    np.testing.assert_allclose(volume.affine, wanted)
    assert volume.voxels[1, 0, 0] == -11
    assert volume.voxels[0, 1, 0] == -10
    assert volume.voxels[0, 0, 1] == -6


VARIANTS = {
    "big endian": (binary().replace("False", "True"), SHORTS.astype(">i2").tobytes()),
    "other name for the byte order": (
        binary().replace("ElementByte", "BinaryDataByte").replace("False", "True"),
        SHORTS.astype(">i2").tobytes(),
    ),
    "header size": (binary(extra="HeaderSize = 5\n"), b"12345" + SHORTS.tobytes()),
    "from the end": (binary(extra="HeaderSize = -1\n"), b"x" * 333 + SHORTS.tobytes()),
    "zlib": (binary(extra="CompressedData = True\n"), zlib.compress(SHORTS.tobytes())),
    "gzip": (binary(extra="CompressedData = True\n"), gzip.compress(SHORTS.tobytes())),
    "zlib after a header": (
        binary(
            extra=f"HeaderSize = 3\nCompressedData = True\nCompressedDataSize = {len(DEFLATED)}\n"
        ),
        b"abc" + DEFLATED,
    ),
    "text": (
        binary(extra="BinaryData = False\n"),
        b"\n ".join(b"%d" % value for value in SHORTS) + b"\n",
    ),
    "carriage returns": (binary().replace("\n", "\r\n"), SHORTS.tobytes()),
    "colons": (binary().replace(" =", ":"), SHORTS.tobytes()),
    "32-bit long": (binary("MET_LONG"), SHORTS.astype("<i4").tobytes()),
    "negative spacing": (binary(extra="CenterOfRotation = 9 9 9\n"), SHORTS.tobytes()),
    "further fields": (binary(extra="0008|0060 = CT\nComment = a = b\n"), SHORTS.tobytes()),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_agree_with_itk(tmp_path: Path, name: str) -> None:
    rest, data = VARIANTS[name]
    head = (HEAD + IDENTITY).replace("0.5 2", "-0.5 2" if name == "negative spacing" else "0.5 2")
    path = write(tmp_path, rest, data, head)
    volume = metaimage.read(path)
    np.testing.assert_array_equal(volume.voxels.ravel(order="F"), SHORTS)
    assert_agrees_with_itk(volume, path)


def test_local_text_and_local_data_after_a_header(tmp_path: Path) -> None:
    path = tmp_path / "a.mha"
    text = " ".join(map(str, SHORTS)).encode()
    path.write_bytes((HEAD + binary(extra="BinaryData = False\n", file="LOCAL")).encode() + text)
    np.testing.assert_array_equal(metaimage.read(path).voxels.ravel(order="F"), SHORTS)
    head = (HEAD + binary(extra="HeaderSize = 400\n", file="Local")).encode()
    path.write_bytes(head.ljust(400, b"#") + SHORTS.tobytes())
    np.testing.assert_array_equal(metaimage.read(path).voxels.ravel(order="F"), SHORTS)
    assert_agrees_with_itk(metaimage.read(path), path)
    path.write_bytes(head.replace(b"400", b"100") + SHORTS.tobytes())
    with pytest.raises(UnreadableFile, match="into the header"):
        metaimage.read(path)


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
    np.testing.assert_array_equal(metaimage.read(path).voxels.ravel(order="F"), SHORTS)


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
        metaimage.read(write(tmp_path, binary(file=statement)))


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
        metaimage.read(write(inside, binary(file=statement)))


def test_links_are_followed_inside_the_folder_only(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    (inside / "sub").mkdir(parents=True)
    (tmp_path / "a.raw").write_bytes(SHORTS.tobytes())
    (inside / "sub" / "b.raw").write_bytes(SHORTS.tobytes())
    path = write(inside, binary())
    (inside / "a.raw").symlink_to(inside / "sub" / "b.raw")
    np.testing.assert_array_equal(metaimage.read(path).voxels.ravel(order="F"), SHORTS)
    (inside / "a.raw").unlink()
    (inside / "a.raw").symlink_to(tmp_path / "a.raw")
    with pytest.raises(OutsideRoot):
        metaimage.read(path)
    (inside / "a.raw").unlink()
    (inside / "a.raw").symlink_to(inside / "a.raw")
    with pytest.raises(InputError):
        metaimage.read(path)


def test_absent_data_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFile):
        metaimage.read(write(tmp_path, binary(file="none.raw")))
    (tmp_path / "sub").mkdir()
    with pytest.raises(UnreadableFile):
        metaimage.read(write(tmp_path, binary(file="sub")))
    with pytest.raises(MissingFile):
        metaimage.read(tmp_path / "none.mhd")
    with pytest.raises(UnreadableFile):
        metaimage.read(tmp_path)


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    head = "NDims = 3\nDimSize = 2 3 4\nElementSize = 0.5 2 3\nAnatomicalOrientation = RAI\n"
    rest = "ElementType = MET_SHORT\nElementDataFile = a.raw\n"
    volume = metaimage.read(write(tmp_path, rest, SHORTS.tobytes(), head))
    np.testing.assert_allclose(volume.affine, np.diag([-0.5, -2, 3, 1]))
    unused_orientation = (
        "no TransformMatrix: axes taken to point to L, P, S (AnatomicalOrientation RAI is not used)"
    )
    assert volume.repairs == (
        "byte order not stated: little-endian taken",
        "no ElementSpacing: ElementSize taken",
        unused_orientation,
        "no Offset: 0 taken",
    )


@pytest.mark.parametrize(("unit", "scale"), [("mm", 1), ("cm", 10), ("um", 0.001), ("?", 1)])
def test_lengths_become_millimetres(tmp_path: Path, unit: str, scale: float) -> None:
    path = write(tmp_path, binary(extra=f"DistanceUnits = {unit}\n"), SHORTS.tobytes())
    volume = metaimage.read(path)
    assert volume.spacing == pytest.approx((0.5 * scale, 2 * scale, 3 * scale))
    np.testing.assert_allclose(volume.affine[:3, 3], np.array([-1, -2, 3]) * scale)


@pytest.mark.parametrize(
    "rest",
    [
        binary(extra="ElementNumberOfChannels = 3\n"),
        binary(extra="ElementToIntensityFunctionSlope = 2\n"),
        binary(extra="ElementToIntensityFunctionOffset = -1024\n"),
        binary("MET_FLOAT_ARRAY"),
        binary(extra="BinaryData = False\nCompressedData = True\n"),
    ],
)
def test_what_is_not_read_is_refused(tmp_path: Path, rest: str) -> None:
    with pytest.raises(UnsupportedFormat):
        metaimage.read(write(tmp_path, rest, SHORTS.tobytes()))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ObjectType = Image", "ObjectType = Tube"),
        ("NDims = 3", "NDims = 1"),
        ("NDims = 3", "NDims = 5"),
        ("NDims = 3", "NDims = 2"),
        ("NDims = 3", "NDims = three"),
        ("NDims = 3\n", ""),
        ("DimSize = 2 3 4", "DimSize = 2 3 5"),
        ("DimSize = 2 3 4", "DimSize = 2 3 -4"),
        ("DimSize = 2 3 4", "DimSize = 2 3 4.5"),
        ("DimSize = 2 3 4", f"DimSize = 2 3 {'9' * 5000}"),
        ("0.5 2 3", "nan 2 3"),
        ("0.5 2 3", "0 2 3"),
        ("0.5 2 3", "0.5 2"),
        ("0.5 2 3", "1e300 2 3"),
        ("Offset = 1 2 3", "Offset = inf 2 3"),
        ("1 0 0 0 1 0 0 0 1", "1 0 0 1 0 0 0 0 1"),
        ("1 0 0 0 1 0 0 0 1", "1 0 0 0 1 0 0 0"),
        ("Offset = 1 2 3", "Offset = 1 2 3\nOffset = 1 2 4"),
        ("Offset = 1 2 3", "Offset = 1 2 3\nPosition = 1 2 4"),
        ("MET_SHORT", "MET_OTHER"),
        ("MET_SHORT", "MET_DOUBLE"),
        ("MSB = False", "MSB = perhaps"),
        ("ElementType", "DistanceUnits = inch\nElementType"),
        ("ElementType", "HeaderSize = -2\nElementType"),
        ("ElementType", "HeaderSize = -1\nCompressedData = True\nElementType"),
        ("ElementType", "CompressedData = True\nElementType"),
        ("ElementType", "BinaryData = False\nElementType"),
        ("ElementDataFile = a.raw\n", ""),
        ("ElementType", "a line without a sign\nElementType"),
    ],
)
def test_damaged_headers_are_refused(tmp_path: Path, old: str, new: str) -> None:
    text = (HEAD + IDENTITY + binary()).replace(old, new)
    assert text != HEAD + IDENTITY + binary()
    with pytest.raises(InputError):
        metaimage.read(write(tmp_path, text, SHORTS.tobytes(), head=""))


@pytest.mark.parametrize(
    "text", ["", "1 2 3", "1 " * 25, "x " * 24, "1.5 " * 24, "40000 " * 24, "nan " * 24]
)
def test_wrong_text_data_are_refused(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, binary(extra="BinaryData = False\n"), text.encode())
    with pytest.raises(UnreadableFile):
        metaimage.read(path)


def test_hundred_gigavoxels_are_refused(tmp_path: Path) -> None:
    head = HEAD.replace("2 3 4", "5000 5000 4000")
    with pytest.raises(TooLarge, match="voxels"):
        metaimage.read(write(tmp_path, binary(), SHORTS.tobytes(), head))
    head = HEAD.replace("2 3 4", "1000 1000 1000")
    for extra in ("", "CompressedData = True\n", "BinaryData = False\n"):
        with pytest.raises(UnreadableFile, match="cannot hold"):
            metaimage.read(write(tmp_path, binary(extra=extra), SHORTS.tobytes(), head))


def test_data_that_are_too_long_are_not_padding(tmp_path: Path) -> None:
    path = write(tmp_path, binary(), SHORTS.tobytes() + b"\0" * 11)
    assert metaimage.read(path).repairs == ("11 bytes after the voxels of a.raw were ignored",)
    # One slice of 2 x 3 voxels of 2 bytes more, and a 16-bit file declared as 8-bit.
    with pytest.raises(UnreadableFile, match="more data"):
        metaimage.read(write(tmp_path, binary(), SHORTS.tobytes() + b"\0" * 12))
    with pytest.raises(UnreadableFile, match="more data"):
        metaimage.read(write(tmp_path, binary("MET_UCHAR"), SHORTS.tobytes()))


@pytest.mark.parametrize("garbage", [b"", b"\0" * 4000, b"\xff" * 4000, b"a" * 3_000_000])
def test_garbage_is_refused(tmp_path: Path, garbage: bytes) -> None:
    (tmp_path / "a.mha").write_bytes(garbage)
    with pytest.raises(UnreadableFile):
        metaimage.read(tmp_path / "a.mha")


@settings(max_examples=200, deadline=None)
@given(
    flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), max_size=4),
    cut=st.integers(0, 400),
    compressed=st.booleans(),
)
def test_flips_and_cuts_give_a_volume_or_our_error(
    tmp_path_factory: pytest.TempPathFactory,
    flips: list[tuple[int, int]],
    cut: int,
    compressed: bool,
) -> None:
    path = tmp_path_factory.mktemp("flip") / "a.mha"
    extra = "CompressedData = True\n" if compressed else ""
    body = zlib.compress(SHORTS.tobytes()) if compressed else SHORTS.tobytes()
    data = bytearray((HEAD + IDENTITY + binary(extra=extra, file="LOCAL")).encode() + body)
    for at, mask in flips:
        data[at % len(data)] ^= mask
    path.write_bytes(bytes(data[: len(data) - cut if cut < 40 else len(data)]))
    try:
        volume = metaimage.read(path, limits=Limits(voxels=100_000))
    except InputError:
        return
    assert np.isfinite(volume.affine).all()
    assert volume.voxels.ndim in (3, 4)
