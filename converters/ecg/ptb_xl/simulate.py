"""A made-up PTB-XL: the two tables, and each recording at 500 Hz and, resampled, at 100 Hz."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from qoqdata.readers.ecg.leads import TWELVE
from qoqdata.simulation import ecg, write_csv, write_wfdb

QUIRKS = {
    "missing_file": "a row without its recording",
    "missing_key": "a recording without its row; a row without a patient",
    "bad_label": "a code that scp_statements.csv lacks",
    "bad_table": "statements that are no dictionary, a fold that is none of ten",
    "unreadable_file": "half a signal file; a header of another recording",
}
HERE = Path(__file__).parent
#: Headers write the augmented leads in capitals.
LEADS = tuple(lead.upper() for lead in TWELVE)
CLASSES = {
    "NORM": ("NORM", "NORM"),
    "IMI": ("MI", "IMI"),
    "ASMI": ("MI", "AMI"),
    "NDT": ("STTC", "STTC"),
    "NST_": ("STTC", "NST_"),
    "ISC_": ("STTC", "ISC_"),
    "LNGQT": ("STTC", "STTC"),
    "IRBBB": ("CD", "IRBBB"),
    "CLBBB": ("CD", "CLBBB"),
    "LAFB": ("CD", "LAFB/LPFB"),
    "1AVB": ("CD", "_AVB"),
    "LVH": ("HYP", "LVH"),
    "LAO/LAE": ("HYP", "LAO/LAE"),
}
AXES = ("", "MID", "LAD", "ALAD", "RAD", "ARAD", "AXL", "SAG")
STAGES = (
    "",
    "",
    "unknown",
    "Stadium I",
    "Stadium I-II",
    "Stadium II",
    "Stadium II-III",
    "Stadium III",
)
LEAD_CELLS = (
    "",
    "",
    "",
    " , alles,  ",
    " , I-V1,  ",
    "II,III,AVF",
    "V1,2",
    " , II-AVL,AVF",
    "noisy recording",
)
BEATS = ("", "", "", "1ES", "2VES", "1SVES,1VES", "VES")
PACEMAKERS = ("", "", "", "ja, pacemaker", "ja, nan", "?, nan")
DEFAULTS = {"nurse": "", "site": "0.0", "device": "CS-12   E", "report": "example"}

Row = dict[str, object]


def simulate(
    out: Path, n: int, *, seed: int = 0, quirks: bool = False, seconds: float = 10
) -> None:
    """`n` recordings of `seconds`; with `quirks`, the last eight have a fault each."""
    rng = np.random.default_rng(seed)
    rows = []
    faults = [*(FAULTS if quirks else ())][:n]
    for number in range(1, n + 1):
        row = _row(number, rng)
        at = number - (n - len(faults)) - 1
        fault = faults[at] if at >= 0 else ""
        _write(out, row, rng, seconds, fault)
        if fault != "no row":
            rows.append(row | CELLS.get(fault, {}))
    write_csv(out / "ptbxl_database.csv", rows)
    write_csv(out / "scp_statements.csv", _codes())


#: Cells of rows that cannot become a unit, by fault.
CELLS: dict[str, Row] = {
    "no patient": {"patient_id": ""},
    "odd code": {"scp_codes": "{'XYZ': 100.0}"},
    "no dictionary": {"scp_codes": "NORM"},
    "odd fold": {"strat_fold": "11"},
}
FAULTS = (*CELLS, "no row", "no file", "cut", "other header")


def _row(number: int, rng: np.random.Generator) -> Row:
    patient = 10000 + 7 * (number // 2)
    diagnostic = rng.choice([*CLASSES], rng.integers(0, 4), replace=False)
    forms = rng.choice(_names("form"), rng.integers(0, 3), replace=False)
    rhythms = rng.choice(_names("rhythm"), rng.integers(1, 3), replace=False)
    likelihoods = {str(code): float(rng.choice((0, 35, 50, 80, 100))) for code in diagnostic}
    likelihoods |= {str(code): 0.0 for code in (*forms, *rhythms) if code not in likelihoods}
    stem = f"{number // 1000 * 1000:05}/{number:05}"
    return {
        "ecg_id": number,
        "patient_id": f"{patient}.0",
        "age": str(rng.choice(("300", "", "61.0", "34.0"))),
        "sex": int(rng.integers(0, 2)),
        **DEFAULTS,
        "scp_codes": str(likelihoods),
        "heart_axis": str(rng.choice(AXES)),
        "infarction_stadium1": str(rng.choice(STAGES)),
        "infarction_stadium2": str(rng.choice(STAGES)),
        "validated_by_human": str(bool(rng.integers(0, 4))),
        **{column: str(rng.choice(LEAD_CELLS)) for column in ("baseline_drift", "static_noise")},
        **{
            column: str(rng.choice(LEAD_CELLS[:4]))
            for column in ("burst_noise", "electrodes_problems")
        },
        "extra_beats": str(rng.choice(BEATS)),
        "pacemaker": str(rng.choice(PACEMAKERS)),
        # Folds are disjoint by patient.
        "strat_fold": patient // 7 % 10 + 1,
        "filename_lr": f"records100/{stem}_lr",
        "filename_hr": f"records500/{stem}_hr",
    }


def _write(out: Path, row: Row, rng: np.random.Generator, seconds: float, fault: str) -> None:
    signal = ecg(rng, 500, seconds, LEADS)
    for column, fs in (("filename_hr", 500), ("filename_lr", 100)):
        stem = out / str(row[column])
        if fault == "no file":
            continue
        write_wfdb(stem, signal[:, :: 500 // fs], fs, LEADS)
        data, header = stem.with_suffix(".dat"), stem.with_suffix(".hea")
        if fault == "cut":
            data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
        if fault == "other header":
            header.write_text(header.read_text().replace(f"{stem.name}.dat", f"0{stem.name}.dat"))


def _names(kind: str) -> list[str]:
    with (HERE / f"{kind}.csv").open(encoding="utf-8", newline="") as table:
        return [row["code"] for row in csv.DictReader(table)]


def _codes() -> list[Row]:
    """All codes of the source's table; classes are given to those that recordings have."""
    kinds = {kind: _names(kind) for kind in ("diagnostic", "form", "rhythm")}
    rows = []
    for code in dict.fromkeys(name for names in kinds.values() for name in names):
        row: Row = {"": code, "description": code.lower()}
        row |= {kind: "1.0" if code in names else "" for kind, names in kinds.items()}
        classes = CLASSES.get(code, ("STTC", "STTC")) if row["diagnostic"] else ("", "")
        rows.append(
            row | dict(zip(("diagnostic_class", "diagnostic_subclass"), classes, strict=True))
        )
    return rows
