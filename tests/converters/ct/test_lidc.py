"""LIDC-IDRI: outlines and ratings of four readers, written down by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from qoqdata.converters.ct.lidc.consensus import join
from qoqdata.converters.ct.lidc.readings import Contour, Readings, ReadNodule

from qoqdata.errors import InputError
from qoqdata.records.content import Record
from qoqdata.simulation import uid, write_csv, write_dicom, write_text
from qoqdata.sources.card import settle_options
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Filtered, Job, Planned, Refused, Skipped, Unit
from qoqdata.sources.rawtree import open_raw

SOURCE = find_source("lidc")
SERIES, PATIENT = uid("series"), "LIDC-IDRI-0007"
SLICES, SIDE = 10, 20
RATED = {"malignancy": 4, "subtlety": 5, "texture": 5, "margin": 4, "sphericity": 3,
         "calcification": 6, "internalStructure": 1}  # fmt: skip


def slice_uid(index: int) -> str:
    return uid("slice", index)


def square(x: int, y: int, size: int) -> tuple[tuple[int, int], ...]:
    """An outline around `size` x `size` pixels from (x, y), along the first pixels outside."""
    low_x, low_y, high_x, high_y = x - 1, y - 1, x + size, y + size
    return ((low_x, low_y), (high_x, low_y), (high_x, high_y), (low_x, high_y))


def read(
    reader: int, slices: Sequence[int], x: int, y: int, size: int, **ratings: int
) -> ReadNodule:
    contours = tuple(Contour(slice_uid(at), True, square(x, y, size)) for at in slices)
    return ReadNodule(reader, f"n{reader}", contours, RATED | ratings)


def joined(*nodules: ReadNodule, readers: int = 4) -> Any:
    places = {slice_uid(index): index for index in range(SLICES)}
    return join(Readings(SERIES, readers, nodules), places, (SIDE, SIDE))


def xml(nodules: Sequence[ReadNodule], series: str = SERIES, root: str = "LidcReadMessage") -> str:
    sessions = []
    for reader in range(1, 5):
        parts = []
        for one in nodules:
            if one.reader != reader:
                continue
            rated = "".join(f"<{name}>{value}</{name}>" for name, value in one.ratings.items())
            rois = "".join(
                f"<roi><imageZposition>{HEIGHTS[c.sop_uid]}</imageZposition><imageSOP_UID>{c.sop_uid}"
                f"</imageSOP_UID><inclusion>{str(c.inclusion).upper()}</inclusion>"
                + "".join(
                    f"<edgeMap><xCoord>{x}</xCoord><yCoord>{y}</yCoord></edgeMap>"
                    for x, y in c.points
                )
                + "</roi>"
                for c in one.contours
            )
            rated = f"<characteristics>{rated}</characteristics>" if rated else ""
            parts.append(f"<noduleID>{one.name}</noduleID>{rated}{rois}")
        marks = "".join(f"<unblindedReadNodule>{part}</unblindedReadNodule>" for part in parts)
        sessions.append(f"<readingSession>{marks}</readingSession>")
    head = f"<ResponseHeader><SeriesInstanceUid>{series}</SeriesInstanceUid></ResponseHeader>"
    return f'<{root} xmlns="http://www.nih.gov">{head}{"".join(sessions)}</{root}>'


#: In mm, by SOP instance UID, as `Tree` writes them.
HEIGHTS = {slice_uid(index): index * 2.0 for index in range(99)}


class Tree:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / PATIENT / "01-01-2000-NA-NA-1" / "3000566.000000-NA-1"
        for index in range(SLICES):
            pixels = np.full((SIDE, SIDE), -850, np.int16)
            write_dicom(
                self.folder / f"1-{(index * 7) % SLICES + 1:03}.dcm", pixels, modality="CT",
                patient=PATIENT, study="s", spacing=(0.5, 0.5), position=(0, 0, index * 2.0),
                SOPInstanceUID=slice_uid(index), SeriesInstanceUID=SERIES,
                RescaleSlope=1, RescaleIntercept=0, RescaleType="HU",
            )  # fmt: skip

    def readings(self, *nodules: ReadNodule, name: str = "158.xml", **kind: str) -> None:
        write_text(self.root / "tcia-lidc-xml" / "157" / name, xml(nodules, **kind))

    @property
    def job(self) -> Job:
        return Job(SOURCE.card, open_raw(self.root), settle_options(SOURCE.card, {}))

    def planned(self) -> list[Planned]:
        return list(SOURCE.plan(self.job))

    def converted(self) -> list[Record | Skipped]:
        (unit,) = self.planned()
        assert isinstance(unit, Unit), unit
        assert (unit.patient, unit.group) == (PATIENT, PATIENT)
        return list(SOURCE.convert(unit, self.job))

    def answers(self) -> dict[str, str]:
        return {
            one.task: one.answer if isinstance(one, Record) else f"({one.reason})"
            for one in self.converted()
        }


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_outlines_run_outside_and_have_holes() -> None:
    hole = Contour(slice_uid(3), False, square(7, 7, 1))
    whole = Contour(slice_uid(3), True, square(5, 5, 4))
    nodules, points = joined(ReadNodule(1, "a", (hole, whole), RATED), readers=1)
    expected = np.zeros((SIDE, SIDE), bool)
    expected[5:9, 5:9] = True
    # A hole's outline is part of the hole: 3 x 3 pixels around its middle.
    expected[6:9, 6:9] = False
    assert np.array_equal(nodules[0].drawn[3], expected) and not points


def test_readers_are_joined_by_overlap_not_by_name() -> None:
    """Three of four who drew it, of which half must have drawn a pixel."""
    shared = [read(reader, (2, 3), 5, 5, 4) for reader in (1, 2)] + [read(3, (3,), 6, 5, 4)]
    nodules, _ = joined(*shared, read(4, (3,), 14, 14, 3))
    assert [(len(one.reads), one.agreed) for one in nodules] == [(3, True), (1, False)]
    first = nodules[0]
    assert {index: int(pixels.sum()) for index, pixels in first.drawn.items()} == {2: 16, 3: 16}
    # Volumes of 32, 32 and 16 voxels; 26.67 of 0.5 mm3 are a ball of 2.94 mm.
    assert first.voxels == pytest.approx(80 / 3)
    assert first.diameter_mm(0.5) == pytest.approx(2.942, abs=0.001)


def test_two_of_one_reader_in_one_are_disputed() -> None:
    big = read(1, (3,), 5, 5, 9)
    nodules, _ = joined(
        big, read(2, (3,), 5, 5, 3), read(2, (3,), 10, 10, 3), read(3, (3,), 5, 5, 9)
    )
    assert [(len(one.reads), one.agreed) for one in nodules] == [(4, False)]


def test_slices_are_joined_by_uid_and_not_by_z(tree: Tree) -> None:
    """The text says -3.25 mm for every slice; the headers say 0 to 18."""
    tree.readings(*(read(reader, (4, 5), 5, 6, 4) for reader in (1, 2, 3)))
    records = [one for one in tree.converted() if isinstance(one, Record)]
    nodules = next(one for one in records if one.task == "nodules")
    assert [image.index for image in nodules.images or ()] == [4, 5]
    assert [(r.x_min, r.y_min, r.x_max, r.y_max) for r in nodules.regions or ()] == [
        (5, 6, 9, 10)
    ] * 2
    size = next(one for one in records if one.task == "diameter")
    # 32 voxels of 0.5 mm3.
    assert size.answer == "3.1 mm" and size.context and "10 mm wide" in size.context


def test_a_slice_that_an_outline_needs_is_not_lost_silently(tree: Tree) -> None:
    tree.readings(*(read(reader, (4,), 5, 6, 4) for reader in (1, 2, 3)))
    for path in sorted(tree.folder.iterdir()):
        if path.name == f"1-{(4 * 7) % SLICES + 1:03}.dcm":
            path.unlink()
    with pytest.raises(InputError, match="marked a slice that is not there"):
        tree.converted()
    write_csv(tree.root / "metadata.csv", [{"Series UID": SERIES, "Number of Images": SLICES}])
    (refused,) = tree.planned()
    assert isinstance(refused, Refused) and refused.error.code == "missing_file"


@pytest.mark.parametrize(
    ("grades", "answer"),
    [
        ((4, 4, 5), "Moderately suspicious"),
        ((1, 2, 3), "Moderately unlikely"),
        ((1, 1, 5), "(disputed)"),
        ((2, 3, 2, 3), "(disputed)"),
        ((1, 2, 2, 3), "Moderately unlikely"),
    ],
)
def test_ratings_are_medians_of_readers_who_agree(
    tree: Tree, grades: tuple[int, ...], answer: str
) -> None:
    tree.readings(
        *(read(r, (4,), 5, 6, 4, malignancy=one) for r, one in enumerate(grades, start=1))
    )
    found = tree.answers()
    assert found["malignancy"] == answer
    assert (found["calcification"], found["internal_structure"]) == ("Absent", "Soft tissue")


def test_patterns_need_most_readers(tree: Tree) -> None:
    tree.readings(
        *(read(r, (4,), 5, 6, 4, calcification=one) for r, one in ((1, 6), (2, 3), (3, 1)))
    )
    assert tree.answers()["calcification"] == "(disputed)"


@pytest.mark.parametrize(
    ("nodules", "answer"),
    [
        ((), "No"),
        ([read(r, (4,), 5, 6, 4) for r in (1, 2, 3)], "Yes"),
        ([read(1, (4,), 5, 6, 4)], "(disputed)"),
        ([ReadNodule(1, "a", (Contour(slice_uid(4), True, ((5, 5),)),), {})], "(small_nodule)"),
    ],
)
def test_small_nodules_are_no_clean_lung(
    tree: Tree, nodules: Sequence[ReadNodule], answer: str
) -> None:
    """One slice is enough for a small one: no rule of four slices makes it a no."""
    tree.readings(*nodules)
    assert tree.answers()["presence"] == answer


def test_readings_of_radiographs_and_strays(tree: Tree) -> None:
    tree.readings(name="069.xml", root="IdriReadMessage")
    tree.readings(name="070.xml", series="1.2.3")
    tree.readings(name="071.xml")
    tree.readings(name="072.xml")
    write_text(tree.root / "a.xml", '<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>')
    kinds = {
        one.key.rpartition("/")[2]: one.error.code if isinstance(one, Refused) else one.reason
        for one in tree.planned()
        if isinstance(one, Refused | Filtered)
    }
    assert kinds == {
        "069.xml": "no_ct",
        "a.xml": "unreadable_file",
        "readings 1.2.3": "missing_file",
        tree.folder.name: "duplicate_key",
    }


@pytest.mark.parametrize(("shift", "fault"), [(0.9, False), (-0.9, False), (2.0, True)])
def test_slices_lie_where_their_readers_saw_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shift: float, fault: bool
) -> None:
    """Slices are 2 mm apart."""
    moved = {name: height + shift for name, height in HEIGHTS.items()}
    monkeypatch.setitem(globals(), "HEIGHTS", moved)
    tree = Tree(tmp_path)
    tree.readings(*(read(reader, (3, 4), 5, 5, 4) for reader in (1, 2, 3)))
    if not fault:
        assert tree.converted()
        return
    with pytest.raises(InputError, match="a slice lies at 6 mm, and its readings say 8 mm"):
        tree.converted()


def test_a_series_whose_heights_change_their_sign_is_refused(tmp_path: Path) -> None:
    """It would be shown from the other end, its left side on the right."""
    tree = Tree(tmp_path)
    tree.readings(*(read(reader, (3, 4), 5, 5, 4) for reader in (1, 2, 3)))
    for path in tree.folder.glob("*.dcm"):
        dataset = pydicom.dcmread(path)
        x, y, z = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [x, y, -float(z)]
        dataset.save_as(path)
    with pytest.raises(InputError, match="a slice lies at -6 mm, and its readings say 6 mm"):
        tree.converted()
