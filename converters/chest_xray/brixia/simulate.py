"""A made-up BrixIA set: films whose zones are as opaque as their scores say, and two tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from qoqdata.simulation import write_csv, write_dicom

from ..phantom import ZONES, chest_film

CONSENSUS_EVERY = 5
READERS = 5
SHAPE = (84, 76)

Row = dict[str, object]

#: Reasons of the quarantine that quirks lead to.
QUIRKS = ("bad_label", "bad_table", "misaligned", "missing_file", "missing_key", "unreadable_file")


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` films, a fifth of them with a consensus of five readers.

    With quirks: scores that lost their leading zeros, with a digit too high, or that do not add up,
    a consensus lost, a film lost, cut, unnamed, or another's, a subject lost, an odd sex.
    """
    rng = np.random.default_rng(seed)
    scored: list[Row] = []
    consensus: list[Row] = []
    for number in range(n):
        name = f"{int(rng.integers(10**15, 10**16))}"
        scores = rng.integers(0, 4, len(ZONES)) * (
            rng.random(len(ZONES)) < rng.choice([0.1, 0.6, 1])
        )
        shape = (SHAPE[0] + int(rng.integers(8)), SHAPE[1] + int(rng.integers(8)))
        bits = int(rng.choice([10, 12, 14]))
        opaque = {zone: 0.25 * int(score) for zone, score in zip(ZONES, scores, strict=True)}
        pixels = chest_film(rng, shape, opaque, bits=bits)
        inverse = bool(rng.random() < 0.4)
        how = "MONOCHROME1" if inverse else "MONOCHROME2"
        stored = (2**bits - 1 - pixels).astype(np.uint16) if inverse else pixels
        write_dicom(
            out / f"dicom_clean/{name}.dcm",
            stored,
            seed=seed,
            modality="CR",
            BitsStored=bits,
            HighBit=bits - 1,
            PhotometricInterpretation=how,
        )
        test = number % CONSENSUS_EVERY == CONSENSUS_EVERY - 1
        scored.append(
            {
                "Filename": f"{name}.dcm",
                "StudyDate": 20200301 + int(rng.integers(30)),
                "Modality": "CR",
                "StudyId": number,
                "BrixiaScore": "".join(map(str, scores)),
                "BrixiaScoreGlobal": int(scores.sum()),
                "ConsensusTestset": int(test),
                "Subject": 100 + number // 2,
                "Sex": "MF"[number // 2 % 2],
                "AgeAtStudyDateFiveYear": 4 + number // 2 % 16,
                "Manufacturer": "qoqdata",
                "PhotometricInterpretation": how,
                "Rows": shape[0],
                "Columns": shape[1],
            }
        )
        if test:
            consensus.append({"Filename": f"{name}.dcm"} | _of_five(rng, scores))
    if quirks:
        _break(out, scored, consensus, rng)
    write_csv(out / "metadata_global_v2.csv", scored, separator=";")
    names = [f"{what}{zone}" for what in ("Mean", "Mode") for zone in (*ZONES, "Global")]
    write_csv(out / "metadata_consensus_v1.csv", consensus, columns=["Filename", *names])


def _of_five(rng: np.random.Generator, scores: np.ndarray) -> Row:
    """Mean and mode of the film's own reader and four others, who differ by a point at times."""
    others = np.clip(scores + rng.choice([-1, 0, 0, 0, 1], (READERS - 1, len(scores))), 0, 3)
    readings = np.vstack([scores, others])
    columns = np.column_stack([readings, readings.sum(axis=1)])
    row: Row = {}
    for name, values in zip((*ZONES, "Global"), columns.T, strict=True):
        row |= {f"Mean{name}": values.mean(), f"Mode{name}": int(np.bincount(values).argmax())}
    return row


def _break(out: Path, scored: list[Row], consensus: list[Row], rng: np.random.Generator) -> None:
    """One fault a film, in the order of the table, as far as they go."""

    def path(row: Row) -> Path:
        return out / f"dicom_clean/{row['Filename']}"

    faults: list[Callable[[Row], object]] = [
        lambda row: path(row).write_bytes(path(row).read_bytes()[:-2000]),
        lambda row: path(row).unlink(),
        lambda row: path(row).with_name("77.dcm").write_bytes(path(row).read_bytes()),
        lambda row: row.update(BrixiaScore="14" + str(row["BrixiaScore"])[2:]),
        lambda row: row.update(Filename=str(row["Filename"]).removesuffix(".dcm")),
        lambda row: row.update(BrixiaScoreGlobal=19),
        lambda row: row.update(BrixiaScore=int(str(row["BrixiaScore"]))),
        lambda row: write_dicom(path(row), chest_film(rng, (70, 60), {}, bits=12)),
        lambda row: row.update(Subject=None),
        lambda row: row.update(Sex="X"),
        lambda row: row.update(AgeAtStudyDateFiveYear=None, Sex=None),
    ]
    for fault, row in zip(
        faults, [row for row in scored if not row["ConsensusTestset"]], strict=False
    ):
        fault(row)
    for row in consensus[:1]:
        consensus.remove(row)
