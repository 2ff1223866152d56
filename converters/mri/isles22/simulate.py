"""Made-up strokes in the layouts of ISLES 2022: one head, three series, two grids."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from qoqdata.simulation import write_csv, write_nifti

from ..phantom import Lesion, head_volume

QUIRKS = {
    "missing_file": "a case whose mask was not fetched",
    "missing_key": "a case without a row; a file of another name",
    "misaligned": "a mask on the grid of FLAIR; a FLAIR of another place",
    "bad_label": "a mask with a code beside 1",
    "duplicate_key": "a participant with two rows; a series in two files",
}
FAULTS = (
    "no mask",
    "no row",
    "mask on FLAIR",
    "code 2",
    "two rows",
    "FLAIR elsewhere",
    "two files",
    "stray file",
)
#: Every so many cases have no infarct.
EMPTY = 5
#: Brightness of air, brain, ventricles and infarct.
CONTRASTS = {"dwi": (0, 90, 40, 260), "adc": (0, 800, 2600, 350), "flair": (0, 300, 60, 420)}


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` cases: infarcts left, right, on both sides, small ones, none; FLAIR oblique and finer.

    With quirks, every second case has a fault, and some lie in the layout of the challenge.
    """
    rng = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    for number in range(n):
        fault = FAULTS[number // 2 % len(FAULTS)] if quirks and number % 2 else ""
        name = f"sub-strokecase{number + 1:04}"
        flat = quirks and number % 4 == 2
        _case(out, name, _lesions(rng, number), rng, fault=fault, flat=flat)
        person = {"participant_id": name, "sex": "MF"[number % 2], "age": 40 + number % 45}
        row = person | {"weight": 60 + number % 40 if number % 7 else "n/a"}
        rows += [row] * {"no row": 0, "two rows": 2}.get(fault, 1)
    write_csv(out / "participants.tsv", rows, separator="\t")


def _lesions(rng: np.random.Generator, number: int) -> list[Lesion]:
    """Ellipsoids in mm of the world, x to the patient's right."""
    if number % EMPTY == EMPTY - 1:
        return []
    sides = {0: (1,), 1: (-1,), 2: (1, -1), 3: (-1, -1)}[number % EMPTY]
    found: list[Lesion] = []
    for place, side in enumerate(sides):
        centre = (side * rng.uniform(26, 36), -20 + 42 * place, rng.uniform(-12, 18))
        found.append((centre, tuple(rng.uniform(9, 16, 3))))
    return found


def _case(
    out: Path,
    name: str,
    lesions: Sequence[Lesion],
    rng: np.random.Generator,
    *,
    fault: str,
    flat: bool,
) -> None:
    stem = f"{name}_ses-0001"
    session = out / ("rawdata" if flat else "") / name / "ses-0001"
    places = {
        "dwi": session / ("" if flat else "dwi") / f"{stem}_dwi.nii.gz",
        "adc": session / ("" if flat else "dwi") / f"{stem}_adc.nii.gz",
        "flair": session / "anat" / f"{stem}_FLAIR.nii.gz",
    }
    if flat:
        places["flair"] = session / f"{stem}_flair.nii.gz"
    grid = _grid((32, 32, 16), (6.0, 6.0, 8.0), tilt=0.0, mirrored=rng.random() < 0.5)
    oblique = _grid((48, 48, 12), (4.0, 4.0, 12.0), tilt=0.15, mirrored=False)
    for series, path in places.items():
        shape, affine = oblique if series == "flair" else grid
        values, _ = head_volume(rng, shape, affine, lesions, CONTRASTS[series])
        if series == "adc":
            values = np.where(values == 0, -3, values)
        written = affine.copy()
        if series == "flair" and fault == "FLAIR elsewhere":
            written[:3, 3] += 400
        write_nifti(path, values.astype(np.int16), written)
        if series == "dwi" and fault == "two files":
            write_nifti(session / "copy" / path.name, values.astype(np.int16), written)
        if series == "dwi" and fault == "stray file":
            write_nifti(path.with_name(f"{stem}_swi.nii.gz"), values.astype(np.int16), written)
    if fault == "no mask":
        return
    shape, affine = oblique if fault == "mask on FLAIR" else grid
    drawn = head_volume(rng, shape, affine, lesions, CONTRASTS["dwi"])[1].astype(np.uint16)
    if fault == "code 2":
        drawn[0, 0, 0] = 2
    write_nifti(out / "derivatives" / name / "ses-0001" / f"{stem}_msk.nii.gz", drawn, affine)


def _grid(
    shape: tuple[int, int, int], edges: tuple[float, float, float], *, tilt: float, mirrored: bool
) -> tuple[tuple[int, int, int], np.ndarray]:
    """A grid about the middle of the head, nodding by `tilt` rad; x runs left if `mirrored`."""
    nod = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    affine = np.eye(4)
    affine[:3, :3] = nod * np.array([-edges[0] if mirrored else edges[0], *edges[1:]])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return shape, affine
