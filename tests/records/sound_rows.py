"""Rows that keep every rule of the record contract, written out by hand."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from qoqdata.contract.arrow import arrow_schema
from qoqdata.contract.record import RECORD

WIDTH, HEIGHT = 6, 4


def encoded(kind: str = "PNG", *, width: int = WIDTH, height: int = HEIGHT) -> bytes:
    """A grey image of columns 0, 1, 2 ..., encoded by Pillow."""
    pixels = np.tile(np.arange(width, dtype=np.uint8), (height, 1))
    with BytesIO() as stream:
        Image.fromarray(pixels).save(stream, kind)
        return stream.getvalue()


def facts(**changes: Any) -> dict[str, Any]:
    """The entry of `image_info` of an image of WIDTH x HEIGHT."""
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "original_width": 60,
        "original_height": 40,
        "view": "PA",
        "laterality": None,
        "window": {"name": "lung", "centre": -600.0, "width": 1500.0, "function": "LINEAR"},
        "index": 0,
        "spacing": [0.5, 0.25],
        "stored_as": "native",
    } | changes


def region(**changes: Any) -> dict[str, Any]:
    """A box that fills the image up to its border."""
    return {
        "label": "opacity",
        "image": 0,
        "x_min": 0.0,
        "y_min": 0.0,
        "x_max": float(WIDTH),
        "y_max": float(HEIGHT),
        "area": 3.0,
        "reader": None,
        "role": "target",
    } | changes


def mask_info(**changes: Any) -> dict[str, Any]:
    """The entry of `mask_info` of a mask of WIDTH x HEIGHT."""
    own = {"image": 0, "width": WIDTH, "height": HEIGHT, "reader": None, "instance": None}
    return own | changes


def image_row(**changes: Any) -> dict[str, Any]:
    """A record with one image, its mask and a box."""
    return {
        "id": "0123456789abcdef0123456789abcdef",
        "source": "films",
        "domain": "chest_xray",
        "modality": "image_2d",
        "task": "diagnosis",
        "kind": "multi",
        "item": None,
        "split": "train",
        "patient": "aa" * 16,
        "study": "bb" * 16,
        "images": [{"bytes": encoded(), "path": "0.png"}],
        "image_info": [facts()],
        "ecg": None,
        "regions": [region()],
        "masks": [{"bytes": encoded(), "path": "0-mask.png"}],
        "mask_info": [mask_info()],
        "context": None,
        "question": "What does it show?",
        "options": ["Clear", "Opacity", "Effusion"],
        "answer": "Opacity, Effusion",
        "number": None,
        "labels": ["Opacity", "Effusion"],
        "uncertain": [],
        "absent": [],
        "reasoning": None,
        "reasoning_policy": None,
        "age": 61,
        "sex": "female",
        "licence": "CC0",
        "redistribution": "allowed",
        "provenance": {
            "raw": ["a.png"],
            "digest": "cc" * 32,
            "algorithm": "blake3",
            "converter": "films",
            "version": "1",
            "notes": [],
        },
    } | changes


def ecg_row(**changes: Any) -> dict[str, Any]:
    """A record with two leads of three samples."""
    ecg = {
        "leads": ["I", "II"],
        "fs": 500.0,
        "signal": [[0.0, 0.5, -0.25], [1.0, 1.5, 0.125]],
        "valid": [[True, True, True], [True, False, True]],
    }
    return (
        image_row(
            id="fedcba9876543210fedcba9876543210",
            source="ecgs",
            domain="ecg",
            modality="ecg",
            images=None,
            image_info=None,
            regions=None,
            masks=None,
            mask_info=None,
            kind="open",
            ecg=ecg,
            options=None,
            labels=None,
            uncertain=None,
            absent=None,
            answer="Sinus rhythm at 70 beats a minute, and a long QT interval",
            age=None,
            sex=None,
            patient=None,
        )
        | changes
    )


def table(*rows: dict[str, Any]) -> pa.Table:
    """Rows as an Arrow table in the record schema."""
    return pa.Table.from_pylist(list(rows), schema=arrow_schema(RECORD))
