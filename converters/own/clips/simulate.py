"""Made-up echo clips in several formats, with a table by stem."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qoqdata.simulation import blob, film, write_csv, write_dicom, write_video

QUIRKS = {"missing_file": "rows of clips that were never exported"}
FORMATS = (".avi", ".mp4", ".gif", ".dcm")
SETS = ("train", "valid", "holdout")


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """n clips of half as many patients, in all formats in turn."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(n):
        name, patient = f"E{number:04}", number // 2
        rows.append(
            {
                "function": ("normal", "reduced")[number % 3 == 0],
                "patient": f"p{patient}",
                "age": 40 + patient % 50,
                "sex": "FM"[patient % 2],
                "set": SETS[patient % len(SETS)],
                "clip": name,
            }
        )
        frames = _beating(rng, count=6 + number % 5)
        if quirks and number == n - 1:
            continue
        path = out / "clips" / f"{name}{FORMATS[number % len(FORMATS)]}"
        if path.suffix == ".dcm":
            write_dicom(path, frames, seed=seed, patient=f"p{patient}", modality="US", fps=20)
        else:
            write_video(path, list(frames), 20)
    write_csv(out / "labels.csv", rows)


def _beating(rng: np.random.Generator, *, count: int) -> np.ndarray:
    """Frames (count, rows, columns), uint8: a chamber that brightens and darkens."""
    still, chamber = film(rng, (32, 32)), blob(rng, (32, 32))
    beat = 0.5 + 0.4 * np.sin(2 * np.pi * np.arange(count) / count)
    return np.stack([np.where(chamber, still * level, still) for level in beat]).astype(np.uint8)
