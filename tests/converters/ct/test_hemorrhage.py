"""CT-ICH: patients written down by hand, as JPEG of two windows and as NIfTI."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qoqdata.errors import InputError
from qoqdata.records.content import Record
from qoqdata.simulation import write_csv, write_jpeg, write_nifti
from qoqdata.sources.card import settle_options
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Job, Planned, Refused, Skipped, Unit
from qoqdata.sources.rawtree import open_raw

SOURCE = find_source("hemorrhage")
TYPES = ("Intraventricular", "Intraparenchymal", "Subarachnoid", "Epidural", "Subdural")


class Tree:
    """Slices of 40 x 32 pixels (NIfTI 32 x 40 voxels)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rows: list[dict[str, Any]] = []

    def row(self, number: int, *types: str, fracture: int = 0, **cells: Any) -> None:
        row = {"PatientNumber": 49, "SliceNumber": number}
        row |= {name: int(name in types) for name in TYPES}
        row |= {"No_Hemorrhage": int(not types), "Fracture_Yes_No": fracture}
        self.rows.append(row | cells)

    def jpeg(self, number: int, *kinds: str) -> None:
        folder = self.root / "Patients_CT" / "049"
        for kind in kinds:
            pixels = np.full((40, 32), 90 if kind == "brain" else 30, np.uint8)
            if kind == "mask":
                pixels[:], pixels[8:24, 8:16] = 0, 255
            name = f"brain/{number}_HGE_Seg" if kind == "mask" else f"{kind}/{number}"
            write_jpeg(folder / f"{name}.jpg", pixels)

    def nifti(self, bleeding: dict[int, tuple[slice, slice]], count: int = 6) -> None:
        voxels = np.full((32, 40, count), -1000, np.int16)
        voxels[4:28, 4:36] = 40
        mask = np.zeros(voxels.shape, np.uint8)
        for index, box in bleeding.items():
            mask[(*box, index)] = 255
        affine = np.diag([-0.5, -0.5, 5.0, 1.0])
        write_nifti(self.root / "ct_scans/049.nii", voxels, affine)
        write_nifti(self.root / "masks/049.nii", mask, affine)

    def planned(self) -> dict[str, Planned]:
        write_csv(self.root / "hemorrhage_diagnosis.csv", self.rows)
        people = [{"Patient Number": None, "Age\n(years)": None, "Gender": None},
                  {"Patient Number": 49, "Age\n(years)": 31, "Gender": "Male"}]  # fmt: skip
        write_csv(self.root / "patient_demographics.csv", people)
        return {one.key: one for one in SOURCE.plan(self.job)}

    @property
    def job(self) -> Job:
        return Job(SOURCE.card, open_raw(self.root), settle_options(SOURCE.card, {}))

    def converted(self) -> dict[tuple[str, str | None], Record | Skipped]:
        unit = self.planned()["49"]
        assert isinstance(unit, Unit), unit
        return {(one.task, one.item): one for one in SOURCE.convert(unit, self.job)}

    def answers(self) -> dict[tuple[str, str | None], str]:
        return {
            key: one.answer if isinstance(one, Record) else f"({one.reason})"
            for key, one in self.converted().items()
        }


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_no_window_stands_in_for_the_other(tree: Tree) -> None:
    """A slice shown twice would be called a pair of brain and bone."""
    tree.row(1)
    tree.row(2, fracture=1)
    tree.row(3, "Epidural")
    tree.jpeg(1, "brain")
    tree.jpeg(2, "bone")
    tree.jpeg(3, "brain", "bone", "mask")
    found = tree.answers()
    assert found["haemorrhage", "slice_1"] == "No haemorrhage"
    assert found["fracture", "slice_1"] == "(no_bone_window)"
    assert found["haemorrhage", "slice_2"] == "(no_brain_window)"
    assert found["fracture", "slice_2"] == "Yes"
    for key, one in tree.converted().items():
        if isinstance(one, Record):
            names = {image.window.name for image in one.images or () if image.window}
            assert names == {"bone" if key[0] == "fracture" else "brain"}
            assert (one.age, one.sex) == (31, "male")


def test_all_types_are_labels_and_the_others_are_denied(tree: Tree) -> None:
    tree.row(7, "Subdural", "Intraventricular")
    tree.jpeg(7, "brain", "bone", "mask")
    one = tree.converted()["types", "slice_7"]
    assert isinstance(one, Record)
    assert one.answer == "Intraventricular, Subdural"
    assert one.absent == ("Intraparenchymal", "Subarachnoid", "Epidural")


def test_lossy_masks_are_cut_at_half(tree: Tree) -> None:
    """The box of 16 x 8 pixels is that of the drawing, whatever JPEG did around it."""
    tree.row(3, "Epidural")
    tree.jpeg(3, "brain", "bone", "mask")
    one = tree.converted()["bleeding", "slice_3"]
    assert isinstance(one, Record) and one.masks and one.regions
    assert set(np.unique(one.masks[0].codes)) == {0, 1}
    (box,) = one.regions
    assert (box.x_min, box.y_min, box.x_max, box.y_max) == (8, 8, 16, 24)


def test_slices_of_a_volume_count_from_one(tree: Tree) -> None:
    """Row 3 is array index 2, in HU through three windows; 6 x 8 x 2 voxels of 1.25 mm3."""
    for number in range(1, 7):
        tree.row(number, *(["Intraparenchymal"] if number in (3, 4) else []))
    box = (slice(10, 16), slice(20, 28))
    tree.nifti({2: box, 3: box})
    found = tree.converted()
    one = found["types", "slice_3"]
    assert isinstance(one, Record) and one.images
    assert [(i.index, i.window.name if i.window else None) for i in one.images] == [
        (2, "brain"), (2, "subdural"),
    ]  # fmt: skip
    # 40 HU is the middle of the brain window and 80 - 100 = -20 to 180 of the subdural one.
    assert [int(i.pixels[20, 16]) for i in one.images] == [128, 77]
    where = found["bleeding", "slice_3"]
    assert isinstance(where, Record) and where.regions
    region = where.regions[0]
    assert (region.x_min, region.y_min, region.x_max, region.y_max) == (10, 20, 16, 28)
    volume = found["volume", None]
    assert isinstance(volume, Record) and volume.number
    assert volume.number.value == round(96 * 0.5 * 0.5 * 5 / 1000, 1) == 0.1
    assert volume.context is not None and "16 mm wide and 20 mm high" in volume.context
    assert found["scan_types", None].answer == "Intraparenchymal"  # type: ignore[union-attr]


def test_masks_against_the_rows_refuse_the_scan(tree: Tree) -> None:
    """Slices counted from the other end would give every label to another slice."""
    for number in range(1, 7):
        tree.row(number, *(["Epidural"] if number == 1 else []))
    tree.nifti({5: (slice(10, 16), slice(20, 28))})
    with pytest.raises(InputError) as caught:
        tree.converted()
    assert caught.value.code == "misaligned"
    tree.nifti({0: (slice(10, 16), slice(20, 28))}, count=5)
    with pytest.raises(InputError, match="5 slices, and the table 6 rows"):
        tree.converted()


@pytest.mark.parametrize(
    ("cells", "reason"),
    [({"No_Hemorrhage": 1}, "(contradiction)"), ({"Subdural": None}, "(not_stated)")],
)
def test_rows_that_say_no_one_thing(tree: Tree, cells: dict[str, Any], reason: str) -> None:
    tree.row(1, "Epidural", **cells)
    tree.row(2)
    for number in (1, 2):
        tree.jpeg(number, "brain", "bone")
    found = tree.answers()
    assert {found[task, "slice_1"] for task in ("haemorrhage", "types", "bleeding")} == {reason}
    assert found["haemorrhage", "slice_2"] == "No haemorrhage"
    assert found["fracture", "slice_1"] == "No"


def test_strays_are_refused_one_by_one(tree: Tree) -> None:
    tree.row(1)
    tree.row(2)
    tree.jpeg(1, "brain", "bone")
    tree.jpeg(9, "brain")
    planned = tree.planned()
    codes = {key: one.error.code for key, one in planned.items() if isinstance(one, Refused)}
    assert codes == {"49/2": "missing_file", "Patients_CT/049/brain/9.jpg": "missing_key"}
    assert isinstance(planned["49"], Unit) and planned["49"].group == "49"


TWO_BLEEDINGS = (3, 4, 5, 9, 10)


def labelled(tree: Tree, kind: str, drawn: tuple[int, ...], said: tuple[int, ...]) -> list[Any]:
    """The conversion of 12 slices, outlined where `drawn`, and labelled where `said`."""
    for number in range(1, 13):
        tree.row(number, *(["Epidural"] if number in said else []))
        if kind == "jpeg":
            tree.jpeg(number, "brain", *(["mask"] if number in drawn else []))
    if kind == "nifti":
        box = (slice(10, 16), slice(20, 28))
        tree.nifti({number - 1: box for number in drawn}, count=12)
    return list(tree.converted())


@pytest.mark.parametrize("kind", ["nifti", "jpeg"])
@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ((4, 5, 6, 10, 11), "differ from the outlines on 4 slices, and on 0 moved by 1[.]"),
        ((2, 3, 4, 8, 9), "differ from the outlines on 4 slices, and on 0 moved by 11[.]"),
        # The rows of a table that runs from the other end of the scan.
        ((3, 4, 8, 9, 10), "differ from the outlines on 2 slices, and on 0 counted from"),
        # A row was lost between the two, and those after it moved up; or the first one moved.
        ((3, 4, 5, 8, 9), "one slice off the outlines of a bleeding, at slice 8"),
        ((4, 5, 6, 9, 10), "one slice off the outlines of a bleeding, at slice 4"),
        ((1, 2, 7, 8, 12), "outlined in 5 slices, of which 0 are labelled so"),
    ],
)
def test_labels_of_other_slices_are_refused(
    tree: Tree, kind: str, said: tuple[int, ...], fault: str
) -> None:
    """More than half of the outlined slices are labelled as bleeding in most of these."""
    with pytest.raises(InputError, match=fault) as caught:
        labelled(tree, kind, TWO_BLEEDINGS, said)
    assert caught.value.code == "misaligned"


@pytest.mark.parametrize("kind", ["nifti", "jpeg"])
@pytest.mark.parametrize(
    "said",
    [
        TWO_BLEEDINGS,
        (3, 4, 5, 6, 9, 10),
        (4, 5, 9, 10),
        (3, 4, 5),
        (2, 3, 4, 5, 6, 8, 9, 10),
        (3, 4, 5, 7, 9, 10, 12),
    ],
)
def test_readers_may_differ_about_a_slice(tree: Tree, kind: str, said: tuple[int, ...]) -> None:
    assert labelled(tree, kind, TWO_BLEEDINGS, said)


def test_an_outline_of_exchanged_values_is_refused(tree: Tree) -> None:
    tree.row(3, "Epidural")
    tree.jpeg(3, "brain", "bone", "mask")
    path = next(tree.root.rglob("*_HGE_Seg.jpg"))
    inverted = np.full((40, 32), 255, np.uint8)
    inverted[8:24, 8:16] = 0
    write_jpeg(path, inverted)
    with pytest.raises(InputError, match="the four corners are marked"):
        tree.converted()
