"""JPEG records for the loaders: 256 x 256, 13 to 15 KB, all different."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

ANSWERS = ("No finding", "Opacity", "Effusion", "Opacity, Effusion")


def make(folder: Path, count: int) -> None:
    """`count` images as files, and `records.jsonl` with id and answer of each."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    with (folder / "records.jsonl").open("w") as lines:
        for number in range(count):
            name = hashlib.sha256(str(number).encode()).hexdigest()[:32]
            (folder / f"{name}.jpg").write_bytes(_jpeg(random))
            answer = ANSWERS[number % len(ANSWERS)]
            lines.write(json.dumps({"id": name, "answer": answer}) + "\n")


def read(folder: Path) -> Iterator[tuple[str, bytes, str]]:
    """Id, JPEG bytes and answer of each record."""
    with (folder / "records.jsonl").open() as lines:
        for line in lines:
            record = json.loads(line)
            name = record["id"]
            yield name, (folder / f"{name}.jpg").read_bytes(), record["answer"]


def _jpeg(random: np.random.Generator) -> bytes:
    """Smooth colour with noise, which compresses like a photograph."""
    small = random.integers(0, 256, (40, 40, 3), dtype=np.uint8)
    smooth = cv2.resize(small, (256, 256), interpolation=cv2.INTER_CUBIC)
    noisy = smooth * 0.6 + random.normal(40, 4, (256, 256, 1))
    pixels = np.clip(noisy, 0, 255).astype(np.uint8)
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 76])[1].tobytes()
