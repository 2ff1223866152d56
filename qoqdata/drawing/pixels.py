"""Stored images and masks as a browser can draw them, whole or made small."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from qoqdata.drawing.ecg_paper import sheet_svg
from qoqdata.errors import InputError

#: Colours of labels in their order: Okabe and Ito's, told apart by the colour-blind.
COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")
#: Formats that every browser draws; others go as PNG.
_DRAWN = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}
#: Leads and seconds of an ECG that a glimpse shows.
_GLIMPSE_LEADS, _GLIMPSE_SECONDS = ("II", "V2", "V5"), 4.0
#: How much of what a mask covers still shows.
_OPAQUE = 120
#: What Pillow raises for bytes that it cannot decode.
_UNDECODED = (OSError, ValueError, UnidentifiedImageError, Image.DecompressionBombError)


class Drawing(NamedTuple):
    """Bytes and their media type."""

    content: bytes
    kind: str

    @property
    def uri(self) -> str:
        """The drawing in a URI of its own, for pages that ask for nothing."""
        return f"data:{self.kind};base64,{base64.b64encode(self.content).decode()}"


def drawn_image(content: bytes) -> Drawing:
    """A stored image as a browser can draw it: its own bytes, or PNG of them.

    Raises InputError where it cannot be decoded.
    """
    try:
        with Image.open(BytesIO(content)) as image:
            if image.format in _DRAWN:
                return Drawing(content, _DRAWN[image.format])
            with BytesIO() as stream:
                image.save(stream, "PNG")
                return Drawing(stream.getvalue(), "image/png")
    except _UNDECODED as error:
        raise InputError(f"the image cannot be decoded: {error}") from error


def small_image(content: bytes, side: int) -> Drawing:
    """A stored image as JPEG whose longer side has at most `side` pixels.

    Raises InputError where it cannot be decoded.
    """
    try:
        with Image.open(BytesIO(content)) as image, BytesIO() as stream:
            image.draft("RGB", (side * 2, side * 2))
            small = image.convert("RGB")
            small.thumbnail((side, side))
            small.save(stream, "JPEG", quality=85)
            return Drawing(stream.getvalue(), "image/jpeg")
    except _UNDECODED as error:
        raise InputError(f"the image cannot be decoded: {error}") from error


def glimpse(record: Mapping[str, Any], side: int) -> Drawing | None:
    """The first image of a record made small, or a part of its ECG; None where it has neither, or
    an image that cannot be decoded. `record` has the columns images and ecg."""
    if record["images"]:
        try:
            return small_image(record["images"][0]["bytes"], side)
        except InputError:
            return None
    if record["ecg"]:
        leads = record["ecg"]["leads"]
        shown = [leads.index(name) for name in _GLIMPSE_LEADS if name in leads] or [0]
        svg = sheet_svg(record["ecg"], leads=shown, seconds=_GLIMPSE_SECONDS)
        return Drawing(svg.encode(), "image/svg+xml")
    return None


def mask_codes(content: bytes) -> list[int]:
    """The codes of a label map other than background, ascending. Raises InputError."""
    return [int(code) for code in np.unique(_codes(content)) if code]


def drawn_mask(content: bytes, code: int, colour: int, side: int | None = None) -> Drawing:
    """Where a label map has `code`: half-transparent, of a colour in COLOURS, as PNG, with `side`
    of at most as many pixels on its longer side. Raises InputError."""
    here = _codes(content) == code
    if side is not None and (step := -(-max(here.shape) // side)) > 1:
        # A pixel that stands for several is covered where one of them is: thin structures stay.
        rows, columns = (-(-size // step) * step for size in here.shape)
        whole = np.zeros((rows, columns), bool)
        whole[: here.shape[0], : here.shape[1]] = here
        here = whole.reshape(rows // step, step, columns // step, step).any(axis=(1, 3))
    hexadecimal = COLOURS[colour % len(COLOURS)]
    rgb = [int(hexadecimal[place : place + 2], 16) for place in (1, 3, 5)]
    pixels = np.zeros((*here.shape, 4), np.uint8)
    pixels[here] = [*rgb, _OPAQUE]
    with BytesIO() as stream:
        Image.fromarray(pixels, "RGBA").save(stream, "PNG", compress_level=1)
        return Drawing(stream.getvalue(), "image/png")


def _codes(content: bytes) -> np.ndarray:
    try:
        with Image.open(BytesIO(content)) as image:
            # A palette image's indices are its codes.
            codes = np.asarray(image)
    except _UNDECODED as error:
        raise InputError(f"the mask cannot be decoded: {error}") from error
    return codes if codes.ndim == 2 else codes[..., 0]
