"""What the simulators of benchmarks on the Hugging Face Hub write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from qoqdata.simulation.mark import MARK, write_bytes

#: Reasons of the quarantine that quirks of short questions lead to.
QUIRKS = ("missing_file", "unreadable_file", "unsupported_format")


class ShortQuestion(NamedTuple):
    """A row: RGB pixels, the bytes of a file, or none; a question and its answer."""

    image: np.ndarray | bytes | None
    question: str | None
    answer: str | None


def write_hub_table(path: Path, rows: Sequence[ShortQuestion]) -> None:
    """A Parquet table with the columns image, question and answer; its metadata marks it."""
    pictures = [row.image for row in rows]
    files = [jpeg(one) if isinstance(one, np.ndarray) else one for one in pictures]
    images = [{"bytes": file, "path": None} for file in files]
    table = pa.table(
        {
            "image": pa.array(images, pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
            "question": pa.array([row.question for row in rows], pa.string()),
            "answer": pa.array([row.answer for row in rows], pa.string()),
        },
    )
    stream = BytesIO()
    pq.write_table(table.replace_schema_metadata({"comment": MARK}), stream)
    write_bytes(path, stream.getvalue())


def jpeg(pixels: np.ndarray, mode: str | None = None) -> bytes:
    """A JPEG of RGB pixels, in another `mode` of Pillow's if one is named."""
    stream, picture = BytesIO(), Image.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(stream, "JPEG", comment=MARK.encode())
    return stream.getvalue()


def cmyk(pixels: np.ndarray) -> bytes:
    """A JPEG in four inks, as scanned pages of textbooks are."""
    return jpeg(pixels, "CMYK")


def simulate_short_questions(
    out: Path,
    n: int,
    *,
    parts: Sequence[str],
    asked: Sequence[tuple[str, tuple[str, ...]]],
    draw: Callable[[np.random.Generator], np.ndarray],
    seed: int,
    quirks: bool,
) -> None:
    """`n` images that `draw` gives, uint8 RGB, in turn over the parts, some with two of the
    questions `asked`. With quirks: an image lost, one cut, one in CMYK, a blank answer."""
    rng = np.random.default_rng(seed)
    rows: dict[str, list[ShortQuestion]] = {part: [] for part in parts}
    for number in range(n):
        own = rows[parts[number % len(parts)]]
        image: np.ndarray | bytes | None = draw(rng)
        for question, answers in asked[number % 4 :][: 1 + number // 4 % 2]:
            answer: str | None = str(rng.choice(answers))
            if quirks:
                image, answer = _broken(number, image, answer)
            own.append(ShortQuestion(image, question, answer))
    for part, own in rows.items():
        write_hub_table(out / f"data/{part}-00000-of-00001.parquet", own)


def _broken(
    number: int, image: np.ndarray | bytes | None, answer: str | None
) -> tuple[np.ndarray | bytes | None, str | None]:
    match number:
        case 0:
            return None, answer
        case 1:
            return bytes([0xFF, 0xD8, 0xFF]) + b"cut", answer
        case 2 if isinstance(image, np.ndarray):
            return cmyk(image), answer
        case 3:
            return image, " "
    return image, answer
