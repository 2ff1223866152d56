"""What the simulators of benchmarks on the Hugging Face Hub write."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from qoqdata.simulation.mark import MARK, write_bytes


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
