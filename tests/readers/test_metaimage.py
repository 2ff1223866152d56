"""MetaImage against SimpleITK as writer and reader, and headers by hand."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from qoqdata.errors import UnreadableFile
from qoqdata.readers.volume import metaimage
from tests.readers.itk_images import ELEMENT_TYPES, assert_agrees_with_itk, write_oblique
from tests.readers.metaimage_files import HEAD, IDENTITY, SHORTS, binary, write


def test_real_files_agree_with_itk(realdata: Path) -> None:
    files = sorted((realdata / "metaimage").glob("*.mh[ad]"))
    assert len(files) == 4
    for path in files:
        assert_agrees_with_itk(metaimage.read_metaimage(path), path)


@pytest.mark.parametrize("dtype", ELEMENT_TYPES)
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("suffix", [".mha", ".mhd"])
def test_files_written_by_itk(tmp_path: Path, dtype: str, compressed: bool, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_oblique(path, dtype, compressed=compressed)
    volume = metaimage.read_metaimage(path)
    assert_agrees_with_itk(volume, path)
    assert volume.spacing == pytest.approx((0.7, 0.8, 2.5))
    assert volume.repairs == ()
    assert volume.source_format == "metaimage"


def test_two_and_four_dimensions_written_by_itk(tmp_path: Path) -> None:
    flat = np.arange(12, dtype=np.int16).reshape(3, 4)
    sitk.WriteImage(sitk.GetImageFromArray(flat), str(tmp_path / "flat.mha"))
    volume = metaimage.read_metaimage(tmp_path / "flat.mha")
    assert volume.voxels.shape == (4, 3, 1)
    assert_agrees_with_itk(volume, tmp_path / "flat.mha")
    series = sitk.GetImageFromArray(np.arange(120, dtype=np.int16).reshape(2, 3, 4, 5), False)
    series.SetSpacing((0.5, 2, 3, 9))
    sitk.WriteImage(series, str(tmp_path / "series.mhd"))
    volume = metaimage.read_metaimage(tmp_path / "series.mhd")
    assert volume.voxels.shape == (5, 4, 3, 2)
    assert_agrees_with_itk(volume, tmp_path / "series.mhd")


def test_axes_by_hand(tmp_path: Path) -> None:
    head = HEAD + "TransformMatrix = 0 1 0 -1 0 0 0 0 1\n"
    volume = metaimage.read_metaimage(write(tmp_path, binary(), SHORTS.tobytes(), head))
    # Voxel axis i runs along LPS +y at 0.5 mm, j along LPS -x at 2 mm; RAS turns x and y round.
    wanted = [[0, 2, 0, -1], [-0.5, 0, 0, -2], [0, 0, 3, 3], [0, 0, 0, 1]]
    np.testing.assert_allclose(volume.affine, wanted)
    assert volume.voxels[1, 0, 0] == -11
    assert volume.voxels[0, 1, 0] == -10
    assert volume.voxels[0, 0, 1] == -6


DEFLATED = zlib.compress(SHORTS.tobytes())
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
    volume = metaimage.read_metaimage(path)
    np.testing.assert_array_equal(volume.voxels.ravel(order="F"), SHORTS)
    assert_agrees_with_itk(volume, path)


def test_local_text_and_local_data_after_a_header(tmp_path: Path) -> None:
    path = tmp_path / "a.mha"
    text = " ".join(map(str, SHORTS)).encode()
    path.write_bytes((HEAD + binary(extra="BinaryData = False\n", file="LOCAL")).encode() + text)
    np.testing.assert_array_equal(metaimage.read_metaimage(path).voxels.ravel(order="F"), SHORTS)
    head = (HEAD + binary(extra="HeaderSize = 400\n", file="Local")).encode()
    path.write_bytes(head.ljust(400, b"#") + SHORTS.tobytes())
    np.testing.assert_array_equal(metaimage.read_metaimage(path).voxels.ravel(order="F"), SHORTS)
    assert_agrees_with_itk(metaimage.read_metaimage(path), path)
    path.write_bytes(head.replace(b"400", b"100") + SHORTS.tobytes())
    with pytest.raises(UnreadableFile, match="into the header"):
        metaimage.read_metaimage(path)


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    head = "NDims = 3\nDimSize = 2 3 4\nElementSize = 0.5 2 3\nAnatomicalOrientation = RAI\n"
    rest = "ElementType = MET_SHORT\nElementDataFile = a.raw\n"
    volume = metaimage.read_metaimage(write(tmp_path, rest, SHORTS.tobytes(), head))
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
    volume = metaimage.read_metaimage(path)
    assert volume.spacing == pytest.approx((0.5 * scale, 2 * scale, 3 * scale))
    np.testing.assert_allclose(volume.affine[:3, 3], np.array([-1, -2, 3]) * scale)
