"""Cut and flipped images are refused or read whole, and decoders print nothing."""

from __future__ import annotations

import io
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from qoqdata.errors import InputError, UnreadableFile
from qoqdata.readers.image import jpeg, reader
from qoqdata.readers.limits import Limits
from tests.readers import encoded_images as made

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


def _decoder_view(samples: reader.StoredValues) -> np.ndarray:
    return samples.values if samples.palette is None else samples.palette[samples.values]


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
            samples = reader.decode_image(bytes(damaged), where="flipped", limits=_FEW)
        except InputError:
            continue
        shown = _decoder_view(samples)
        assert shown.dtype in (np.uint8, np.uint16)
        assert shown.ndim == 2 or shown.shape[2:] == (3,)
        assert int(samples.values.max()) < 1 << samples.bits
        if name.startswith("png"):
            pytest.fail("a PNG with a flipped bit passed its checksums")


@pytest.mark.parametrize("name", list(_ENCODED))
def test_a_cut_file_is_never_read(name: str) -> None:
    data = _ENCODED[name]
    whole = len(data)
    lengths = {whole - 1, whole - 2, whole - 3, whole - 13, *range(0, whole, max(1, whole // 40))}
    for length in sorted(lengths):
        with pytest.raises(InputError):
            reader.decode_image(data[:length], where="cut", limits=_FEW)


@pytest.mark.parametrize("name", list(_ENCODED))
def test_flipped_bits_give_a_image_or_our_error(name: str) -> None:
    _flip(name, seed=1, rounds=60)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
@pytest.mark.parametrize("name", list(_ENCODED))
def test_many_flipped_bits(name: str, seed: int) -> None:
    _flip(name, seed=seed, rounds=400)


@given(st.binary(max_size=300), st.sampled_from(sorted(_ENCODED)), st.integers(0, 60))
@settings(max_examples=150)
def test_any_bytes_after_a_true_beginning(tail: bytes, name: str, head: int) -> None:
    try:
        reader.decode_image(_ENCODED[name][:head] + tail, where="random", limits=_FEW)
    except InputError:
        return


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.99])
def test_a_cut_jpeg_closed_with_an_end_marker_is_refused(progressive: bool, share: float) -> None:
    """libjpeg fills what is missing with grey and only warns; so did the image pass as whole."""
    data = made.saved(made.noise((64, 96, 3)), "JPEG", progressive=progressive)
    scan = data.rindex(b"\xff\xda") + 10
    cut = data[: scan + int((len(data) - 2 - scan) * share)] + b"\xff\xd9"
    assert np.asarray(Image.open(io.BytesIO(cut))).shape == (64, 96, 3)  # Pillow takes it
    with pytest.raises(UnreadableFile):
        reader.decode_image(cut, where="cut")


def test_what_a_jpeg_says_is_found_once_and_damage_is_placed_each_time() -> None:
    whole = jpeg.layout(made.saved(made.smooth(), "JPEG"))
    assert jpeg.frame(whole) is jpeg.frame(whole)
    headless = replace(whole, segments=whole.segments[:1])
    for where in ("a.jpg", "b.jpg"):
        with pytest.raises(UnreadableFile, match="0 frame headers") as caught:
            jpeg.frame(headless, where)
        assert caught.value.where == where


def test_a_progressive_jpeg_without_its_last_scans_is_refused() -> None:
    data = made.saved(made.smooth(), "JPEG", progressive=True)
    starts = [i for i in range(len(data) - 1) if data[i : i + 2] == b"\xff\xda"]
    assert len(starts) > 3
    for start in starts[1:]:
        blurred = data[:start] + b"\xff\xd9"
        assert cv2.imdecode(np.frombuffer(blurred, np.uint8), 1) is not None
        with pytest.raises(UnreadableFile, match="scans"):
            reader.decode_image(blurred, where="blurred")


def test_padding_before_the_end_of_a_jpeg_is_noted() -> None:
    data = made.saved(made.smooth(), "JPEG")
    padded = data[:-2] + bytes(9) + data[-2:]
    samples = reader.decode_image(padded, where="padded")
    np.testing.assert_array_equal(samples.values, reader.decode_image(data, where="").values)
    assert samples.repairs == ("padding before the end-of-image marker ignored",)
    with pytest.raises(UnreadableFile, match="extraneous"):
        reader.decode_image(data[:-2] + bytes(range(1, 10)) + data[-2:], where="")


def test_bytes_after_the_end_are_noted() -> None:
    for name in ("jpeg", "png"):
        samples = reader.decode_image(_ENCODED[name] + b"more", where="")
        assert samples.repairs == ("4 bytes after the end of the image ignored",)


def test_a_wrong_scan_header_or_jfif_version_hides_no_damage() -> None:
    """libjpeg reports the first oddity only, so harmless ones must not use that report up."""
    data = bytearray(made.saved(made.noise((64, 96, 3)), "JPEG"))
    whole = reader.decode_image(bytes(data), where="")
    data[data.index(b"JFIF\0") + 5] = 9
    scan = data.rindex(b"\xff\xda")
    data[scan + 11 : scan + 14] = b"\0\x02\0"
    np.testing.assert_array_equal(reader.decode_image(bytes(data), where="").values, whole.values)
    with pytest.raises(UnreadableFile):
        reader.decode_image(bytes(data[: len(data) // 2]) + b"\xff\xd9", where="")


def test_nothing_is_printed_for_damaged_files(capfd: pytest.CaptureFixture[str]) -> None:
    for data in _ENCODED.values():
        damaged = bytearray(data)
        damaged[len(data) // 2] ^= 0x10
        for sample in (bytes(damaged), data[: len(data) * 2 // 3]):
            try:
                reader.decode_image(sample, where="")
            except InputError:
                continue
    assert capfd.readouterr() == ("", "")
