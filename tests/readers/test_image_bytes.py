"""Stripping: nothing readable stays, no pixel changes. Storability: one plain 8-bit image."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from qoqdata.errors import InputError, UnreadableFile, UnsupportedFormat
from qoqdata.readers.image import verbatim
from tests.readers import encoded_images as made

SECRET = b"DOE^JANE 1950-01-01"


def _same_pixels(before: bytes, after: bytes) -> None:
    """Pillow and OpenCV decode both to the same array."""
    np.testing.assert_array_equal(
        np.asarray(Image.open(io.BytesIO(before))), np.asarray(Image.open(io.BytesIO(after)))
    )
    for flags in (cv2.IMREAD_UNCHANGED, cv2.IMREAD_COLOR, cv2.IMREAD_GRAYSCALE):
        a, b = (cv2.imdecode(np.frombuffer(data, np.uint8), flags) for data in (before, after))
        assert a is not None
        np.testing.assert_array_equal(a, b)


def _with_segments(data: bytes, *segments: bytes) -> bytes:
    """Segments after the SOI and JFIF segments."""
    place = 4 + int.from_bytes(data[4:6], "big")
    return data[:place] + b"".join(segments) + data[place:]


def _jpeg_full_of_text(**how: object) -> bytes:
    data = _with_segments(
        made.saved(made.smooth(), "JPEG", **how),
        made.jpeg_segment(0xE1, b"Exif\0\0" + made.exif(1) + SECRET),
        made.jpeg_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + SECRET),
        made.jpeg_segment(0xE0, b"JFXX\0" + SECRET),
        *(made.jpeg_segment(0xE0 + n, b"app" + SECRET) for n in (*range(2, 14), 15)),
        made.jpeg_segment(0xFE, SECRET),
    )
    scan = data.rindex(b"\xff\xda")
    between = data[:scan] + made.jpeg_segment(0xFE, SECRET) + data[scan:]
    return between + SECRET


@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_loses_every_text_and_no_pixel(progressive: bool) -> None:
    data = _jpeg_full_of_text(progressive=progressive)
    assert data.count(SECRET) == 19
    stripped, removed = verbatim.strip(data)
    assert SECRET not in stripped
    assert sorted(set(removed)) == sorted(
        {
            *(f"APP{n}" for n in (0, 1, *range(2, 14), 15)),
            "COM",
            f"{len(SECRET)} bytes after the end",
        }
    )
    assert SECRET.decode() not in " ".join(removed)
    _same_pixels(data, stripped)
    assert verbatim.strip(stripped) == (stripped, ())


def test_jpeg_keeps_only_known_markers() -> None:
    stripped, _ = verbatim.strip(_jpeg_full_of_text())
    markers, position = [], 2
    while stripped[position + 1] != 0xDA:
        markers.append(stripped[position + 1])
        position += 2 + int.from_bytes(stripped[position + 2 : position + 4], "big")
    assert set(markers) == {0xE0, 0xDB, 0xC0, 0xC4}


def test_jfif_thumbnail_is_removed() -> None:
    data = made.saved(made.smooth(), "JPEG")
    jfif = made.jpeg_segment(0xE0, data[6:18] + b"\x03\x02" + SECRET[:18])
    fat = data[:2] + jfif + data[4 + int.from_bytes(data[4:6], "big") :]
    stripped, removed = verbatim.strip(fat)
    assert removed == ("APP0 beyond its fixed fields",)
    assert SECRET[:18] not in stripped
    _same_pixels(fat, stripped)
    assert stripped == verbatim.strip(data)[0]


def test_adobe_segment_that_tells_the_colours_stays() -> None:
    """Without it the RGB components would be taken for YCbCr."""
    data = made.saved(made.smooth(), "JPEG", keep_rgb=True)
    adobe = data.index(b"Adobe")
    longer = bytearray(data[: adobe + 12] + SECRET + data[adobe + 12 :])
    longer[adobe - 2 : adobe] = (14 + len(SECRET)).to_bytes(2, "big")
    stripped, removed = verbatim.strip(bytes(longer))
    assert removed == ("APP14 beyond its fixed fields",)
    assert SECRET not in stripped
    _same_pixels(data, stripped)


def _png_full_of_text(samples: np.ndarray, colour: int, depth: int, *extra: bytes) -> bytes:
    data = made.png(
        samples,
        colour,
        depth,
        made.chunk(b"gAMA", (45455).to_bytes(4, "big")),
        made.chunk(b"sRGB", b"\0"),
        made.chunk(b"iCCP", b"p\0\0" + SECRET),
        *extra,
        made.chunk(b"pHYs", bytes(9)),
        made.chunk(b"tIME", bytes(7)),
        made.chunk(b"tEXt", b"Comment\0" + SECRET),
        made.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + SECRET),
        made.chunk(b"zTXt", b"Comment\0\0" + SECRET),
        made.chunk(b"eXIf", made.exif(1) + SECRET),
        made.chunk(b"prVt", SECRET),
    )
    return data[:-12] + made.chunk(b"tEXt", b"late\0" + SECRET) + data[-12:] + SECRET


@pytest.mark.parametrize("depth", [1, 8, 16])
def test_png_loses_every_text_and_no_pixel(depth: int) -> None:
    data = _png_full_of_text(made.noise((9, 14), depth), 0, depth)
    stripped, removed = verbatim.strip(data)
    assert SECRET not in stripped
    assert set(removed) == {
        *("gAMA", "sRGB", "iCCP", "pHYs", "tIME", "tEXt", "iTXt", "zTXt", "eXIf", "prVt"),
        f"{len(SECRET)} bytes after the end",
    }
    assert stripped == made.png(made.noise((9, 14), depth), 0, depth)
    plain = np.asarray(Image.open(io.BytesIO(stripped)))
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), plain)
    assert verbatim.strip(stripped) == (stripped, ())


def test_palette_and_transparency_of_png_stay() -> None:
    palette = made.chunk(b"PLTE", made.noise((16, 3)).tobytes()) + made.chunk(b"tRNS", b"\0\x80")
    data = _png_full_of_text(made.noise((9, 14), 4), 3, 4, palette)
    stripped, _ = verbatim.strip(data)
    assert stripped == made.png(made.noise((9, 14), 4), 3, 4, palette)
    before, after = (Image.open(io.BytesIO(d)).convert("RGBA") for d in (data, stripped))
    np.testing.assert_array_equal(np.asarray(before), np.asarray(after))


@pytest.mark.parametrize("value", range(2, 9))
def test_a_turned_image_is_not_stripped(value: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    for kind in ("JPEG", "PNG"):
        data = made.saved(made.smooth(), kind, exif=exif)
        assert not verbatim.storable(data)
        with pytest.raises(UnsupportedFormat, match=f"orientation {value}"):
            verbatim.strip(data)


def _animated() -> bytes:
    return made.saved(
        Image.fromarray(made.smooth()),
        "PNG",
        save_all=True,
        append_images=[Image.fromarray(made.smooth()[::-1])],
    )


def test_other_formats_and_animations_are_refused() -> None:
    for data in (made.saved(made.smooth(), "BMP"), b"", b"\xff\xd8", _animated()):
        with pytest.raises((UnsupportedFormat, UnreadableFile)):
            verbatim.strip(data)
        assert not verbatim.storable(data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (made.saved(made.smooth(), "JPEG"), True),
        (made.saved(made.smooth(), "JPEG", progressive=True), True),
        (made.saved(made.smooth()[..., 0], "JPEG"), True),
        (made.saved(made.smooth(), "JPEG") + b"trailing", True),
        (_jpeg_full_of_text(), True),
        (made.saved(Image.fromarray(made.noise((8, 8, 4)), mode="CMYK"), "JPEG"), False),
        (made.saved(made.smooth(), "JPEG")[:-2], False),
        (made.saved(made.smooth(), "PNG"), True),
        (made.png(made.noise((4, 4)), 0, 8), True),
        (made.png(made.noise((4, 4), 4), 0, 4), False),
        (made.png(made.noise((4, 4), 16), 0, 16), False),
        (made.png(made.noise((4, 4, 4)), 6, 8), False),
        (made.png(made.noise((4, 4, 2)), 4, 8), False),
        (made.png(made.noise((4, 4), 4), 3, 8, made.chunk(b"PLTE", bytes(48))), False),
        (made.png(made.noise((4, 4)), 0, 8, made.chunk(b"tRNS", b"\0\0")), False),
        (made.png(made.noise((4, 4)), 0, 8)[:-1], False),
        (made.saved(made.smooth(), "WEBP"), False),
        (made.saved(made.smooth()[..., 0], "GIF"), False),
        (b"", False),
    ],
)
def test_storable(data: bytes, expected: bool) -> None:
    assert verbatim.storable(data) is expected


@given(st.sampled_from(["JPEG", "PNG"]), st.data())
@settings(max_examples=200)
def test_damaged_bytes_give_bytes_or_our_error(kind: str, data: st.DataObject) -> None:
    whole = bytearray(_jpeg_full_of_text() if kind == "JPEG" else made.saved(made.smooth(), kind))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    for damaged in (bytes(whole), cut):
        assert verbatim.storable(damaged) in (True, False)
        try:
            stripped, _ = verbatim.strip(damaged)
        except InputError:
            continue
        assert verbatim.strip(stripped) == (stripped, ())


@pytest.mark.parametrize(
    "folder", ["dermoscopy", "fundus", "histology", "chest_xray", "ultrasound"]
)
def test_real_images_keep_their_pixels(realdata: Path, folder: str) -> None:
    stored = 0
    for path in sorted((realdata / folder).rglob("*")):
        if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
            continue
        data = path.read_bytes()
        stripped, removed = verbatim.strip(data)
        _same_pixels(data, stripped)
        assert len(stripped) <= len(data)
        for text in (b"Adobe Photoshop", b"xmpmeta", b"Exif\0", b"ICC_PROFILE"):
            assert text not in stripped, (path, removed)
        stored += verbatim.storable(data)
    assert stored > 5
