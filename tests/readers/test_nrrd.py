"""NRRD against SimpleITK as writer and reader; hand-written headers; damage refused."""

from __future__ import annotations

import bz2
import gzip
import zlib
from collections.abc import Callable
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
from qoqdata.readers.volume import Volume, nrrd, world_from_voxel

SHORTS = np.arange(-12, 12, dtype="<i2")
BASE = {
    "type": "short",
    "dimension": "3",
    "sizes": "2 3 4",
    "encoding": "raw",
    "endian": "little",
    "space": "left-posterior-superior",
    "space directions": "(0.5,0,0) (0,2,0) (0,0,3)",
    "space origin": "(1,2,3)",
}
ENCODE: dict[str, Callable[[bytes], bytes]] = {
    "raw": bytes,
    "gzip": gzip.compress,
    "gz": gzip.compress,
    "bzip2": bz2.compress,
    "bz2": bz2.compress,
    "hex": lambda data: data.hex(" ", 7).encode() + b"\n",
}


def header(drop: tuple[str, ...] = (), **changes: str) -> bytes:
    """Header lines of BASE with changes (underscores for spaces), no blank line at the end."""
    fields = {**BASE, **{name.replace("_", " "): value for name, value in changes.items()}}
    lines = [f"{name}: {value}\n" for name, value in fields.items() if name not in drop]
    return b"NRRD0005\n# a comment\n" + "".join(lines).encode()


def write(folder: Path, head: bytes, data: bytes | None = None) -> Path:
    """Attached (a.nrrd) when data are given, else a detached header (a.nhdr)."""
    path = folder / ("a.nhdr" if data is None else "a.nrrd")
    path.write_bytes(head if data is None else head + b"\n" + data)
    return path


def assert_agrees_with_itk(volume: Volume, path: Path) -> None:
    """Same voxels, and corner voxels within 1e-3 mm (ITK's world is LPS)."""
    image = sitk.ReadImage(str(path))
    array = sitk.GetArrayFromImage(image).T
    size = image.GetSize()
    np.testing.assert_array_equal(volume.voxels.reshape(array.shape), array)
    for corner in np.ndindex(*(2,) * len(size)):
        index = [bit * (side - 1) for bit, side in zip(corner, size, strict=True)]
        lps = np.array(image.TransformIndexToPhysicalPoint(index))
        ras = world_from_voxel(volume.affine, np.array([[*index, 0][:3]]))[0]
        np.testing.assert_allclose(ras[: len(size)], lps * [-1, -1, 1][: len(size)], atol=1e-3)


def test_real_files_agree_with_itk(realdata: Path) -> None:
    files = sorted((realdata / "nrrd").glob("*.nrrd"))
    assert len(files) == 2
    for path in files:
        assert_agrees_with_itk(nrrd.read(path), path)


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
@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr"])
def test_files_written_by_itk(tmp_path: Path, dtype: str, compressed: bool, suffix: str) -> None:
    array = (np.arange(60) % 127).astype(dtype).reshape(3, 4, 5)
    image = sitk.GetImageFromArray(array)
    rotation = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
    image.SetDirection(rotation.ravel())
    image.SetSpacing((0.7, 0.8, 2.5))
    image.SetOrigin((-120.5, 33.25, 71))
    path = tmp_path / f"a{suffix}"
    sitk.WriteImage(image, str(path), useCompression=compressed)
    volume = nrrd.read(path)
    assert volume.voxels.dtype == np.dtype(dtype)
    assert_agrees_with_itk(volume, path)
    assert volume.repairs == ()
    assert volume.source_format == "nrrd"


def test_two_dimensions_written_by_itk(tmp_path: Path) -> None:
    flat = sitk.GetImageFromArray(np.arange(12, dtype=np.int16).reshape(3, 4))
    flat.SetSpacing((0.5, 2))
    sitk.WriteImage(flat, str(tmp_path / "flat.nrrd"))
    volume = nrrd.read(tmp_path / "flat.nrrd")
    assert volume.voxels.shape == (4, 3, 1)
    assert_agrees_with_itk(volume, tmp_path / "flat.nrrd")


@pytest.mark.parametrize("encoding", sorted(ENCODE))
@pytest.mark.parametrize("endian", ["little", "big"])
@pytest.mark.parametrize("detached", [False, True])
def test_encodings_and_byte_orders(
    tmp_path: Path, encoding: str, endian: str, detached: bool
) -> None:
    data = ENCODE[encoding](SHORTS.astype("<i2" if endian == "little" else ">i2").tobytes())
    head = header(encoding=encoding, endian=endian)
    if detached:
        (tmp_path / "a.bin").write_bytes(data)
        path = write(tmp_path, head + b"data file: ./a.bin\n")
    else:
        path = write(tmp_path, head, data)
    volume = nrrd.read(path)
    np.testing.assert_array_equal(volume.voxels.ravel(order="F"), SHORTS)
    assert volume.voxels.dtype == np.int16
    if not encoding.startswith("bz"):
        assert_agrees_with_itk(volume, path)


@pytest.mark.parametrize("name", ["txt", "text", "ascii", "ASCII"])
def test_text_needs_no_byte_order(tmp_path: Path, name: str) -> None:
    head = header(("endian",), encoding=name)
    path = write(tmp_path, head, "\n ".join(map(str, SHORTS)).encode())
    np.testing.assert_array_equal(nrrd.read(path).voxels.ravel(order="F"), SHORTS)
    assert_agrees_with_itk(nrrd.read(path), path)


def test_text_keeps_64_bits_and_floats(tmp_path: Path) -> None:
    large = [-(2**63), 2**63 - 1, 2**53 + 1]
    head = header(type="int64", sizes="3 1 1", encoding="text")
    path = write(tmp_path, head, " ".join(map(str, large)).encode())
    assert nrrd.read(path).voxels.ravel().tolist() == large
    head = header(type="float", sizes="3 1 1", encoding="text")
    floats = nrrd.read(write(tmp_path, head, b"0.1 -1e-3 nan")).voxels.ravel()
    np.testing.assert_array_equal(floats, np.array([0.1, -1e-3, np.nan], np.float32))
    with pytest.raises(UnreadableFile, match="do not fit float32"):
        nrrd.read(write(tmp_path, head, b"0.1 1e39 0"))


@pytest.mark.parametrize(
    ("space", "origin"),
    [
        ("left-posterior-superior", (-1, -2, 3)),
        ("LPS", (-1, -2, 3)),
        ("right-anterior-superior", (1, 2, 3)),
        ("RAS", (1, 2, 3)),
        ("left-anterior-superior", (-1, 2, 3)),
        ("LAS", (-1, 2, 3)),
        ("scanner-xyz", (-1, -2, 3)),
        ("3D-right-handed", (-1, -2, 3)),
    ],
)
def test_spaces(tmp_path: Path, space: str, origin: tuple[float, ...]) -> None:
    path = write(tmp_path, header(space=space), SHORTS.tobytes())
    volume = nrrd.read(path)
    np.testing.assert_allclose(volume.affine[:3, 3], origin)
    assert_agrees_with_itk(volume, path)
    named = space[0] in "lrLR"
    assert volume.repairs == (() if named else (f"space {space.lower()}: axes taken as L, P, S",))


def test_sheared_directions_agree_with_itk(tmp_path: Path) -> None:
    path = write(
        tmp_path, header(space_directions="(1, 0.5, 0) (0,2,0.25)  (0,0,3)"), SHORTS.tobytes()
    )
    volume = nrrd.read(path)
    wanted = [[-1, 0, 0, -1], [-0.5, -2, 0, -2], [0, 0.25, 3, 3], [0, 0, 0, 1]]
    np.testing.assert_allclose(volume.affine, wanted)
    assert_agrees_with_itk(volume, path)


def test_spacings_alone_are_taken_as_itk_takes_them(tmp_path: Path) -> None:
    drop = ("space", "space directions", "space origin")
    path = write(tmp_path, header(drop, spacings="0.5 2 3"), SHORTS.tobytes())
    volume = nrrd.read(path)
    assert_agrees_with_itk(volume, path)
    assert volume.spacing == (0.5, 2, 3)
    assert volume.repairs == ("space unstated: axes taken as L, P, S",)
    volume = nrrd.read(write(tmp_path, header(drop), SHORTS.tobytes()))
    assert volume.spacing == (1, 1, 1)
    assert "no spacings: 1 mm taken" in volume.repairs


@pytest.mark.parametrize(
    ("fields", "scale"),
    [
        ({"space_units": '"cm" "cm" "cm"'}, 10),
        ({"space_units": '"um" "um" "um"'}, 0.001),
        ({"space_units": '"mm" "mm" "mm"'}, 1),
        ({"space_units": '"" "" ""'}, 1),
    ],
)
def test_lengths_become_millimetres(tmp_path: Path, fields: dict[str, str], scale: float) -> None:
    volume = nrrd.read(write(tmp_path, header(**fields), SHORTS.tobytes()))
    assert volume.spacing == pytest.approx((0.5 * scale, 2 * scale, 3 * scale))
    np.testing.assert_allclose(volume.affine[:3, 3], np.array([-1, -2, 3]) * scale)


SKIPS = {
    "bytes": ({"byte_skip": "3"}, b"abc" + SHORTS.tobytes()),
    "bytes from the end": ({"byte_skip": "-1"}, b"x" * 99 + SHORTS.tobytes()),
    "lines": ({"line_skip": "2"}, b"P5\n2 3\n" + SHORTS.tobytes()),
    "lines and bytes": ({"line_skip": "1", "byte_skip": "2"}, b"P5\nab" + SHORTS.tobytes()),
    "bytes inside gzip": (
        {"encoding": "gzip", "byte_skip": "3"},
        gzip.compress(b"abc" + SHORTS.tobytes()),
    ),
    "lines before gzip": (
        {"encoding": "gzip", "line_skip": "1"},
        b"P5\n" + gzip.compress(SHORTS.tobytes()),
    ),
    "lines before text": (
        {"encoding": "txt", "line_skip": "1"},
        b"title\n" + " ".join(map(str, SHORTS)).encode(),
    ),
}


@pytest.mark.parametrize("name", SKIPS)
def test_skips_agree_with_itk(tmp_path: Path, name: str) -> None:
    fields, data = SKIPS[name]
    path = write(tmp_path, header(**fields), data)
    np.testing.assert_array_equal(nrrd.read(path).voxels.ravel(order="F"), SHORTS)
    assert_agrees_with_itk(nrrd.read(path), path)


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
    np.testing.assert_array_equal(nrrd.read(path).voxels.ravel(order="F"), SHORTS)
    assert_agrees_with_itk(nrrd.read(path), path)


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
        nrrd.read(write(tmp_path, header() + f"data file: {statement}\n".encode()))


def test_a_pattern_of_a_billion_files_is_refused(tmp_path: Path) -> None:
    head = header() + b"data file: s%d.raw 1 1000000000 1\n"
    with pytest.raises(TooLarge, match="frames"):
        nrrd.read(write(tmp_path, head))


@pytest.mark.parametrize("name", ["../a.raw", "/etc/passwd", "C:/a.raw", "sub/../../a.raw"])
@pytest.mark.parametrize("prefix", ["", "LIST 3\n"])
def test_data_files_elsewhere_are_refused(tmp_path: Path, name: str, prefix: str) -> None:
    inside = tmp_path / "in"
    (inside / "sub").mkdir(parents=True)
    (tmp_path / "a.raw").write_bytes(SHORTS.tobytes())
    with pytest.raises(OutsideRoot):
        nrrd.read(write(inside, header() + f"data file: {prefix}{name}\n".encode()))


def test_links_out_of_the_folder_and_absent_files_are_refused(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    (tmp_path / "a.raw").write_bytes(SHORTS.tobytes())
    path = write(inside, header() + b"data file: a.raw\n")
    with pytest.raises(MissingFile):
        nrrd.read(path)
    (inside / "a.raw").symlink_to(tmp_path / "a.raw")
    with pytest.raises(OutsideRoot):
        nrrd.read(path)


def test_a_series_axis_moves_last(tmp_path: Path) -> None:
    values = np.arange(48, dtype="<i2")
    space = "(0.5,0,0) (0,2,0) (0,0,3)"
    last = header(
        dimension="4", sizes="2 3 4 2", kinds="domain domain domain list",
        space_directions=f"{space} none",
    )  # fmt: skip
    first = header(
        dimension="4", sizes="2 2 3 4", kinds="list space space space",
        space_directions=f"none {space}",
    )  # fmt: skip
    at_end = nrrd.read(write(tmp_path, last, values.tobytes()))
    assert at_end.voxels.shape == (2, 3, 4, 2)
    np.testing.assert_array_equal(at_end.voxels[..., 1].ravel(order="F"), values[24:])
    at_start = nrrd.read(write(tmp_path, first, values.tobytes()))
    assert at_start.voxels.shape == (2, 3, 4, 2)
    np.testing.assert_array_equal(at_start.voxels[..., 1].ravel(order="F"), values[1::2])
    np.testing.assert_array_equal(at_start.affine, at_end.affine)
    assert at_end.spacing == (0.5, 2, 3)


def test_a_single_component_is_dropped_and_a_flat_series_keeps_its_slice_axis(
    tmp_path: Path,
) -> None:
    head = header(
        dimension="4", sizes="1 2 3 4", kinds="vector domain domain domain",
        space_directions="none (0.5,0,0) (0,2,0) (0,0,3)",
    )  # fmt: skip
    volume = nrrd.read(write(tmp_path, head, SHORTS.tobytes()))
    np.testing.assert_array_equal(volume.voxels.ravel(order="F"), SHORTS)
    assert volume.voxels.shape == (2, 3, 4)
    drop = ("space", "space directions", "space origin")
    head = header(drop, kinds="domain domain time", spacings="1 1 nan")
    assert nrrd.read(write(tmp_path, head, SHORTS.tobytes())).voxels.shape == (2, 3, 1, 4)


def test_one_slice_in_space_gets_its_normal(tmp_path: Path) -> None:
    head = header(dimension="2", sizes="4 6", space_directions="(0,2,0) (0,0,-3)")
    volume = nrrd.read(write(tmp_path, head, SHORTS.tobytes()))
    assert volume.voxels.shape == (4, 6, 1)
    # LPS columns (0,2,0), (0,0,-3) and their normal (-1,0,0); RAS turns x and y round.
    wanted = [[0, 0, 1, -1], [-2, 0, 0, -2], [0, -3, 0, 3], [0, 0, 0, 1]]
    np.testing.assert_allclose(volume.affine, wanted)
    assert volume.repairs == ("one slice without a third direction: its normal of 1 mm taken",)


def test_key_values_and_carriage_returns(tmp_path: Path) -> None:
    head = (header() + b"patient:=DOE^J\nold min: 0\n").replace(b"\n", b"\r\n")
    path = tmp_path / "a.nrrd"
    path.write_bytes(head + b"\r\n" + SHORTS.tobytes())
    np.testing.assert_array_equal(nrrd.read(path).voxels.ravel(order="F"), SHORTS)


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "block", "block_size": "4"},
        {"encoding": "zrl"},
        {"dimension": "1", "sizes": "24"},
        {"space": "3D-left-handed"},
        {"space": "left-posterior-superior-time"},
        {"kinds": "RGB-color domain domain", "sizes": "3 2 4"},
        {"kinds": "complex domain domain"},
        {"dimension": "4", "sizes": "3 2 2 2", "kinds": "vector domain domain domain",
         "space_directions": "none (1,0,0) (0,1,0) (0,0,1)"},
        {"space_units": '"inch" "inch" "inch"'},
        {"space_units": '"mm" "mm" "cm"'},
        {"encoding": "gzip", "byte_skip": "-1"},
        {"encoding": "hex", "byte_skip": "1"},
    ],
)  # fmt: skip
def test_what_is_not_read_is_refused(tmp_path: Path, fields: dict[str, str]) -> None:
    with pytest.raises(UnsupportedFormat):
        nrrd.read(write(tmp_path, header(**fields), SHORTS.tobytes()))


def test_axis_mins_are_refused(tmp_path: Path) -> None:
    head = header(("space", "space directions", "space origin"), axis_mins="5 6 7")
    with pytest.raises(UnsupportedFormat, match="axismins"):
        nrrd.read(write(tmp_path, head, SHORTS.tobytes()))


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "shot"},
        {"dimension": "three"},
        {"dimension": "4"},
        {"sizes": "2 3 5"},
        {"sizes": "2 3 -4"},
        {"sizes": "2 3"},
        {"sizes": "2 3 4.0"},
        {"sizes": f"2 3 {'9' * 5000}"},
        {"type": "double"},
        {"endian": "middle"},
        {"space_directions": "(nan,0,0) (0,2,0) (0,0,3)"},
        {"space_directions": "(0.5,0,0) (0,2,0) (0,2,0)"},
        {"space_directions": "(0.5,0,0) (0,2,0)"},
        {"space_directions": "(0.5,0) (0,2) (0,0)"},
        {"space_directions": "(a,0,0) (0,2,0) (0,0,3)"},
        {"space_directions": "(0.5,0,0 (0,2,0) (0,0,3)"},
        {"space_directions": "(0.5,0,0) x (0,2,0) (0,0,3)"},
        {"space_directions": ""},
        {"space_origin": ""},
        {"space_origin": "(1,2)"},
        {"space_origin": "(1,2,inf)"},
        {"kinds": "domain domain"},
        {"line_skip": "-1"},
        {"line_skip": "99"},
        {"byte_skip": "-2"},
        {"byte_skip": "99"},
        {"byte_skip": "99999999999999999999"},
        {"encoding": "gzip"},
        {"encoding": "bzip2"},
        {"encoding": "hex"},
        {"encoding": "text"},
        {"colour": "red"},
        {"Type": "short"},
    ],
)
def test_damaged_headers_are_refused(tmp_path: Path, fields: dict[str, str]) -> None:
    with pytest.raises(InputError):
        nrrd.read(write(tmp_path, header(**fields), SHORTS.tobytes()))


@pytest.mark.parametrize("name", ["type", "dimension", "sizes", "encoding", "endian"])
def test_required_fields(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnreadableFile):
        nrrd.read(write(tmp_path, header((name,)), SHORTS.tobytes()))


def test_zlib_in_place_of_gzip_is_refused(tmp_path: Path) -> None:
    # Teem reads such a file as if it were raw, and says nothing.
    path = write(tmp_path, header(encoding="gzip"), zlib.compress(SHORTS.tobytes()))
    with pytest.raises(UnreadableFile, match="gzip"):
        nrrd.read(path)


def test_hundred_gigavoxels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TooLarge, match="voxels"):
        nrrd.read(write(tmp_path, header(sizes="5000 5000 4000"), SHORTS.tobytes()))
    for encoding in ("raw", "gzip", "hex", "text"):
        head = header(sizes="1000 1000 1000", encoding=encoding)
        with pytest.raises(UnreadableFile, match="cannot hold"):
            nrrd.read(write(tmp_path, head, SHORTS.tobytes()))


@pytest.mark.parametrize(
    "garbage",
    [b"", b"NRRD", b"NRRD0009\n", b"NRRD0004", b"\0" * 999, b"NRRD0004\n" + b"#\n" * 600_000],
)
def test_garbage_is_refused(tmp_path: Path, garbage: bytes) -> None:
    (tmp_path / "a.nrrd").write_bytes(garbage)
    with pytest.raises(UnreadableFile):
        nrrd.read(tmp_path / "a.nrrd")


@settings(max_examples=200, deadline=None)
@given(
    flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), max_size=4),
    cut=st.integers(0, 400),
    encoding=st.sampled_from(["raw", "gzip", "bzip2", "hex"]),
)
def test_flips_and_cuts_give_a_volume_or_our_error(
    tmp_path_factory: pytest.TempPathFactory,
    flips: list[tuple[int, int]],
    cut: int,
    encoding: str,
) -> None:
    path = tmp_path_factory.mktemp("flip") / "a.nrrd"
    data = bytearray(header(encoding=encoding) + b"\n" + ENCODE[encoding](SHORTS.tobytes()))
    for at, mask in flips:
        data[at % len(data)] ^= mask
    path.write_bytes(bytes(data[: len(data) - cut if cut < 60 else len(data)]))
    try:
        volume = nrrd.read(path, limits=Limits(voxels=100_000))
    except InputError:
        return
    assert np.isfinite(volume.affine).all()
    assert volume.voxels.ndim in (3, 4)
