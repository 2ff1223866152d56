"""Pictures of every format against samples packed by hand and against Pillow; damage and lies."""

from __future__ import annotations

import io
import math
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openjpeg.utils import encode_array
from PIL import Image, ImageFile, ImageOps

from qoqdata.errors import (
    InputError,
    MissingFile,
    QoqdataError,
    TooLarge,
    UnreadableFile,
    UnsupportedFormat,
    UsageError,
)
from qoqdata.readers import raster
from qoqdata.readers.limits import Limits

from . import encoded_pictures as made


def _read(tmp_path: Path, data: bytes, name: str = "picture") -> raster.Raster:
    path = tmp_path / name
    path.write_bytes(data)
    return raster.read(path)


def _decoder_view(samples: raster.Samples) -> np.ndarray:
    return samples.values if samples.palette is None else samples.palette[samples.values]


# --- PNG, packed by hand -------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_grey_png_of_every_depth(tmp_path: Path, depth: int) -> None:
    samples = made.noise((7, 13), depth)
    got = _read(tmp_path, made.png(samples, 0, depth))
    stretch = {1: 255, 2: 85, 4: 17, 8: 1, 16: 1}[depth]
    np.testing.assert_array_equal(got.pixels, samples.astype(int) * stretch)
    assert (got.bits, got.pixels.dtype) == ((16, np.uint16) if depth == 16 else (8, np.uint8))
    assert (got.format, got.repairs) == ("PNG", ())


@pytest.mark.parametrize("depth", [8, 16])
def test_colour_png(tmp_path: Path, depth: int) -> None:
    samples = made.noise((7, 13, 3), depth)
    got = _read(tmp_path, made.png(samples, 2, depth))
    np.testing.assert_array_equal(got.pixels, samples)
    assert got.bits == depth


def test_sixteen_bit_png_never_saturates(tmp_path: Path) -> None:
    """Every 16-bit value comes back as itself, and full range maps to full range."""
    samples = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    got = _read(tmp_path, made.png(samples, 0, 16))
    np.testing.assert_array_equal(got.pixels, samples)
    grey = raster.to_uint8(got.pixels, bits=got.bits)
    np.testing.assert_array_equal(grey, np.floor(samples / 65535 * 255 + 0.5))
    # 257 inputs share each output but the first and the last, which share half as many.
    assert np.bincount(grey.ravel()).tolist() == [129, *[257] * 254, 129]


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_palette_png(tmp_path: Path, depth: int) -> None:
    palette = made.noise((1 << depth, 3), 8, seed=9)
    samples = made.noise((5, 11), depth)
    got = _read(tmp_path, made.png(samples, 3, depth, made.chunk(b"PLTE", palette.tobytes())))
    np.testing.assert_array_equal(got.pixels, palette[samples])


def test_grey_palette_gives_grey(tmp_path: Path) -> None:
    palette = np.repeat(np.array([[255], [7], [0]], np.uint8), 3, axis=1)
    samples = np.array([[0, 1, 2], [2, 2, 0]], np.uint8)
    got = _read(tmp_path, made.png(samples, 3, 8, made.chunk(b"PLTE", palette.tobytes())))
    assert got.pixels.tolist() == [[255, 7, 0], [0, 0, 255]]


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize(("colour", "channels"), [(4, 2), (6, 4)])
def test_alpha(tmp_path: Path, depth: int, colour: int, channels: int) -> None:
    samples = made.noise((6, 9, channels), depth)
    expected = samples[..., 0] if channels == 2 else samples[..., :3]
    samples[..., -1] = (1 << depth) - 1
    opaque = _read(tmp_path, made.png(samples, colour, depth))
    np.testing.assert_array_equal(opaque.pixels, expected)
    assert opaque.repairs == ()
    samples[:2, :2, -1] = 5
    got = _read(tmp_path, made.png(samples, colour, depth))
    np.testing.assert_array_equal(got.pixels, expected)
    assert got.repairs == ("alpha channel dropped without blending, 4 pixels not opaque",)


def test_transparent_colour_of_a_png(tmp_path: Path) -> None:
    samples = np.array([[3, 9], [9, 9]], np.uint8)
    got = _read(tmp_path, made.png(samples, 0, 8, made.chunk(b"tRNS", b"\0\x09")))
    assert got.pixels.tolist() == samples.tolist()
    assert got.repairs == ("alpha channel dropped without blending, 3 pixels not opaque",)
    unused = _read(tmp_path, made.png(samples, 0, 8, made.chunk(b"tRNS", b"\0\x0a")))
    assert unused.repairs == ()


def test_palette_index_beyond_the_palette(tmp_path: Path) -> None:
    data = made.png(np.array([[0, 3]], np.uint8), 3, 8, made.chunk(b"PLTE", bytes(9)))
    with pytest.raises(UnreadableFile, match="palette"):
        _read(tmp_path, data)


# --- other formats -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "GIF", "PNG"])
def test_lossless_formats_keep_every_pixel(tmp_path: Path, kind: str) -> None:
    grey = made.noise((31, 17))
    got = _read(tmp_path, made.saved(grey, kind))
    np.testing.assert_array_equal(got.pixels, grey)
    if kind != "GIF":
        colour = made.noise((31, 17, 3))
        np.testing.assert_array_equal(_read(tmp_path, made.saved(colour, kind)).pixels, colour)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "packbits", "zstd"])
def test_compressed_tiff(tmp_path: Path, compression: str) -> None:
    colour = made.noise((31, 17, 3))
    got = _read(tmp_path, made.saved(colour, "TIFF", compression=compression))
    np.testing.assert_array_equal(got.pixels, colour)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("photometric", "bits", "channels"),
    [(1, 8, 1), (0, 8, 1), (1, 16, 1), (0, 16, 1), (2, 8, 3), (2, 16, 3)],
)
def test_tiff_by_hand(
    tmp_path: Path, order: str, photometric: int, bits: int, channels: int
) -> None:
    samples = made.noise((8, 13, 3), bits) if channels == 3 else made.noise((8, 13), bits)
    data = made.tiff(samples, photometric, bits, order=order)
    if (photometric, bits, order) == (0, 16, ">"):
        with pytest.raises(UnsupportedFormat):
            _read(tmp_path, data)
        return
    got = _read(tmp_path, data)
    expected = (1 << bits) - 1 - samples.astype(int) if photometric == 0 else samples
    np.testing.assert_array_equal(got.pixels, expected)
    assert got.bits == bits
    assert got.repairs == (("white-is-zero grey levels inverted",) if photometric == 0 else ())


def test_one_bit_tiff(tmp_path: Path) -> None:
    bits = made.noise((5, 12), 1)
    for compression in (None, "group4"):
        data = made.saved(Image.fromarray(bits.astype(bool)), "TIFF", compression=compression)
        np.testing.assert_array_equal(_read(tmp_path, data).pixels, bits * 255)


def test_webp(tmp_path: Path) -> None:
    colour = made.smooth()
    lossless = _read(tmp_path, made.saved(colour, "WEBP", lossless=True))
    np.testing.assert_array_equal(lossless.pixels, colour)
    lossy = made.saved(colour, "WEBP", quality=90)
    expected = np.asarray(Image.open(io.BytesIO(lossy)).convert("RGB"))
    np.testing.assert_array_equal(_read(tmp_path, lossy).pixels, expected)
    assert raster.decode(lossy, where="").lossy
    assert not raster.decode(made.saved(colour, "WEBP", lossless=True), where="").lossy


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg2000_keeps_its_own_depth(tmp_path: Path, bits: int, channels: int) -> None:
    samples = made.noise((40, 50) if channels == 1 else (40, 50, 3), bits)
    data = encode_array(
        samples, bits_stored=bits, photometric_interpretation=2 if channels == 1 else 1
    )
    got = _read(tmp_path, data)
    np.testing.assert_array_equal(got.pixels, samples)
    assert (got.bits, got.format) == (bits, "JPEG2000")


def test_jp2_file(tmp_path: Path) -> None:
    colour = made.noise((40, 50, 3))
    np.testing.assert_array_equal(_read(tmp_path, made.saved(colour, "JPEG2000")).pixels, colour)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_jpeg_as_pillow_decodes_it(tmp_path: Path, progressive: bool, subsampling: int) -> None:
    data = made.saved(made.smooth(), "JPEG", progressive=progressive, subsampling=subsampling)
    np.testing.assert_array_equal(
        _read(tmp_path, data).pixels, np.asarray(Image.open(io.BytesIO(data)))
    )
    grey = made.saved(made.smooth()[..., 0], "JPEG", progressive=progressive)
    np.testing.assert_array_equal(
        _read(tmp_path, grey).pixels, np.asarray(Image.open(io.BytesIO(grey)))
    )


def test_rgb_jpeg_with_adobe_marker(tmp_path: Path) -> None:
    """Three components stored as RGB, told by the Adobe segment only."""
    data = made.saved(made.smooth(), "JPEG", keep_rgb=True, quality=95)
    got = _read(tmp_path, data)
    assert np.abs(got.pixels.astype(int) - made.smooth()).max() < 16


# --- orientation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_as_pillow_turns_it(tmp_path: Path, kind: str, value: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    settings = {"WEBP": {"lossless": True}, "JPEG": {"quality": 90}}.get(kind, {})
    data = made.saved(made.smooth(40, 64), kind, exif=exif, **settings)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    got = _read(tmp_path, data)
    np.testing.assert_array_equal(got.pixels, expected)
    assert len(got.repairs) == (value != 1)


@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_six_by_hand(tmp_path: Path, order: str) -> None:
    """6: row 0 of the file is the right-hand side of the scene."""
    samples = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
    got = _read(tmp_path, made.png(samples, 0, 8, made.chunk(b"eXIf", made.exif(6, order))))
    assert got.pixels.tolist() == [[4, 1], [5, 2], [6, 3]]
    assert got.repairs == ("Exif orientation 6 applied",)


@pytest.mark.parametrize(
    ("block", "note"),
    [
        (made.exif(0), "not defined"),
        (made.exif(9), "not defined"),
        (made.exif(6)[:12], "unreadable"),
        (b"", "unreadable"),
        (b"II*\0\xff\xff\xff\xff", "unreadable"),
    ],
)
def test_broken_exif_turns_nothing_and_says_so(tmp_path: Path, block: bytes, note: str) -> None:
    samples = np.array([[1, 2, 3]], np.uint8)
    got = _read(tmp_path, made.png(samples, 0, 8, made.chunk(b"eXIf", block)))
    assert got.pixels.tolist() == [[1, 2, 3]]
    assert note in got.repairs[0]


def test_sixteen_bit_colour_tiff_that_is_turned_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedFormat, match="orientation 6"):
        _read(tmp_path, made.tiff(made.noise((8, 8, 3), 16), 2, 16, orientation=6))


# --- refusals ------------------------------------------------------------------------------------


def _two_pages(kind: str) -> bytes:
    pages = [Image.fromarray(made.noise((9, 9, 3), seed=seed)) for seed in (1, 2)]
    return made.saved(pages[0], kind, save_all=True, append_images=pages[1:])


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG"])
def test_several_pictures_are_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(UnsupportedFormat):
        _read(tmp_path, _two_pages(kind))


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_is_refused(tmp_path: Path, kind: str) -> None:
    picture = Image.fromarray(made.noise((16, 16, 4)), mode="CMYK")
    with pytest.raises(UnsupportedFormat):
        _read(tmp_path, made.saved(picture, kind))


def test_float_and_signed_tiff_are_refused(tmp_path: Path) -> None:
    for pixels in (np.zeros((4, 4), np.float32), np.zeros((4, 4), np.int32)):
        with pytest.raises(UnsupportedFormat):
            _read(tmp_path, made.saved(Image.fromarray(pixels), "TIFF"))


def test_twelve_bit_jpeg_is_refused(tmp_path: Path) -> None:
    data = bytearray(made.saved(made.smooth(), "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 4] = 12
    with pytest.raises(UnsupportedFormat, match="12 bits"):
        _read(tmp_path, bytes(data))


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", UnreadableFile),
        (b"<!DOCTYPE html><html>Not found</html>", UnreadableFile),
        (b"#EXTM3U\nhttp://127.0.0.1/x", UnreadableFile),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", UnreadableFile),
        (b"%!PS-Adobe-3.0 EPSF-3.0", UnreadableFile),
        (b"\0\0\0\x1cftypheic" + bytes(40), UnsupportedFormat),
    ],
)
def test_what_is_no_picture(tmp_path: Path, data: bytes, error: type[QoqdataError]) -> None:
    with pytest.raises(error):
        _read(tmp_path, data, "scan.png")


def test_missing_file_and_directory(tmp_path: Path) -> None:
    with pytest.raises(MissingFile):
        raster.read(tmp_path / "absent.png")
    with pytest.raises(UnreadableFile):
        raster.read(tmp_path)


def test_errors_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile) as caught:
        _read(tmp_path, made.png(made.noise((4, 4)), 0, 8)[:-5], "a.png")
    assert caught.value.where == str(tmp_path / "a.png")


def test_pillow_told_to_accept_cut_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(UsageError, match="LOAD_TRUNCATED"):
        _read(tmp_path, made.png(made.noise((4, 4)), 0, 8))


# --- declared sizes ------------------------------------------------------------------------------


def _bombs() -> dict[str, bytes]:
    small = made.noise((4, 4))
    jpeg = bytearray(made.saved(made.smooth(), "JPEG"))
    struct.pack_into(">HH", jpeg, jpeg.index(b"\xff\xc0") + 5, 60000, 60000)
    gif = bytearray(made.saved(made.noise((4, 4)), "GIF"))
    struct.pack_into("<HH", gif, 6, 60000, 60000)
    bmp = bytearray(made.saved(made.noise((4, 4, 3)), "BMP"))
    struct.pack_into("<ii", bmp, 18, 60000, 60000)
    tiff = made.tiff(small, 1, 8).replace(
        struct.pack("<HHII", 256, 4, 1, 4), struct.pack("<HHII", 256, 4, 1, 10**9)
    )
    webp = bytearray(made.saved(made.smooth(), "WEBP"))
    webp[26:30] = struct.pack("<HH", 16383, 16383)
    j2k = bytearray(made.saved(made.smooth(), "JPEG2000", no_jp2=True))
    struct.pack_into(">II", j2k, 8, 60000, 60000)
    return {
        "png": made.png(small, 0, 8, size=(60000, 60000)),
        "jpeg": bytes(jpeg),
        "gif": bytes(gif),
        "bmp": bytes(bmp),
        "tiff": tiff,
        "webp": bytes(webp),
        "j2k": bytes(j2k),
    }


@pytest.mark.parametrize("name", list(_bombs()))
def test_absurd_sizes_are_refused_before_decoding(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("pixels were decoded")

    monkeypatch.setattr(cv2, "imdecode", never)
    monkeypatch.setattr(ImageFile.ImageFile, "load", never)
    path = tmp_path / name
    path.write_bytes(_bombs()[name])
    with pytest.raises(TooLarge):
        raster.read(path, limits=Limits(image_pixels=200_000_000))


def test_a_picture_above_pillows_own_bound_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """MAX_IMAGE_PIXELS is process-wide and not ours; `limits` decides."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    samples = made.noise((30, 30))
    for data in (made.png(samples, 0, 8), made.saved(samples, "BMP")):
        np.testing.assert_array_equal(raster.decode(data, where="").values, samples)
    with pytest.raises(TooLarge, match="MAX_IMAGE_PIXELS"):  # its TIFF loader checks by itself
        raster.decode(made.tiff(samples, 1, 8), where="")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 600)  # between once and twice: only a warning
    raster.decode(made.tiff(samples, 1, 8), where="")


def test_file_size_is_checked_before_reading(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(made.png(made.noise((4, 4)), 0, 8))
    with pytest.raises(TooLarge, match="file bytes"):
        raster.read(path, limits=Limits(file_bytes=10))


# --- damage --------------------------------------------------------------------------------------

_COLOUR = made.smooth()
_ENCODED = {
    "jpeg": made.saved(_COLOUR, "JPEG"),
    "jpeg grey": made.saved(_COLOUR[..., 0], "JPEG"),
    "jpeg progressive": made.saved(_COLOUR, "JPEG", progressive=True),
    "png": made.saved(_COLOUR, "PNG"),
    "png 16": made.png(made.noise((20, 30), 16), 0, 16),
    "png 16 colour": made.png(made.noise((20, 30, 3), 16), 2, 16),
    "png palette": made.saved(Image.fromarray(_COLOUR).quantize(16), "PNG"),
    "gif": made.saved(Image.fromarray(_COLOUR).quantize(16), "GIF"),
    "bmp": made.saved(_COLOUR, "BMP"),
    "bmp palette": made.saved(Image.fromarray(_COLOUR).quantize(16), "BMP"),
    "webp": made.saved(_COLOUR, "WEBP"),
    "webp lossless": made.saved(_COLOUR, "WEBP", lossless=True),
    "jp2": made.saved(_COLOUR, "JPEG2000"),
    "j2k": made.saved(_COLOUR, "JPEG2000", no_jp2=True),
    "tiff": made.saved(_COLOUR, "TIFF"),
    "tiff lzw": made.saved(_COLOUR, "TIFF", compression="tiff_lzw"),
    "tiff jpeg": made.saved(_COLOUR, "TIFF", compression="jpeg"),
    "tiff 16 colour": made.tiff(made.noise((20, 30, 3), 16), 2, 16),
}
_FEW = Limits(image_pixels=10_000_000)


@pytest.mark.parametrize("name", list(_ENCODED))
def test_a_cut_file_is_never_read(name: str) -> None:
    data = _ENCODED[name]
    whole = len(data)
    lengths = {whole - 1, whole - 2, whole - 3, whole - 13, *range(0, whole, max(1, whole // 40))}
    for length in sorted(lengths):
        with pytest.raises(InputError):
            raster.decode(data[:length], where="cut", limits=_FEW)


@pytest.mark.parametrize("name", list(_ENCODED))
def test_flipped_bits_give_a_picture_or_our_error(name: str) -> None:
    _flip(name, seed=1, rounds=60)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
@pytest.mark.parametrize("name", list(_ENCODED))
def test_many_flipped_bits(name: str, seed: int) -> None:
    _flip(name, seed=seed, rounds=400)


def _flip(name: str, *, seed: int, rounds: int) -> None:
    data = _ENCODED[name]
    random = np.random.default_rng(seed)
    for round_ in range(rounds):
        damaged = bytearray(data)
        for _ in range(int(random.integers(1, 4))):
            end = len(data) if round_ % 2 else min(len(data), 300)
            damaged[int(random.integers(0, end))] ^= 1 << int(random.integers(8))
        if damaged == data:
            continue
        try:
            samples = raster.decode(bytes(damaged), where="flipped", limits=_FEW)
        except InputError:
            continue
        shown = _decoder_view(samples)
        assert shown.dtype in (np.uint8, np.uint16)
        assert shown.ndim == 2 or shown.shape[2:] == (3,)
        assert int(samples.values.max()) < 1 << samples.bits
        if name.startswith("png"):
            pytest.fail("a PNG with a flipped bit passed its checksums")


@given(st.binary(max_size=300), st.sampled_from(sorted(_ENCODED)), st.integers(0, 60))
@settings(max_examples=150, deadline=None)
def test_any_bytes_after_a_true_beginning(tail: bytes, name: str, head: int) -> None:
    try:
        raster.decode(_ENCODED[name][:head] + tail, where="random", limits=_FEW)
    except InputError:
        return


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.99])
def test_a_cut_jpeg_closed_with_an_end_marker_is_refused(progressive: bool, share: float) -> None:
    """libjpeg fills what is missing with grey and only warns; so did the picture pass as whole."""
    data = made.saved(made.noise((64, 96, 3)), "JPEG", progressive=progressive)
    scan = data.rindex(b"\xff\xda") + 10
    cut = data[: scan + int((len(data) - 2 - scan) * share)] + b"\xff\xd9"
    assert np.asarray(Image.open(io.BytesIO(cut))).shape == (64, 96, 3)  # Pillow takes it
    with pytest.raises(UnreadableFile):
        raster.decode(cut, where="cut")


def test_a_progressive_jpeg_without_its_last_scans_is_refused() -> None:
    data = made.saved(made.smooth(), "JPEG", progressive=True)
    starts = [i for i in range(len(data) - 1) if data[i : i + 2] == b"\xff\xda"]
    assert len(starts) > 3
    for start in starts[1:]:
        blurred = data[:start] + b"\xff\xd9"
        assert cv2.imdecode(np.frombuffer(blurred, np.uint8), 1) is not None
        with pytest.raises(UnreadableFile, match="scans"):
            raster.decode(blurred, where="blurred")


def test_padding_before_the_end_of_a_jpeg_is_noted() -> None:
    data = made.saved(made.smooth(), "JPEG")
    padded = data[:-2] + bytes(9) + data[-2:]
    samples = raster.decode(padded, where="padded")
    np.testing.assert_array_equal(samples.values, raster.decode(data, where="").values)
    assert samples.repairs == ("padding before the end-of-image marker ignored",)
    with pytest.raises(UnreadableFile, match="extraneous"):
        raster.decode(data[:-2] + bytes(range(1, 10)) + data[-2:], where="")


def test_bytes_after_the_end_are_noted() -> None:
    for name in ("jpeg", "png"):
        samples = raster.decode(_ENCODED[name] + b"more", where="")
        assert samples.repairs == ("4 bytes after the end of the picture ignored",)


def test_a_wrong_scan_header_or_jfif_version_hides_no_damage() -> None:
    """libjpeg reports the first oddity only, so harmless ones must not use that report up."""
    data = bytearray(made.saved(made.noise((64, 96, 3)), "JPEG"))
    whole = raster.decode(bytes(data), where="")
    data[data.index(b"JFIF\0") + 5] = 9
    scan = data.rindex(b"\xff\xda")
    data[scan + 11 : scan + 14] = b"\0\x02\0"
    np.testing.assert_array_equal(raster.decode(bytes(data), where="").values, whole.values)
    with pytest.raises(UnreadableFile):
        raster.decode(bytes(data[: len(data) // 2]) + b"\xff\xd9", where="")


def test_nothing_is_printed_for_damaged_files(capfd: pytest.CaptureFixture[str]) -> None:
    for data in _ENCODED.values():
        damaged = bytearray(data)
        damaged[len(data) // 2] ^= 0x10
        for sample in (bytes(damaged), data[: len(data) * 2 // 3]):
            try:
                raster.decode(sample, where="")
            except InputError:
                continue
    assert capfd.readouterr() == ("", "")


def test_other_text_on_standard_error_survives(capfd: pytest.CaptureFixture[str]) -> None:
    import os

    from qoqdata.readers.decoder_log import decoder_log

    with decoder_log() as log:
        os.write(2, b"progress 50 %\n[h264 @ 0x55aa] error while decoding MB 3 4\n")
        os.write(2, b"[ WARN:0@0.055] global cap.cpp:338 open\nanother line\n")
    assert log == ["[h264] error while decoding MB 3 4"]
    assert capfd.readouterr().err == "progress 50 %\nanother line\n"


# --- to_uint8 ------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_full_range_by_hand(bits: int) -> None:
    full = (1 << bits) - 1
    values = np.array([0, full // 2, full // 2 + 1, full], np.uint16)
    assert raster.to_uint8(values, bits=bits).tolist() == [0, 127, 128, 255]


@given(st.integers(8, 16), st.data())
def test_full_range_is_the_nearest_of_256(bits: int, data: st.DataObject) -> None:
    full = (1 << bits) - 1
    value = data.draw(st.integers(0, full))
    got = int(raster.to_uint8(np.array([[value]], np.uint16), bits=bits)[0, 0])
    assert got == math.floor(value * 255 / full + 0.5)


def test_the_rule_does_not_look_at_the_picture() -> None:
    """A picture that uses a narrow range stays dark: no min-max."""
    dark = np.array([[100, 200]], np.uint16)
    bright = np.array([[100, 200, 65535]], np.uint16)
    np.testing.assert_array_equal(
        raster.to_uint8(dark, bits=16), raster.to_uint8(bright, bits=16)[:, :2]
    )


def test_values_beyond_the_declared_bits_are_refused() -> None:
    with pytest.raises(InputError, match="12 bits"):
        raster.to_uint8(np.array([[4096]], np.uint16), bits=12)


def test_window_by_hand() -> None:
    """PS3.3 C.11.2.1.2.1 for centre 2048, width 4096: 0 is black, 4095 white, 2047.5 the middle."""
    values = np.array([0, 1, 2047, 2048, 4094, 4095, 60000], np.uint16)
    assert raster.to_uint8(values, window=(2048, 4096)).tolist() == [0, 0, 127, 128, 255, 255, 255]
    grey = np.array([[10, 20, 30]], np.uint8)
    assert raster.to_uint8(grey, window=(20.5, 11)).tolist() == [[0, 128, 255]]


def test_eight_bits_pass_unchanged() -> None:
    pixels = made.noise((4, 5, 3))
    assert raster.to_uint8(pixels) is pixels


@pytest.mark.parametrize(
    ("pixels", "settings"),
    [
        (np.zeros((2, 2), np.uint16), {}),
        (np.zeros((2, 2), np.uint16), {"bits": 12, "window": (1.0, 2.0)}),
        (np.zeros((2, 2), np.int16), {"bits": 12}),
        (np.zeros((2, 2), np.uint16), {"bits": 17}),
        (np.zeros((2, 2), np.uint16), {"bits": 0}),
    ],
)
def test_unclear_requests_are_programming_errors(pixels: np.ndarray, settings: dict) -> None:
    with pytest.raises(ValueError, match=r"bits|uint"):
        raster.to_uint8(pixels, **settings)


# --- real files ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "folder", ["dermoscopy", "fundus", "histology", "chest_xray", "ultrasound"]
)
def test_real_pictures_as_pillow_shows_them(realdata: Path, folder: str) -> None:
    paths = [
        path
        for path in sorted((realdata / folder).rglob("*"))
        if path.suffix.lower() in (".png", ".jpg", ".jpeg")
    ]
    assert len(paths) > 10
    for path in paths:
        got = raster.read(path)
        picture = ImageOps.exif_transpose(Image.open(path))
        grey = picture.mode in ("1", "L") or (
            picture.mode == "P"
            and len(set(zip(*[iter(picture.getpalette())] * 3, strict=True))) == 256
            and all(r == g == b for r, g, b in zip(*[iter(picture.getpalette())] * 3, strict=True))
        )
        expected = np.asarray(picture.convert("L" if grey else "RGBA"))
        if expected.ndim == 3:
            expected = expected[..., :3]
        np.testing.assert_array_equal(got.pixels, expected, err_msg=str(path))
        assert got.bits == 8
        assert not any("opaque" in repair for repair in got.repairs)
