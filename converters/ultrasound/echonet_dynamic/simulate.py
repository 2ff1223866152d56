"""A made-up EchoNet-Dynamic: clips of a beating ventricle, its tracings and volumes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qoqdata.simulation import write_csv, write_video

from ..phantom import sonogram

SIDE, FPS, CHORDS = 48, 50, 20
SPLITS = ("TRAIN", "TRAIN", "TRAIN", "VAL", "TEST")
#: Shares of the volume that are left at end systole, in turn.
LEFT = (0.35, 0.55, 0.7)
#: What is wrong with a video, by its number from the first.
FAULTS = (
    "video missing",
    "row lost",
    "listed twice",
    "unknown split",
    "video cut",
    "not traced",
    "volumes contradict",
    "frame beyond the clip",
    "three frames traced",
    "row of no video",
)
QUIRKS = {
    "missing_file": "a row whose video was not fetched",
    "missing_key": "a video that lost its row; tracings of a video that no table lists",
    "duplicate_key": "a video listed twice",
    "bad_table": "a split of another name",
    "unreadable_file": "a video that was cut",
}


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` clips of 48 x 48 pixels and 10 to 16 frames.

    Always: names without .avi in one table and with it in the other, end systole traced before or
    after end diastole. With quirks the first clips have the faults of FAULTS, in turn.
    """
    rng = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    tracings: list[dict[str, object]] = []
    for number in range(n):
        fault = FAULTS[number] if quirks and number < len(FAULTS) else "sound"
        _video(out, number, fault, rng, rows, tracings)
    write_csv(out / "FileList.csv", rows)
    write_csv(out / "VolumeTracings.csv", tracings)


def _video(
    out: Path,
    number: int,
    fault: str,
    rng: np.random.Generator,
    rows: list[dict[str, object]],
    tracings: list[dict[str, object]],
) -> None:
    name = f"0X{rng.bytes(8).hex().upper()}"
    count, left = int(rng.integers(10, 17)), LEFT[number % len(LEFT)]
    centre = rng.uniform(20, 27, 2)
    sides = np.array([rng.uniform(6, 9), rng.uniform(11, 15)])
    diastole, systole = (2, count - 3) if number % 2 else (count - 2, 3)
    phases = np.abs(np.arange(count) - diastole) / abs(systole - diastole)
    # An ellipsoid whose sides shrink alike: its volume goes with the cube of them.
    sizes = [1 - (1 - left ** (1 / 3)) * min(phase, 1.0) for phase in phases]
    frames = [_frame(rng, centre, size * sides) for size in sizes]
    path = out / "Videos" / f"{name}.avi"
    if fault != "video missing":
        write_video(path, frames, FPS)
    if fault == "video cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    full = float(4 / 3 * np.pi * sides[0] ** 2 * sides[1] / 50)
    row = {
        "FileName": name,
        "EF": 100 * (1 - left),
        "ESV": full * left * (1.5 if fault == "volumes contradict" else 1),
        "EDV": full,
        "FrameHeight": SIDE,
        "FrameWidth": SIDE,
        "FPS": FPS,
        "NumberOfFrames": count,
        "Split": "VALID" if fault == "unknown split" else SPLITS[number % len(SPLITS)],
    }
    rows += [row] * {"row lost": 0, "listed twice": 2}.get(fault, 1)
    traced = {diastole: diastole, systole: systole}
    if fault == "frame beyond the clip":
        traced[systole] = count + 7
    if fault == "three frames traced":
        traced[diastole + (1 if number % 2 else -1)] = diastole + (1 if number % 2 else -1)
    if fault == "row of no video":
        tracings += _tracing("0XNOVIDEO", 3, centre, sides)
    for frame, stated in sorted(traced.items()) if fault != "not traced" else ():
        tracings += _tracing(name, stated, centre, sizes[frame] * sides)


def _frame(rng: np.random.Generator, centre: np.ndarray, sides: np.ndarray) -> np.ndarray:
    y, x = np.ogrid[:SIDE, :SIDE]
    cavity = ((x - centre[0]) / sides[0]) ** 2 + ((y - centre[1]) / sides[1]) ** 2 <= 1
    return sonogram(rng, (SIDE, SIDE), [cavity])


def _tracing(
    name: str, frame: int, centre: np.ndarray, sides: np.ndarray
) -> list[dict[str, object]]:
    """The long axis, upright, and chords across it from the top down."""
    (x, y), (across, along) = centre, sides
    lines = [(x, y - along, x, y + along)]
    for place in np.linspace(-0.98, 0.98, CHORDS):
        half = across * np.sqrt(1 - place**2)
        lines.append((x - half, y + place * along, x + half, y + place * along))
    rows: list[dict[str, object]] = []
    for line in lines:
        row: dict[str, object] = {"FileName": f"{name}.avi"}
        row |= dict(
            zip(("X1", "Y1", "X2", "Y2"), (round(float(end), 4) for end in line), strict=True)
        )
        rows.append(row | {"Frame": frame})
    return rows
