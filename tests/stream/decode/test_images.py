"""Hostile bytes: a correct image or one of our errors, before anything large is allocated."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from qoqdata.errors import InputError, TooLarge, UnreadableFile, UnsupportedFormat
from qoqdata.readers import encode
from qoqdata.readers.limits import DEFAULT_LIMITS
from qoqdata.stream.decode import Budget, Decoder, encoded_images

Y, X = np.mgrid[0:48, 0:64]
SMOOTH = np.stack([X * 4, Y * 5, 200 - Y * 3], axis=-1).astype(np.uint8)
JPEG, PNG = encode.jpeg(SMOOTH), encode.png(SMOOTH)


def decode(data, **settings_):
    return Decoder("array", **settings_)({"id": "r1", "images": [PNG, data]})["images"][1]


def saved(image, kind, **settings_):
    out = io.BytesIO()
    image.save(out, kind, **settings_)
    return out.getvalue()


@pytest.mark.parametrize("data", [JPEG, PNG], ids=["jpeg", "png"])
def test_every_cut_is_refused_by_name(data):
    for end in [*range(0, len(data) - 1, 37), len(data) - 1]:
        with pytest.raises(InputError, match=r"record r1, images\[1\]"):
            decode(data[:end])


@settings(max_examples=200)
@given(st.integers(0, len(PNG) - 1), st.integers(1, 255))
def test_a_changed_byte_of_a_png_is_refused(position, change):
    data = bytearray(PNG)
    data[position] ^= change
    with pytest.raises(InputError, match=r"images\[1\]"):
        decode(bytes(data))


@settings(max_examples=200)
@given(st.integers(0, len(JPEG) - 1), st.integers(1, 255), st.booleans())
def test_a_changed_byte_of_a_jpeg_gives_its_own_size_or_an_error(position, change, strict):
    data = bytearray(JPEG)
    data[position] ^= change
    try:
        found = decode(bytes(data), strict=strict)
    except InputError as error:
        assert "record r1, images[1]" in str(error)
        return
    assert found.dtype == np.uint8 and found.ndim == 3 and found.shape[2] == 3


def test_strict_refuses_a_scan_that_ends_early(capfd):
    scan = JPEG.index(b"\xff\xda") + 14
    short = JPEG[: scan + (len(JPEG) - scan) // 2] + b"\xff\xd9"
    with pytest.raises(UnreadableFile, match=r"images\[1\].*damaged"):
        decode(short, strict=True)
    assert capfd.readouterr().err == ""


def test_a_progressive_image_without_its_last_scans_is_refused():
    data = saved(Image.fromarray(SMOOTH), "JPEG", progressive=True)
    assert decode(data).shape == (48, 64, 3)
    scans = [at for at in range(len(data)) if data[at : at + 2] == b"\xff\xda"]
    assert len(scans) > 3
    with pytest.raises(UnreadableFile, match=r"images\[1\].*scans are missing"):
        decode(data[: scans[3]] + b"\xff\xd9")


@settings(max_examples=100)
@given(st.binary(max_size=200), st.sampled_from([b"", JPEG[:3], PNG[:8], JPEG[:20], PNG[:33]]))
def test_noise_is_refused(noise, head):
    with pytest.raises(InputError):
        decode(head + noise)


def test_bombs_are_refused_from_their_header():
    jpeg_bomb = bytearray(JPEG)
    frame = JPEG.index(b"\xff\xc0")
    jpeg_bomb[frame + 5 : frame + 9] = struct.pack(">HH", 65500, 65500)
    png_bomb = saved(Image.new("L", (20_100, 20_000)), "PNG")
    assert len(png_bomb) < 2_000_000
    for bomb in (bytes(jpeg_bomb), png_bomb):
        with pytest.raises(TooLarge, match=r"images\[1\].*image pixels"):
            decode(bomb)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (saved(Image.fromarray(SMOOTH), "BMP"), "neither JPEG nor PNG"),
        (saved(Image.fromarray(SMOOTH), "WEBP"), "neither JPEG nor PNG"),
        (saved(Image.fromarray(SMOOTH).convert("CMYK"), "JPEG"), "4 components"),
        (saved(Image.fromarray(SMOOTH).convert("P"), "PNG"), "colour type 3"),
        (saved(Image.fromarray(SMOOTH).convert("RGBA"), "PNG"), "colour type 6"),
        (saved(Image.fromarray(SMOOTH).convert("1"), "PNG"), "1 bits"),
        (saved(Image.fromarray(SMOOTH), "PNG", transparency=(0, 0, 200)), "tRNS"),
        (encode.label_png(SMOOTH[..., 0].astype(np.uint16) * 200), "16 bits"),
    ],
)
def test_what_no_record_holds_is_refused(data, reason):
    with pytest.raises(UnsupportedFormat, match=rf"record r1, images\[1\].*{reason}"):
        decode(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_turned_images_are_refused_and_upright_exif_is_not(kind):
    for orientation, fine in ((1, True), (6, False)):
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = saved(Image.fromarray(SMOOTH), kind, exif=exif.tobytes())
        if fine:
            assert decode(data).shape == (48, 64, 3)
        else:
            with pytest.raises(UnsupportedFormat, match="orientation 6"):
                decode(data)


def test_masks_must_be_grey_png():
    image = encode.png(SMOOTH)
    for mask in (encode.jpeg(SMOOTH[..., 0]), encode.png(SMOOTH)):
        with pytest.raises(UnsupportedFormat, match=r"record r1, masks\[0\].*grey PNG"):
            Decoder("array")({"id": "r1", "images": [image], "masks": [mask]})


def test_all_sixteen_bits_of_a_mask_are_kept():
    codes = (np.arange(48 * 64) * 21).astype(np.uint16).reshape(48, 64)
    found = Decoder("array")({"images": [PNG], "masks": [encode.label_png(codes)]})
    assert found["masks"][0].dtype == np.uint16 and np.array_equal(found["masks"][0], codes)


def test_structure_is_checked_without_decoding():
    facts = encoded_images.opened(JPEG, where="x", limits=DEFAULT_LIMITS)
    assert (facts.size, facts.channels, facts.bits, facts.format) == ((64, 48), 3, 8, "JPEG")


def test_other_values_are_no_images():
    for value in (5, "text", {"path": "a"}, object()):
        with pytest.raises(InputError, match=r"record r1, images\[1\]"):
            decode(value)


def test_a_image_too_long_for_the_policy_names_its_record():
    strip = encode.png(np.zeros((2, 402), np.uint8))
    with pytest.raises(UnsupportedFormat, match="record r1, images"):
        Decoder("array", Budget())({"id": "r1", "images": [strip]})
