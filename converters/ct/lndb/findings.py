"""The findings of LNDb's readers, joined across readers by the publisher's table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qoqdata.errors import BadTable, DuplicateKey, MissingFile, MissingKey, QoqdataError
from qoqdata.sources.cells import integer, number, text
from qoqdata.sources.joining import Row, rows_by_key
from qoqdata.sources.protocol import Job

SCANS, MARKS, JOINED = "trainCTs.csv", "trainNodules.csv", "trainNodules_gt.csv"
FOLLOW_UP, FOLDS = "trainFleischner.csv", "trainFolds.csv"
KEY, READER, MARK = "LNDbID", "RadID", "FindingID"
PLACE = ("x", "y", "z")
FOLD_NAMES = ("Fold0", "Fold1", "Fold2", "Fold3")
#: The volume in mm3 of every finding that was only marked by a point, that of a ball of 3 mm.
POINT_MM3 = math.pi * 3**3 / 6
_SAME = 0.01

#: What a scan is known by: JSON values.
Facts = dict[str, Any]


def read_scans(job: Job) -> Iterator[tuple[str, Facts | QoqdataError]]:
    """Each scan that a table names, with its facts or why the tables cannot be used for it."""
    base = _folder(job)
    scans = _table(job, base, SCANS, KEY, "RadN")
    marks = _table(job, base, MARKS, KEY, READER, MARK, *PLACE, "Nodule", "Volume", "Text")
    joined = _table(job, base, JOINED, KEY, READER, "RadFindingID", MARK, "AgrLevel", "Nodule")
    follow_up = _table(job, base, FOLLOW_UP, KEY, "Fleischner")
    folds: dict[str, list[str]] = {}
    for row in job.raw.csv(f"{base}{FOLDS}", columns=FOLD_NAMES).iter_rows(named=True):
        for fold in FOLD_NAMES:
            if (scan := text(row[fold])) is not None:
                folds.setdefault(scan, []).append(fold)
    for scan in sorted({*scans, *marks, *joined, *follow_up, *folds}, key=_order):
        try:
            for name, table in ((SCANS, scans), (FOLLOW_UP, follow_up), (FOLDS, folds)):
                if len(table.get(scan, ())) != 1:
                    kind = MissingKey if scan not in table else DuplicateKey
                    raise kind(f"has {len(table.get(scan, ()))} entries in {name}", where=scan)
            readers = integer(scans[scan][0]["RadN"])
            score = text(follow_up[scan][0]["Fleischner"])
            if readers is None or readers < 1 or score is None:
                what = f"RadN is {scans[scan][0]['RadN']}, the Fleischner score {score}"
                raise BadTable(what, where=scan, fix="fetch the tables again")
            yield (
                scan,
                {
                    "fold": folds[scan][0],
                    "follow_up": score,
                    "readers": readers,
                    "findings": _findings(marks.get(scan, []), joined.get(scan, []), readers, scan),
                },
            )
        except QoqdataError as error:
            yield scan, error


def _order(scan: str) -> tuple[int, str]:
    return len(scan), scan


def _folder(job: Job) -> str:
    """The folder of the tables, with its slash; it has the only table of scans."""
    found = job.raw.files(SCANS)
    if len(found) != 1:
        what = f"there are {len(found)} tables of scans"
        raise MissingFile(what, where=SCANS, fix="unpack trainset_csv.zip, once")
    return found[0].removesuffix(SCANS)


def _table(job: Job, base: str, name: str, *columns: str) -> dict[str, list[Row]]:
    table = job.raw.csv(f"{base}{name}", columns=columns)
    return rows_by_key(table, columns[0], where=f"{base}{name}")


def _findings(marks: Sequence[Row], joined: Sequence[Row], readers: int, scan: str) -> list[Facts]:
    """The findings of a scan; every mark of a reader is of exactly one."""
    by_name: dict[tuple[int, int], Facts] = {}
    for row in marks:
        mark = _mark(row, readers, scan)
        name = (mark["reader"], mark["mark"])
        if name in by_name:
            raise DuplicateKey(f"reader {name[0]} has two findings {name[1]}", where=scan)
        by_name[name] = mark
    findings = []
    for row in joined:
        names = list(zip(_numbers(row[READER]), _numbers(row["RadFindingID"]), strict=False))
        if not names or len({reader for reader, _ in names}) < len(names):
            raise BadTable(f"{JOINED} joins {row[READER]} with {row['RadFindingID']}", where=scan)
        if lost := [name for name in names if name not in by_name]:
            what = f"{MARKS} has no finding {lost[0][1]} of reader {lost[0][0]}, or {JOINED} two"
            raise MissingKey(what, where=scan)
        findings.append(
            {"number": integer(row[MARK]), "marks": [by_name.pop(name) for name in names]}
        )
    if by_name:
        reader, left = next(iter(by_name))
        raise MissingKey(f"{JOINED} lacks finding {left} of reader {reader}", where=scan)
    if len({finding["number"] for finding in findings} - {None}) < len(findings):
        raise DuplicateKey(f"{JOINED} has a FindingID twice, or none", where=scan)
    return sorted(findings, key=lambda finding: finding["number"])


def _mark(row: Row, readers: int, scan: str) -> Facts:
    """A reader's row: `outlined` is a nodule of 3 mm or more, which has a mask."""
    reader, mark, nodule = (integer(row[name]) for name in (READER, MARK, "Nodule"))
    place = [number(row[axis]) for axis in PLACE]
    volume, texture = number(row["Volume"]), number(row["Text"])
    if reader is None or not 1 <= reader <= readers or mark is None or nodule not in (0, 1):
        what = f"a row of {MARKS} is of reader {row[READER]}, finding {row[MARK]}"
        raise BadTable(f"{what}, with Nodule {row['Nodule']}", where=scan)
    if None in place or volume is None or volume <= 0:
        raise BadTable(f"finding {mark} of reader {reader} has no place or volume", where=scan)
    outlined = nodule == 1 and abs(volume - POINT_MM3) > _SAME
    return {
        "reader": reader,
        "mark": mark,
        "place": place,
        "nodule": nodule == 1,
        "outlined": outlined,
        "volume": volume,
        "texture": texture,
    }


def _numbers(cell: str | None) -> list[int]:
    """Whole numbers joined by commas."""
    found = [integer(part) for part in (cell or "").split(",")]
    return [one for one in found if one is not None]


def outlined(finding: Mapping[str, Any]) -> list[Facts]:
    """The marks of readers who outlined it as a nodule of 3 mm or more."""
    return [mark for mark in finding["marks"] if mark["outlined"]]


def agreed(finding: Mapping[str, Any], readers: int) -> bool:
    """Whether more than half of the scan's readers outlined it."""
    return len(outlined(finding)) * 2 > readers


def diameter_mm(finding: Mapping[str, Any]) -> float:
    """Of a ball of the mean volume of the readers who outlined it."""
    volumes = [mark["volume"] for mark in outlined(finding)]
    return float((6 * sum(volumes) / len(volumes) / math.pi) ** (1 / 3))
