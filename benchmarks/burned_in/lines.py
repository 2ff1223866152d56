"""Lines as devices burn them in: names, dates and numbers, in many fonts, sizes and places."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

NAMES = {
    "English": ("SMITH^JOHN", "Mary O'Connor", "JOHNSON, ANNA M", "Patient: Robert Hill"),
    "German": ("MÜLLER^JÜRGEN", "Käthe Weiß", "Schröder, Björn", "Frau Annegret Groß"),
    "Chinese": ("张伟", "王秀英", "姓名 李娜", "患者 欧阳建国"),
}
DATES = {
    "English": ("DOB: 07/22/1943", "03-APR-2012 14:05", "2019-11-30"),
    "German": ("geb. 22.07.1943", "03. April 2012", "Aufnahme 30.11.2019"),
    "Chinese": ("1943年7月22日", "出生 1962-03-09", "检查 2019年11月30日"),
}
NUMBERS = {
    "English": ("ID 4711-0815", "MRN 00483726", "Acc# A20193347"),
    "German": ("Pat.-Nr. 483726", "Fall 20193347", "KIS 0048-3726"),
    "Chinese": ("病历号 483726", "编号 20193347", "住院 0048-3726"),
}
#: Faces of OpenCV by name; "uni" alone has the Chinese characters. By number its Hershey faces,
#: strokes without area as older devices drew them. By file name those that matplotlib brings.
OPENCV = ("sans", "italic", "uni")
HERSHEY = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX)
MATPLOTLIB = ("DejaVuSansMono.ttf", "DejaVuSerif.ttf", "DejaVuSans-Bold.ttf", "STIXGeneral.ttf")
HEIGHTS = (9, 12, 16, 22, 32)
CONTRASTS = (60, 100, 200)


@dataclass(frozen=True)
class Burned:
    """An image with a line: height of its capitals in pixels, contrast to the ground in grey
    levels, corners in pixels (x0, y0, x1, y1). `legible` where the contrast is twice the standard
    deviation of the ground or more."""

    pixels: np.ndarray
    language: str
    face: str | int
    height: int
    contrast: int
    legible: bool
    box: tuple[int, int, int, int]


def burn(
    pixels: np.ndarray, rng: random.Random, faces: tuple[str | int, ...] = (*OPENCV, *HERSHEY)
) -> Burned | None:
    """A copy with one line on it, stored as JPEG once; None where no line fits."""
    language = rng.choice(tuple(NAMES))
    text = rng.choice(rng.choice((NAMES, DATES, NUMBERS))[language])
    fit = [face for face in faces if text.isascii() or isinstance(face, str)]
    face = "uni" if language == "Chinese" else rng.choice(fit)
    # A Chinese character needs twice the rows of a Latin one to be read.
    heights = [h for h in HEIGHTS if h >= (12 if language == "Chinese" else 9)]
    height, contrast = rng.choice(heights), rng.choice(CONTRASTS)
    sharp = _glyphs(text, face, height)
    while sharp.shape[1] > pixels.shape[1] - 8 and height > heights[0]:
        height = max(h for h in heights if h < height)
        sharp = _glyphs(text, face, height)
    rows, columns = sharp.shape
    if columns > pixels.shape[1] - 4 or rows > pixels.shape[0] - 4:
        return None
    top, left = _place(pixels.shape[:2], (rows, columns), rng)
    out = pixels.copy()
    part = out[top : top + rows, left : left + columns].astype(np.float32)
    luma = part @ np.float32([0.299, 0.587, 0.114])
    colour = _colour(float(np.median(luma)), contrast, rng)
    legible = contrast >= 2 * float(luma.std())
    alpha = (sharp / 255.0)[..., None]
    out[top : top + rows, left : left + columns] = np.round(part * (1 - alpha) + colour * alpha)
    good, data = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, 95])
    assert good
    box = (left, top, left + columns, top + rows)
    stored = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return Burned(stored, language, face, height, contrast, legible, box)


def _glyphs(text: str, face: str | int, height: int) -> np.ndarray:
    """Coverage 0 to 255 of the line, capitals about `height` rows high."""
    canvas = np.zeros((height * 4, height * len(text) * 2 + 40, 3), np.uint8)
    white, origin = (255, 255, 255), (20, height * 3)
    if face in MATPLOTLIB:
        canvas = _by_freetype(text, str(face), height, canvas.shape[:2])
    elif isinstance(face, str):
        # The size of a face counts from the deepest to the highest stroke of its Latin letters.
        scale = 1.15 if face == "uni" and not text.isascii() else 1.35
        cv2.putText(canvas, text, origin, white, cv2.FontFace(face), round(height * scale))
    else:
        thickness = max(1, height // 12)
        scale = cv2.getFontScaleFromHeight(face, height, thickness)
        cv2.putText(canvas, text, origin, face, scale, white, thickness, cv2.LINE_AA)
    grey = canvas if canvas.ndim == 2 else canvas[..., 0]
    rows, columns = np.flatnonzero(grey.max(axis=1)), np.flatnonzero(grey.max(axis=0))
    return grey[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _by_freetype(text: str, face: str, height: int, shape: tuple[int, int]) -> np.ndarray:
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    canvas = Image.new("L", shape[::-1])
    # Capitals take 0.73 of the size in these faces.
    font = ImageFont.truetype(str(folder / face), round(height / 0.73))
    ImageDraw.Draw(canvas).text((20, height), text, 255, font)
    return np.asarray(canvas)


def _place(size: tuple[int, int], line: tuple[int, int], rng: random.Random) -> tuple[int, int]:
    """In a corner, where devices write, half of the time, else anywhere."""
    free = (size[0] - line[0] - 2, size[1] - line[1] - 2)
    if rng.random() < 0.5:
        return tuple(rng.choice((min(6, n), max(n - 6, 1))) for n in free)  # type: ignore[return-value]
    return rng.randint(1, max(free[0], 1)), rng.randint(1, max(free[1], 1))


def _colour(ground: float, contrast: int, rng: random.Random) -> np.ndarray:
    """Brighter where there is room, else darker; grey, or yellow or green at the same luma."""
    bright = ground + contrast <= 255 or ground < 128
    luma = min(255.0, ground + contrast) if bright else max(0.0, ground - contrast)
    colour = np.full(3, luma, np.float32)
    if bright and luma > 100 and rng.random() < 0.25:
        colour = np.float32([luma, luma, 40]) if rng.random() < 0.5 else np.float32([60, luma, 60])
    return colour
