"""A made-up COVID-BLUES: clips of six points of the lungs, scores of clips, facts of patients."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qoqdata.simulation import blob, write_csv, write_video

from ..phantom import sonogram

POINTS = ("R1", "R2", "R3", "L1", "L2", "L3")
FRAMES, FPS = 10, 10
#: Dark consolidations by severity score, and what is noted then.
NOTES = (
    "smooth pleural line, A-lines",
    "pleural line interrupted, single B-lines",
    "pleural line broken, small consolidation",
    "large consolidation",
)
QUIRKS = {
    "missing_file": "a scored clip that is not there",
    "missing_key": "a clip that nobody scored; one of a patient without a row",
    "bad_table": "a clip without a score",
    "bad_label": "another word than yes and no",
    "unreadable_file": "a clip that was cut",
}


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` clips, six a patient; of two patients the second tested positive, and scores are higher.

    Always: an age of -99, cells "yes " with a blank, clips without a comment. With quirks each
    fault of QUIRKS, and the last clip taken twice.
    """
    rng = np.random.default_rng(seed)
    scores: list[dict[str, object]] = []
    for number in range(n):
        patient, point = number // len(POINTS) + 1, POINTS[number % len(POINTS)]
        severity = min(3, int(rng.integers(0, 3)) + (patient % 2 == 0))
        stem = f"patient_{patient}_{point}"
        if quirks and number == n - 1 and n > 1:
            stem = f"{scores[-1]['video_file']}_2"
        lines = {
            "A-lines": "yes" if severity < 2 else "no",
            "B-lines": "yes " if severity else "no",
        }
        note = NOTES[severity] if number % 3 else None
        row: dict[str, object] = {"video_file": stem, "Severity Score": f"{severity}.0"}
        scores.append(row | lines | {"comments": note})
        dark = [blob(rng, (48, 56)) for _ in range(severity)]
        frames = [sonogram(rng, (48, 56), dark) for _ in range(FRAMES)]
        write_video(_clip(out, stem), frames, FPS)
    patients = range(1, (n - 1) // len(POINTS) + 2)
    clinical = [_person(rng, patient) for patient in patients]
    if quirks:
        _break(out, scores)
    write_csv(out / "severity.csv", scores)
    write_csv(out / "clinical_variables.csv", clinical)


def _person(rng: np.random.Generator, patient: int) -> dict[str, object]:
    age = "-99" if patient % 5 == 4 else f"{int(rng.integers(20, 90))}.0"
    sex = f"{patient // 2 % 2}.0"
    return {
        "patient_id": patient,
        "cov_test": 1 - patient % 2,
        "number_video_files": len(POINTS),
        "pat_weight": None,
        "pat_sex": sex,
        "pat_age": age,
    }


def _break(out: Path, scores: list[dict[str, object]]) -> None:
    _clip(out, str(scores[0]["video_file"])).unlink()
    cut = _clip(out, str(scores[1]["video_file"]))
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    scores[2]["Severity Score"] = None
    scores[3]["A-lines"] = "maybe"
    _clip(out, str(scores.pop(4)["video_file"])).rename(_clip(out, "patient_9999_R1"))
    scores.append(scores[-1] | {"video_file": "patient_9998_R1"})


def _clip(out: Path, stem: str) -> Path:
    return out / "lus_videos" / f"{stem}.mp4"
