"""CBIS-DDSM: which mask and row, on films drawn by hand and on simulated ones."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from qoqdata.errors import BadLabel, InputError
from qoqdata.records.content import Record
from qoqdata.sources.protocol import Job, Refused, Skipped, Unit
from tests.converters.mammography.cbis_tree import (
    DENSITY,
    OWN,
    SHAPE,
    SIMULATE,
    SOURCE,
    Tree,
    job,
    planned,
)

#: What the tables' words are in answers, written down apart from the card.
WORDS = {
    "MALIGNANT": "Malignant",
    "BENIGN": "Benign after callback",
    "BENIGN_WITHOUT_CALLBACK": "Benign without callback",
    "mass": "Mass",
    "calcification": "Calcification",
    "OVAL": "Oval",
    "LOBULATED": "Lobulated",
    "ROUND": "Round",
    "IRREGULAR-ARCHITECTURAL_DISTORTION": "Architectural distortion, Irregular",
    "CIRCUMSCRIBED": "Circumscribed",
    "ILL_DEFINED-SPICULATED": "Ill-defined, Spiculated",
    "OBSCURED": "Obscured",
    "PLEOMORPHIC": "Pleomorphic",
    "ROUND_AND_REGULAR-LUCENT_CENTERED": "Lucent-centred, Round regular",
    "LUCENT_CENTER": "Lucent-centred",
    "CLUSTERED": "Clustered",
    "CLUSTERED-LINEAR": "Clustered, Linear",
    "REGIONAL-REGIONAL": "Regional",
    **{str(grade): f"BI-RADS {grade}" for grade in range(1, 6)},
}
COLUMN = {
    "lesion_type": "abnormality type",
    "mass_shape": "mass shape",
    "mass_margins": "mass margins",
    "calc_type": "calc type",
    "calc_distribution": "calc distribution",
}


def unit(of: Job, key: str) -> Unit:
    item = planned(of, key)
    assert isinstance(item, Unit), item
    return item


def converted(of: Job, key: str) -> list[Record | Skipped]:
    return SOURCE.convert(unit(of, key), of)


def answers(items: Iterable[Record | Skipped]) -> dict[tuple[str, str | None], str]:
    """Answers by task and item, of skipped questions the reason in brackets."""
    return {
        (one.task, one.item if isinstance(one, Record) else None): one.answer
        if isinstance(one, Record)
        else f"({one.reason})"
        for one in items
    }


def corners(record: Record) -> list[tuple[str, str, float, float, float, float]]:
    return [(r.label, r.role, r.x_min, r.y_min, r.x_max, r.y_max) for r in record.regions or ()]


def test_each_lesion_has_its_own_mask_box_and_answers(tree: Tree) -> None:
    """Two masses and a calcification of one film, masks and crops in either order."""
    for name in ("Mass-Training_P_00001_LEFT_MLO", "Calc-Training_P_00001_LEFT_MLO"):
        tree.film(name)
    tree.lesion(
        "Mass-Training_P_00001_LEFT_MLO_1", (2, 3, 4, 5), pathology="MALIGNANT", assessment=5
    )
    tree.lesion(
        "Mass-Training_P_00001_LEFT_MLO_2",
        (20, 10, 8, 6),
        mask_first=False,
        assessment=2,
        **{"mass shape": "OVAL-LYMPH_NODE", "mass margins": "CIRCUMSCRIBED"},
    )
    tree.lesion(
        "Calc-Training_P_00001_LEFT_MLO_1",
        (3, 4, 10, 2),
        pathology="BENIGN_WITHOUT_CALLBACK",
        **{"calc type": "ROUND_AND_REGULAR-LUCENT_CENTER", "calc distribution": "LINEAR-LINEAR"},
    )
    items = converted(tree.write(), "P_00001_LEFT_MLO")
    assert answers(items) == {
        ("projection", None): "Left MLO",
        ("density", None): "Density 2",
        ("lesions", None): "calcification, mass",
        ("any_malignancy", None): "Yes",
        ("lesion_type", "calc_1"): "Calcification",
        ("pathology", "calc_1"): "Benign without callback",
        ("assessment", "calc_1"): "BI-RADS 4",
        ("calc_type", "calc_1"): "Lucent-centred, Round regular",
        ("calc_distribution", "calc_1"): "Linear",
        ("lesion_type", "mass_1"): "Mass",
        ("pathology", "mass_1"): "Malignant",
        ("assessment", "mass_1"): "BI-RADS 5",
        ("mass_shape", None): "(not_stated)",
        ("mass_margins", None): "(not_stated)",
        ("lesion_type", "mass_2"): "Mass",
        ("pathology", "mass_2"): "Benign after callback",
        ("assessment", "mass_2"): "BI-RADS 2",
        ("mass_shape", "mass_2"): "Lymph node, Oval",
        ("mass_margins", "mass_2"): "Circumscribed",
    }
    boxes = {"calc_1": (4, 3, 6, 13), "mass_1": (3, 2, 8, 6), "mass_2": (10, 20, 16, 28)}
    records = [one for one in items if isinstance(one, Record)]
    for one in records:
        if one.item:
            assert corners(one) == [("lesion", "given", *boxes[one.item])]
            assert one.masks is None
    by_task = {one.task: one for one in records}
    assert by_task["density"].regions is None
    assert corners(by_task["any_malignancy"]) == [("lesion", "given", *b) for b in boxes.values()]
    labels = ("calcification", "mass", "mass")
    everything = [(label, "target", *b) for label, b in zip(labels, boxes.values(), strict=True)]
    assert corners(by_task["lesions"]) == everything
    drawn = [
        (m.instance, m.image, int(m.codes.max()), int((m.codes > 0).sum()))
        for m in by_task["lesions"].masks or ()
    ]
    assert drawn == [(1, 0, 2, 20), (2, 0, 1, 20), (3, 0, 1, 48)]
    (bare,) = by_task["projection"].images or ()
    assert (bare.view, bare.laterality) == (None, None)
    shown = {one.images for one in records if one.task != "projection"}
    ((image,),) = (images or () for images in shown)
    assert (image.view, image.laterality, image.pixels.shape) == ("MLO", "left", SHAPE)


def test_no_words_of_a_question_tell_its_answer(tree: Tree) -> None:
    """What a given region is called is the same for every lesion, whatever is asked."""
    items = converted(tree.write(), "P_00900_LEFT_CC") + converted(tree.write(), "P_00902_LEFT_CC")
    given = {
        r.label
        for one in items
        if isinstance(one, Record)
        for r in one.regions or ()
        if r.role == "given"
    }
    assert given == {"lesion"}
    for task, definition in SOURCE.card.tasks.items():
        assert 2 <= len(definition.forms) <= 3, task
        if definition.kind == "multi":
            told = " ".join((definition.question, *definition.forms)).lower()
            assert not [option for option in definition.options or () if option.lower() in told]


def test_a_mask_of_another_size_places_nothing(tree: Tree) -> None:
    """Its lesion's questions and those about all lesions are skipped; the others stand."""
    tree.film("Mass-Training_P_00001_LEFT_CC")
    tree.lesion("Mass-Training_P_00001_LEFT_CC_1")
    tree.lesion("Mass-Training_P_00001_LEFT_CC_2", shape=(SHAPE[0] + 1, SHAPE[1]))
    items = converted(tree.write(), "P_00001_LEFT_CC")
    asked = [one.item for one in items if isinstance(one, Record)]
    assert asked == [None, None, "mass_1", "mass_1", "mass_1"]
    skips = Counter((one.task, one.reason) for one in items if isinstance(one, Skipped))
    assert (
        skips["lesions", "mask_of_other_size"] == skips["any_malignancy", "mask_of_other_size"] == 1
    )
    assert skips["pathology", "mask_of_other_size"] == 1


@pytest.mark.parametrize(
    ("cells", "task", "reason"),
    [
        ({"assessment": 0}, "assessment", "not_stated"),
        ({"assessment": ""}, "assessment", "not_stated"),
        ({"breast_density": 0}, "density", "not_stated"),
        ({"pathology": ""}, "any_malignancy", "not_stated"),
        ({"mass shape": "N/A"}, "mass_shape", "not_stated"),
    ],
)
def test_what_a_row_does_not_say_is_not_asked(
    tree: Tree, cells: dict[str, Any], task: str, reason: str
) -> None:
    tree.film("Mass-Training_P_00001_LEFT_CC")
    tree.lesion("Mass-Training_P_00001_LEFT_CC_1", **cells)
    items = converted(tree.write(), "P_00001_LEFT_CC")
    assert [
        (one.task, one.reason) for one in items if one.task == task and isinstance(one, Skipped)
    ]
    assert task not in {one.task for one in items if isinstance(one, Record)}


def test_density_is_asked_where_the_rows_of_a_film_agree(tree: Tree) -> None:
    for number, (patient, grades) in enumerate({"1": (3, 3), "2": (3, 0), "3": (3, 2)}.items()):
        tree.film(f"Mass-Test_P_0000{patient}_LEFT_CC", 900 + number)
        for place, grade in enumerate(grades, start=1):
            tree.lesion(f"Mass-Test_P_0000{patient}_LEFT_CC_{place}", breast_density=grade)
    of = tree.write()
    said = [answers(converted(of, f"P_0000{n}_LEFT_CC"))["density", None] for n in (1, 2, 3)]
    assert said == ["Density 3", "Density 3", "(disputed)"]


def test_a_word_that_the_card_lacks_is_refused(tree: Tree) -> None:
    tree.film("Mass-Training_P_00001_LEFT_CC")
    tree.lesion("Mass-Training_P_00001_LEFT_CC_1", **{"mass shape": "OVAL-TRIANGULAR"})
    with pytest.raises(BadLabel, match="TRIANGULAR"):
        converted(tree.write(), "P_00001_LEFT_CC")


def faulty_trees() -> list[Any]:
    """A film and what is wrong with it, by the reason that refuses it."""

    def twice(tree: Tree) -> None:
        tree.row("Mass-Training_P_00900_LEFT_CC_1", pathology="MALIGNANT")

    def stray(tree: Tree) -> None:
        tree.lesion("Calc-Training_P_00900_LEFT_CC_1")
        tree.film("Calc-Training_P_00900_LEFT_CC")
        tree.rows["calc_train"].pop()

    def misled(tree: Tree) -> None:
        tree.rows["mass_train"][0]["ROI mask file path"] = (
            "Mass-Training_P_00900_LEFT_CC_2/3/4/1.dcm"
        )

    def other_table(tree: Tree) -> None:
        tree.rows["calc_train"].append(
            tree.rows["mass_train"].pop()
            | {"breast density": 2, "calc type": "", "calc distribution": ""}
        )
        for name in (DENSITY["mass"], *OWN["mass"]):
            del tree.rows["calc_train"][-1][name]
        tree.row("Mass-Training_P_00950_LEFT_CC_1")

    def other_type(tree: Tree) -> None:
        tree.rows["mass_train"][0]["abnormality type"] = "calcification"

    def no_mask(tree: Tree) -> None:
        tree.file("Mass-Training_P_00900_LEFT_CC_1", "1-1", np.ones((3, 3), np.uint16))
        (
            tree.root / "CBIS-DDSM/Mass-Training_P_00900_LEFT_CC_1/08-29-2017/1.0-any/1-2.dcm"
        ).unlink()

    def two_masks(tree: Tree) -> None:
        tree.file("Mass-Training_P_00900_LEFT_CC_1", "1-3", np.zeros(SHAPE, np.uint8))

    def grey_mask(tree: Tree) -> None:
        grey = np.arange(SHAPE[0] * SHAPE[1]).reshape(SHAPE).astype(np.uint16)
        tree.file("Mass-Training_P_00900_LEFT_CC_1", "1-1", grey)

    def empty_mask(tree: Tree) -> None:
        tree.file("Mass-Training_P_00900_LEFT_CC_1", "1-1", np.zeros(SHAPE, np.uint8))

    def borrowed_mask(tree: Tree) -> None:
        mask = np.pad(np.full((4, 4), 255, np.uint8), ((0, SHAPE[0] - 4), (0, SHAPE[1] - 4)))
        owner = "Mass-Training_P_00900_LEFT_CC_2"
        tree.file("Mass-Training_P_00900_LEFT_CC_1", "1-1", mask, patient=owner)

    def two_films(tree: Tree) -> None:
        tree.file("Mass-Training_P_00900_LEFT_CC", "1-2", np.ones(SHAPE, np.uint16))

    def no_film(tree: Tree) -> None:
        next((tree.root / "CBIS-DDSM/Mass-Training_P_00900_LEFT_CC").rglob("*.dcm")).unlink()

    def other_copy(tree: Tree) -> None:
        tree.film("Calc-Training_P_00900_LEFT_CC", 1001)
        tree.lesion("Calc-Training_P_00900_LEFT_CC_1")

    reasons = {
        twice: "duplicate_key",
        stray: "missing_key",
        misled: "bad_table",
        other_table: "bad_table",
        other_type: "bad_table",
        no_mask: "missing_file",
        two_masks: "duplicate_key",
        grey_mask: "bad_label",
        empty_mask: "bad_label",
        borrowed_mask: "missing_key",
        two_films: "duplicate_key",
        no_film: "missing_file",
        other_copy: "misaligned",
    }
    return [pytest.param(fault, code, id=fault.__name__) for fault, code in reasons.items()]


@pytest.mark.parametrize(("fault", "code"), faulty_trees())
def test_a_faulty_film_is_refused_and_no_other(tree: Tree, fault: Any, code: str) -> None:
    fault(tree)
    of = tree.write()
    item = planned(of, "P_00900_LEFT_CC")
    if isinstance(item, Refused):
        assert item.error.code == code
    else:
        assert isinstance(item, Unit)
        with pytest.raises(InputError) as error:
            SOURCE.convert(item, of)
        assert error.value.code == code
    assert isinstance(planned(of, "P_00901_LEFT_CC"), Unit)


def test_every_word_of_the_tables_is_mapped_to_its_likeness() -> None:
    """Descriptors begin as they do in the tables, and grades hold their digit."""
    tasks = SOURCE.card.tasks
    for name in ("mass_shape", "mass_margins", "calc_type", "calc_distribution", "lesion_type"):
        for raw, option in tasks[name].labels.items():
            assert raw[:4].lower() == option.replace("-", "_")[:4].lower(), name
        assert set(tasks[name].labels.values()) == set(tasks[name].options or ())
    for name, count in (("density", 4), ("assessment", 5)):
        digits = [str(grade) for grade in range(1, count + 1)]
        assert [option.split()[1] for option in tasks[name].options or ()] == digits
        assert all(option.split()[1] == raw for raw, option in tasks[name].labels.items())
    verdicts = tasks["any_malignancy"].labels
    assert verdicts == {"MALIGNANT": "Yes", "BENIGN": "No", "BENIGN_WITHOUT_CALLBACK": "No"}


def test_simulated_films_agree_with_their_tables_and_masks(tmp_path: Path) -> None:
    """Every answer and box, held against tables and files that are read in another way."""
    SIMULATE.simulate(tmp_path, 24, seed=1)
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for path in tmp_path.glob("*_set.csv"):
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                film = "_".join(
                    row[name] for name in ("patient_id", "left or right breast", "image view")
                )
                rows[film, f"{path.name[:4]}_{row['abnormality id']}"] = row
    of, seen = job(tmp_path), set()
    for item in SOURCE.plan(of):
        assert isinstance(item, Unit), item
        for one in SOURCE.convert(item, of):
            assert isinstance(one, Record), one
            if one.item is None:
                continue
            row = rows[item.key, one.item]
            assert one.answer == WORDS[row[COLUMN.get(one.task, one.task)]]
            assert corners(one) == [("lesion", "given", *box_of(tmp_path, row))]
            seen.add((item.key, one.item))
    assert seen == set(rows)


def box_of(root: Path, row: dict[str, str]) -> tuple[int, int, int, int]:
    """The box of a row's mask: of the files of its folder, the larger one."""
    name = row["ROI mask file path"].split("/")[0]
    arrays = [pydicom.dcmread(path).pixel_array for path in root.glob(f"*/*/{name}/*/*/*.dcm")]
    rows, columns = max(arrays, key=np.size).nonzero()
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def test_quirks_end_where_the_simulator_says(tmp_path: Path) -> None:
    """The reasons of QUIRKS and no others; without quirks nothing is refused (see above)."""
    SIMULATE.simulate(tmp_path, 26, seed=2, quirks=True)
    of, reasons = job(tmp_path), set()
    for item in SOURCE.plan(of):
        if isinstance(item, Refused):
            reasons.add(item.error.code)
            continue
        assert isinstance(item, Unit)
        try:
            SOURCE.convert(item, of)
        except InputError as error:
            reasons.add(error.code)
    assert reasons == set(SIMULATE.QUIRKS)


def test_a_mask_follows_a_film_that_its_header_turns(tree: Tree) -> None:
    """Film and mask lie in their files as a mirror image; columns 8 to 13 of 30 are 17 to 22."""
    name = "Mass-Training_P_00001_LEFT_MLO"
    path = tree.film(name)
    tree.lesion(f"{name}_1", (10, 8, 6, 5))
    film = pydicom.dcmread(path)
    film.ImageLaterality, film.ViewPosition, film.PatientOrientation = "L", "MLO", ["P", "F"]
    film.save_as(path)
    found = converted(tree.write(), "P_00001_LEFT_MLO")
    (one,) = [r for r in found if isinstance(r, Record) and r.task == "lesions"]
    (region,), (mask,), (image,) = one.regions or (), one.masks or (), one.images or ()
    assert (region.x_min, region.y_min, region.x_max, region.y_max) == (17, 10, 22, 16)
    assert np.flatnonzero(mask.codes.any(axis=0)).tolist() == list(range(17, 22))
    assert image.pixels[0, -1] == 255  # the bright pixel of the film's first column


def test_a_film_of_the_other_side_is_refused_by_its_header(tree: Tree) -> None:
    name = "Mass-Training_P_00001_LEFT_MLO"
    path = tree.film(name)
    tree.lesion(f"{name}_1")
    film = pydicom.dcmread(path)
    film.ImageLaterality = "R"
    film.save_as(path)
    with pytest.raises(InputError, match="its source says the side is left, the header right"):
        converted(tree.write(), "P_00001_LEFT_MLO")


def test_a_breast_on_the_wrong_side_is_told(tree: Tree) -> None:
    name = "Mass-Training_P_00001_LEFT_MLO"
    tree.film(name)
    pixels = np.zeros(SHAPE, np.uint16)
    pixels[:, 17:] = 3000
    tree.file(name, "1-1", pixels)
    tree.lesion(f"{name}_1")
    for one in converted(tree.write(), "P_00001_LEFT_MLO"):
        if isinstance(one, Record):
            assert [note for note in one.notes if "chest wall lies on the right" in note]
