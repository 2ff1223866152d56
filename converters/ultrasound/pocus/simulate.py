"""A made-up POCUS: the table of the repository, clips of several formats and images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qoqdata.simulation import blob, write_csv, write_jpeg, write_video

from ..phantom import sonogram

LABELS = {"Cov": "COVID-19", "Pneu": "Bacterial pneumonia", "Vir": "Viral pneumonia"}
LABELS["Reg"] = "regular"
SUFFIXES = ("mp4", "gif", "avi", "mov", "jpg")
FINDINGS = (
    *("Effusion", "Consolidations", "B-lines", "A-lines", "Pleural line irregularities"),
    *("Air bronchogram", "Healthy"),
)
LICENCES = ("CC BY-NC 4.0", "CC BY 4.0", "CC BY-NC -SA 4.0", "COVID-19 emergency license")
FRAMES, FPS, SHAPE = 10, 10, (48, 56)
QUIRKS = {
    "missing_file": "a row whose file is lost",
    "missing_key": "a file that no row names",
    "bad_label": "a row of another class than its file's name says",
    "bad_table": "a finding that is neither 0 nor 1",
    "duplicate_key": "a name that stands twice",
    "unreadable_file": "a clip that was cut",
}

Row = dict[str, object]


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` files of about n / 2 patients, and two rows whose files are elsewhere or set aside.

    With quirks each fault of QUIRKS, if there are six files and more.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(n):
        row, suffix = _row(number, rng), SUFFIXES[number % len(SUFFIXES)]
        _write(_path(out, row, suffix), healthy=row["Healthy"] == "1", rng=rng)
        rows.append(row)
    rows.append(_row(n, rng) | {"Current location": "butterfly", "InThisRepo": "No"})
    aside = _row(n + 1, rng) | {"Current location": "data_with_artifacts"}
    _write(_path(out, aside, "mp4", place="pocus_videos/convex"), healthy=False, rng=rng)
    rows.append(aside)
    if quirks and n >= len(QUIRKS):
        _break(out, rows)
    write_csv(out / "dataset_metadata.csv", rows)


def _row(number: int, rng: np.random.Generator) -> Row:
    prefix = tuple(LABELS)[number % len(LABELS)]
    probe = "linear" if number % 6 == 5 else "convex"
    media = "images" if SUFFIXES[number % len(SUFFIXES)] == "jpg" else "videos"
    # As in the real table, the label is the patient's, and some lungs look healthy.
    healthy = prefix == "Reg" or number % 12 == 0
    marks = ["0"] * len(FINDINGS) if healthy else list(rng.choice(("0", "1"), len(FINDINGS)))
    marks[-1] = "1" if healthy else "0"
    # The real table spells folders both ways.
    place = probe if number % 3 else probe.title()
    return {
        "Filename": f"{prefix}_made_up_{number}",
        "Label": LABELS[prefix],
        "License": LICENCES[number % len(LICENCES)],
        "Current location": f"data/pocus_{media}/{place}",
        "InThisRepo": "Yes",
        "Probe": probe,
        "Source ID": str(number // 8),
        "Gender": ("m", "w", "nd", "n/A")[number % 4],
        "Age": ("n/A", "0", "45", "67")[number % 4],
        "Patient ID / Name": str(number // 2) if number % 5 else None,
        **dict(zip(FINDINGS, map(str, marks), strict=True)),
    }


def _path(out: Path, row: Row, suffix: str, place: str | None = None) -> Path:
    folder = place or str(row["Current location"]).removeprefix("data/").lower()
    return out / folder / f"{row['Filename']}.{suffix}"


def _write(path: Path, *, healthy: bool, rng: np.random.Generator) -> None:
    dark = [] if healthy else [blob(rng, SHAPE)]
    if path.suffix == ".jpg":
        write_jpeg(path, sonogram(rng, SHAPE, dark))
    else:
        write_video(path, [sonogram(rng, SHAPE, dark) for _ in range(FRAMES)], FPS)


def _break(out: Path, rows: list[Row]) -> None:
    """Each fault of QUIRKS, in the first six files."""
    paths = [_path(out, row, SUFFIXES[n % len(SUFFIXES)]) for n, row in enumerate(rows[:6])]
    paths[0].unlink()
    cut = paths[2]
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    paths[1].with_name("Reg_nobody_knows.gif").write_bytes(paths[1].read_bytes())
    rows[3]["Label"] = "COVID-19"
    rows[4]["B-lines"] = "yes"
    rows.insert(2, dict(rows[1]))
