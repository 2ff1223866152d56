"""Small clinical records and tiny policies for the tests of model and data."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qoqdata.readers.ecg.leads import TWELVE

FAMILIES = ("qwen2_5_vl", "qwen3_vl")
QUESTION = "Which finding is shown? Choose exactly one:\nNormal\nAbnormal"


def record(name: str, **columns: Any) -> dict[str, Any]:
    """A record with the usual columns; what it shows comes from `columns`."""
    base = {
        "id": name,
        "source": "made",
        "domain": "ct",
        "modality": "image_2d",
        "task": "diagnosis",
        "kind": "single",
        "split": "train",
        "images": None,
        "image_info": None,
        "ecg": None,
        "regions": None,
        "context": None,
        "question": QUESTION,
        "options": ["Normal", "Abnormal"],
        "answer": "Normal",
    }
    return base | columns


def images(seed: int, *sizes: tuple[int, int]) -> dict[str, Any]:
    """Columns of images of random grey levels, sizes (width, height)."""
    rng = np.random.default_rng(seed)
    info = [
        {"width": w, "height": h, "view": None, "laterality": None, "window": None}
        for w, h in sizes
    ]
    images = [rng.integers(0, 256, (h, w, 3), dtype=np.uint8) for w, h in sizes]
    return {"images": images, "image_info": info}


def ecg(
    seed: int, *, fs: float = 250.0, seconds: float = 10.0, leads: tuple[str, ...] = TWELVE
) -> dict[str, Any]:
    """The ecg column: sines whose phase and rate go by lead name."""
    time = np.arange(round(fs * seconds)) / fs
    signal = np.stack(
        [
            np.sin(2 * np.pi * (1 + 0.1 * seed) * time + TWELVE.index(lead)) * 0.5
            + 0.05 * TWELVE.index(lead)
            for lead in leads
        ]
    ).astype(np.float32)
    valid = np.ones(signal.shape, bool)
    return {"leads": list(leads), "fs": fs, "signal": signal, "valid": valid}


def mixed_records() -> list[dict[str, Any]]:
    """Text only, one image, several images, ECG only, ECG with an image, in that order."""
    return [
        record("text", context="The patient is well. Blood pressure 120 over 80.", modality="text"),
        record("image", **images(1, (64, 48))),
        record("slices", modality="volume_3d", **images(2, (40, 40), (56, 30), (64, 64))),
        record("ecg", domain="ecg", modality="ecg", ecg=ecg(3)),
        record("both", modality="multimodal", ecg=ecg(4, seconds=4.0), **images(5, (50, 60))),
    ]


@cache
def texts() -> tuple[str, ...]:
    """What the tiny tokenizers are trained on."""
    return (QUESTION, "First reason step by step between <think> and </think>. ECG leads image")
