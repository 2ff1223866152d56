"""LNDb: scans written down by hand; the challenge's real tables where they are there."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qoqdata.converters.ct.lndb.findings import agreed, outlined, read_scans

from qoqdata.errors import InputError, QoqdataError
from qoqdata.records.content import Record
from qoqdata.simulation import write_csv, write_metaimage
from qoqdata.sources.card import settle_options
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Filtered, Job, Planned, Refused, Skipped, Unit
from qoqdata.sources.rawtree import open_raw

SOURCE = find_source("lndb")
SHAPE, SPACING, ORIGIN = (24, 20, 32), (1.0, 1.0, 2.0), (-10.0, 5.0, -40.0)
POINT = math.pi * 27 / 6
Place = tuple[int, int, int]


class Tree:
    """Scans of air with a mask each for a reader; places are voxels."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tables: dict[str, list[dict[str, Any]]] = {
            name: [] for name in ("CTs", "Nodules", "Nodules_gt", "Fleischner")
        }
        self.folds: list[int] = []
        self.masks: dict[tuple[int, int], np.ndarray] = {}

    def scan(self, scan: int, readers: int = 1, score: int = 0) -> None:
        self.tables["CTs"].append({"LNDbID": scan, "RadN": readers})
        self.tables["Fleischner"].append({"LNDbID": scan, "Fleischner": score})
        self.folds.append(scan)
        voxels = np.full(SHAPE, -850, np.int16)
        write_metaimage(self.path(scan), voxels, spacing=SPACING, origin=ORIGIN)
        for reader in range(1, readers + 1):
            self.masks[scan, reader] = np.zeros(SHAPE, np.uint8)

    def path(self, scan: int) -> Path:
        return self.root / "data0" / f"LNDb-{scan:04}.mhd"

    def finding(
        self, scan: int, number: int, place: Place, marks: dict[int, tuple[float, float]],
        *, nodule: bool = True, half: int = 1, draw: bool = True,
    ) -> None:  # fmt: skip
        """A finding whose `marks` are volume and texture by reader; a cube of 2 * half + 1."""
        world = dict(zip("xyz", np.array(ORIGIN) + np.array(place) * SPACING, strict=True))
        for reader, (volume, texture) in marks.items():
            row = {"LNDbID": scan, "RadID": reader, "FindingID": number + 10 * reader} | world
            row |= {"Nodule": int(nodule), "Volume": volume, "Text": texture}
            self.tables["Nodules"].append(row)
            if draw and nodule and volume != POINT:
                box = tuple(slice(at - half, at + half + 1) for at in place)
                self.masks[scan, reader][box] = number + 10 * reader
        joined = {"LNDbID": scan, "RadID": ",".join(map(str, marks)), "FindingID": number} | world
        joined["RadFindingID"] = ",".join(str(number + 10 * reader) for reader in marks)
        self.tables["Nodules_gt"].append(joined | {"AgrLevel": len(marks), "Nodule": int(nodule)})

    def planned(self, **options: Any) -> dict[str, Planned]:
        for name, rows in self.tables.items():
            columns = list(rows[0]) if rows else None
            default = {
                "Nodules": "LNDbID RadID FindingID x y z Nodule Volume Text",
                "Nodules_gt": "LNDbID RadID RadFindingID FindingID x y z AgrLevel Nodule",
            }
            columns = columns or default[name].split()
            more = [] if rows else [dict.fromkeys(columns, 0) | {"LNDbID": 999}]
            write_csv(self.root / f"train{name}.csv", [*rows, *more], columns=columns)
        folds = [dict(zip(("Fold0", "Fold1", "Fold2", "Fold3"), [*self.folds, *[None] * 4][:4],
                          strict=True))]  # fmt: skip
        write_csv(self.root / "trainFolds.csv", folds)
        for (scan, reader), mask in self.masks.items():
            path = self.root / "masks" / f"LNDb-{scan:04}_rad{reader}.mhd"
            write_metaimage(path, mask, spacing=SPACING, origin=ORIGIN)
        return {one.key: one for one in SOURCE.plan(self.job(**options))}

    def job(self, **options: Any) -> Job:
        return Job(SOURCE.card, open_raw(self.root), settle_options(SOURCE.card, options))

    def answers(self, scan: int, **options: Any) -> dict[tuple[str, str | None], str]:
        """Answers by task and item; of skipped ones the reason in brackets."""
        return {
            (one.task, one.item): one.answer if isinstance(one, Record) else f"({one.reason})"
            for one in self.converted(scan, **options)
        }

    def converted(self, scan: int, **options: Any) -> list[Record | Skipped]:
        unit = self.planned(**options)[str(scan)]
        assert isinstance(unit, Unit), unit
        return list(SOURCE.convert(unit, self.job(**options)))

    def record(self, scan: int, task: str) -> Record:
        return next(r for r in self.converted(scan) if isinstance(r, Record) and r.task == task)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_a_scan_without_findings_is_a_record(tree: Tree) -> None:
    """It has no row in the table of findings, and shows clean lung for sure."""
    tree.scan(4, readers=2)
    tree.scan(5)
    tree.finding(5, 1, (12, 10, 16), {1: (200, 5)})
    assert tree.answers(4)["presence", None] == "No"


def test_a_nodule_is_what_most_readers_outlined(tree: Tree) -> None:
    tree.scan(1, readers=3)
    tree.finding(1, 1, (6, 10, 16), {1: (200, 5), 2: (300, 5)})
    tree.finding(1, 2, (17, 10, 16), {3: (200, 5)})
    tree.finding(1, 3, (6, 10, 26), {1: (200, 5), 3: (200, 5)})
    found = tree.answers(1)
    assert found["diameter", "finding_2"] == found["texture", "finding_2"] == "(disputed)"
    # The slices of the first nodule show the disputed one too: only those of the third are asked.
    nodules = tree.record(1, "nodules")
    assert [image.index for image in nodules.images or ()] == [25, 26, 27]
    assert [(r.x_min, r.y_min, r.x_max, r.y_max) for r in nodules.regions or ()] == [
        (5, 9, 8, 12)
    ] * 3


def test_an_outline_is_where_half_of_its_readers_drew(tree: Tree) -> None:
    """Not the span from the first start to the last end over readers."""
    tree.scan(1, readers=3)
    tree.finding(1, 1, (12, 10, 16), {1: (200, 5), 2: (200, 5), 3: (200, 5)})
    tree.masks[1, 3][11:14, 9:12, 18:22] = 31
    nodules = tree.record(1, "nodules")
    assert [image.index for image in nodules.images or ()] == [15, 16, 17]


@pytest.mark.parametrize(
    ("marks", "nodule", "answer"),
    [
        ({1: (POINT, 5)}, True, "(small_nodule)"),
        ({1: (POINT, 0)}, False, "No"),
        ({1: (200, 5)}, True, "Yes"),
    ],
)
def test_small_nodules_are_no_clean_lung(
    tree: Tree, marks: dict[int, tuple[float, float]], nodule: bool, answer: str
) -> None:
    """3 mm is said in the question, and what lies below is neither yes nor no."""
    tree.scan(1)
    tree.finding(1, 1, (12, 10, 17), marks, nodule=nodule)
    # Eight slices of the inner 26 of 32: 4, 7, 11, 14, 17, 20, 24, 27.
    assert tree.answers(1)["presence", None] == answer


def test_a_nodule_between_the_slices_is_not_asked_for(tree: Tree) -> None:
    """The label is of what is shown, not of a window around it."""
    tree.scan(1)
    tree.finding(1, 1, (12, 10, 30), {1: (200, 5)})
    assert tree.answers(1)["presence", None] == "No"


def test_a_finding_that_its_mask_lacks_is_told(tree: Tree) -> None:
    tree.scan(1)
    tree.finding(1, 1, (12, 10, 17), {1: (200, 5)}, draw=False)
    found = tree.answers(1)
    assert found["diameter", "finding_1"] == "(not_drawn)"
    assert found["presence", None] == "(disputed)" and found["nodules", None] == "(disputed)"


@pytest.mark.parametrize(
    ("grades", "answer"),
    [
        ((1, 2), "Ground glass"),
        ((2, 3), "Part solid"),
        ((4, 4), "Solid"),
        ((3, 4), "Part solid"),
        ((1, 5), "(disputed)"),
        ((0, 0), "(not_stated)"),
    ],
)
def test_size_and_texture(tree: Tree, grades: tuple[int, int], answer: str) -> None:
    """Volumes of balls of 4 and 6 mm: their mean is that of a ball of 5.19 mm."""
    tree.scan(1, readers=2)
    balls = [math.pi * d**3 / 6 for d in (4, 6)]
    tree.finding(1, 1, (12, 10, 17), {r + 1: (balls[r], grades[r]) for r in (0, 1)})
    found = tree.answers(1)
    assert found["diameter", "finding_1"] == "5.2 mm"
    assert found["texture", "finding_1"] == answer
    record = tree.record(1, "diameter")
    assert {region.role for region in record.regions or ()} == {"given"}
    assert record.context == (
        "Each image is 24 mm wide and 20 mm high. Slices of the scan are 2.00 mm apart; "
        "shown are those numbered 16, 17, 18."
    )


def test_points_are_asked_in_boxes_of_one_size(tree: Tree) -> None:
    """Otherwise the box would tell a nodule from another lesion."""
    tree.scan(1, score=2)
    tree.finding(1, 1, (12, 10, 5), {1: (POINT, 5)})
    tree.finding(1, 2, (10, 9, 9), {1: (POINT, 0)}, nodule=False)
    spots = [r for r in tree.converted(1) if isinstance(r, Record) and r.task == "spot"]
    assert [one.answer for one in spots] == ["Nodule", "Other lesion"]
    boxes = [one.regions[0] for one in spots if one.regions]
    assert {(box.x_max - box.x_min, box.y_max - box.y_min) for box in boxes} == {(12.0, 12.0)}
    assert (boxes[0].x_min, boxes[0].y_min) == (12.5 - 6, 10.5 - 6)


def test_places_are_in_the_scans_own_world(tree: Tree) -> None:
    """A mask that lies elsewhere than the table says is another scan's, or of another grid."""
    tree.scan(1)
    tree.finding(1, 1, (12, 10, 17), {1: (200, 5)})
    tree.masks[1, 1] = np.roll(tree.masks[1, 1], 9, axis=2)
    with pytest.raises(InputError) as caught:
        tree.answers(1)
    assert caught.value.code == "misaligned"


@pytest.mark.parametrize(
    ("fold", "splits"),
    [
        ("Fold0", ["test", "validation", "train", "train"]),
        ("Fold3", ["validation", "train", "train", "test"]),
    ],
)
def test_folds_are_the_challenges(tree: Tree, fold: str, splits: list[str]) -> None:
    for scan in (1, 2, 3, 4):
        tree.scan(scan)
        tree.finding(scan, 1, (12, 10, 17), {1: (200, 5)})
    units = [one for one in tree.planned(test_fold=fold).values() if isinstance(one, Unit)]
    assert [one.split for one in units] == splits


def test_what_only_some_tables_name_is_refused(tree: Tree) -> None:
    for scan in (1, 2, 3):
        tree.scan(scan)
        tree.finding(scan, 1, (12, 10, 17), {1: (200, 5)})
    del tree.tables["CTs"][0], tree.tables["Nodules"][1]
    tree.path(3).unlink()
    write_metaimage(tree.path(77), np.zeros(SHAPE, np.int16), spacing=SPACING)
    planned = tree.planned()
    codes = {key: one.error.code for key, one in planned.items() if isinstance(one, Refused)}
    assert codes == {"1": "missing_key", "2": "missing_key", "3": "missing_file"}
    assert isinstance(planned["77"], Filtered)


def test_the_real_tables(realdata: Path) -> None:
    """Counts of the challenge's tables, and how far readers differ, by which sizes are judged."""
    job = Job(SOURCE.card, open_raw(realdata / "lndb"))
    scans = dict(read_scans(job))
    facts = [one for one in scans.values() if not isinstance(one, QoqdataError)]
    assert len(facts) == len(scans) == 236
    findings = [(finding, one["readers"]) for one in facts for finding in one["findings"]]
    assert len(findings) == 1219
    assert sum(len(finding["marks"]) for finding, _ in findings) == 1527
    assert sum(agreed(finding, readers) for finding, readers in findings) == 345
    assert sum(not one["findings"] for one in facts) == 7
    apart = []
    for finding, _ in findings:
        sizes = [(6 * mark["volume"] / math.pi) ** (1 / 3) for mark in outlined(finding)]
        apart += [abs(a - b) for place, a in enumerate(sizes) for b in sizes[:place]]
    assert len(apart) == 277
    assert np.quantile(apart, 0.9) < (SOURCE.card.tasks["diameter"].tolerance or 0)


def test_bytes_in_the_other_order_are_no_hounsfield_units(tree: Tree) -> None:
    """-850 HU reads as -20740, which passed for air, and 50 as 12800."""
    tree.scan(1)
    voxels = np.full(SHAPE, -850, np.int16)
    voxels[6:18, 5:15] = 50
    write_metaimage(tree.path(1), voxels.byteswap(), spacing=SPACING, origin=ORIGIN)
    with pytest.raises(InputError, match="25% of the values are above 4000"):
        tree.answers(1)


@pytest.mark.parametrize(("stated", "fault"), [(54.0, False), (400.0, False), (0.054, True)])
def test_a_nodule_is_as_large_as_its_table_says(tree: Tree, stated: float, fault: bool) -> None:
    """3 x 3 x 3 voxels of 2 mm3 are 54 mm3; a table in mL is a thousandth of it."""
    tree.scan(1)
    tree.finding(1, 1, (12, 10, 16), {1: (stated, 5)})
    if not fault:
        assert ("diameter", "finding_1") in tree.answers(1)
        return
    with pytest.raises(InputError, match="has 54 mm3 in the masks, and the table says 0"):
        tree.answers(1)
