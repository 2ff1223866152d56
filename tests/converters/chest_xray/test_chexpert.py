"""CheXpert: four states, editions with other folders, who labelled, and what a row does not say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qoqdata.errors import BadTable, DuplicateKey, MissingFile
from qoqdata.records.content import Record
from qoqdata.simulation import write_csv, write_jpeg, write_text
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Job, Planned, Refused, Skipped, Unit
from qoqdata.sources.rawtree import open_raw

SOURCE = find_source("chexpert")
COLUMNS = tuple(SOURCE.card.tasks["findings"].labels)
OPTIONS = {name: option.default for name, option in SOURCE.card.options.items()}
STUDY = "patient00007/study2"
FRONTAL: dict[str, Any] = {"Sex": "Male", "Age": "61", "Frontal/Lateral": "Frontal", "AP/PA": "AP"}
LATERAL = FRONTAL | {"Frontal/Lateral": "Lateral", "AP/PA": ""}

Film = tuple[str, dict[str, Any], dict[str, str]]


def _row(path: str, facts: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    return {"Path": path} | facts | {column: labels.get(column, "") for column in COLUMNS}


def _write(
    raw: Path, films: list[Film], *, folder: str = "CheXpert-v1.0/train", tables: str = ""
) -> None:
    """Train rows and films of one study, grey by their place, and one study of the validation."""
    for place, (name, _, _) in enumerate(films):
        write_jpeg(raw / folder / STUDY / name, np.full((8, 8), 60 * place, np.uint8))
    rows = [_row(f"CheXpert-v1.0/train/{STUDY}/{name}", *rest) for name, *rest in films]
    write_csv(raw / tables / "train.csv", rows)
    name = "valid/patient64541/study1/view1_frontal.jpg"
    write_jpeg(raw / name, np.full((8, 8), 200, np.uint8))
    states = dict.fromkeys(COLUMNS, "0.0") | {"Edema": "1.0", "Lung Opacity": "1.0"}
    write_csv(raw / tables / "valid.csv", [_row(f"CheXpert-v1.0/{name}", FRONTAL, states)])


def _planned(raw: Path, **options: Any) -> tuple[dict[str, Planned], Job]:
    job = Job(SOURCE.card, open_raw(raw), OPTIONS | options)
    return {one.key: one for one in SOURCE.plan(job)}, job


def _asked(raw: Path, key: str = STUDY, **options: Any) -> dict[str, Record | Skipped]:
    planned, job = _planned(raw, **options)
    unit = planned[key]
    assert isinstance(unit, Unit)
    return {one.task: one for one in SOURCE.convert(unit, job)}


def test_four_states_stay_apart_under_their_own_names(tmp_path: Path) -> None:
    """Neither doubted nor unmentioned findings are denied, and every value keeps its name."""
    states = {"No Finding": "", "Edema": "1.0", "Fracture": "0.0", "Atelectasis": "-1.0"}
    _write(tmp_path, [("view1_frontal.jpg", FRONTAL, states)])
    findings = _asked(tmp_path)["findings"]
    assert isinstance(findings, Record)
    assert findings.labels == ("Edema",)
    assert findings.absent == ("Fracture",)
    assert findings.uncertain == ("Atelectasis",)
    assert (findings.age, findings.sex) == (61, "male")


def test_every_column_is_its_own_label(tmp_path: Path) -> None:
    """One column after the other is set; its option and no other comes out."""
    seen = []
    for number, column in enumerate(COLUMNS):
        raw = tmp_path / str(number)
        _write(raw, [("view1_frontal.jpg", FRONTAL, {column: "1.0"})])
        findings = _asked(raw)["findings"]
        assert isinstance(findings, Record)
        assert findings.labels == (SOURCE.card.tasks["findings"].labels[column],)
        seen.append(findings.answer)
    assert len(set(seen)) == 14


@pytest.mark.parametrize(
    ("folder", "tables"),
    [
        ("CheXpert-v1.0/train", "CheXpert-v1.0"),
        ("CheXpert-v1.0-small/train", "CheXpert-v1.0-small"),
        ("CheXpert-v1.0 batch 4 (train 3)", "CheXpert-v1.0 batch 1 (validate & csv)"),
        ("train", ""),
    ],
)
def test_editions_differ_in_their_folders_only(tmp_path: Path, folder: str, tables: str) -> None:
    """The same study of the same film, although the tables' paths begin otherwise."""
    films: list[Film] = [("view1_frontal.jpg", FRONTAL, {"Edema": "1.0"})]
    _write(tmp_path, films, folder=folder, tables=tables)
    planned, _ = _planned(tmp_path)
    unit = planned[STUDY]
    assert isinstance(unit, Unit)
    assert unit.files == (f"{folder}/{STUDY}/view1_frontal.jpg",)
    assert (unit.patient, unit.split) == ("patient00007", "train")
    assert planned.keys() == {STUDY, "patient64541/study1"}


def test_two_editions_at_once_are_refused(tmp_path: Path) -> None:
    """Nobody knows which of two tables, or of two films, is meant."""
    films: list[Film] = [("view1_frontal.jpg", FRONTAL, {"Edema": "1.0"})]
    _write(tmp_path, films)
    write_jpeg(tmp_path / "small/train" / STUDY / "view1_frontal.jpg", np.zeros((4, 4), np.uint8))
    planned, _ = _planned(tmp_path)
    refused = planned[STUDY]
    assert isinstance(refused, Refused) and refused.error.code == "duplicate_key"
    write_csv(tmp_path / "small/train.csv", [_row("train/x", FRONTAL, {})])
    with pytest.raises(DuplicateKey, match="two tables"):
        _planned(tmp_path)


def test_validation_is_labelled_by_radiologists(tmp_path: Path) -> None:
    """It is another task, of another split, and denies what it does not show."""
    _write(tmp_path, [("view1_frontal.jpg", FRONTAL, {})])
    asked = _asked(tmp_path, "patient64541/study1")
    reviewed = asked["findings_reviewed"]
    assert isinstance(reviewed, Record)
    assert (reviewed.answer, len(reviewed.absent or ())) == ("Edema, Lung opacity", 12)
    assert reviewed.notes[-1] == "labels by radiologists"
    assert "findings" not in asked


def test_labels_of_another_program_are_read_on_request_only(tmp_path: Path) -> None:
    """A table that is not there is never replaced by another program's."""
    _write(tmp_path, [("view1_frontal.jpg", FRONTAL, {"Edema": "1.0"})])
    with pytest.raises(MissingFile):
        _planned(tmp_path, labeller="chexbert")
    row = _row(f"CheXpert-v1.0/train/{STUDY}/view1_frontal.jpg", FRONTAL, {"Fracture": "1.0"})
    write_csv(tmp_path / "train_cheXbert.csv", [row])
    findings = _asked(tmp_path, labeller="chexbert")["findings"]
    assert isinstance(findings, Record)
    assert (findings.answer, findings.notes[-1]) == ("Fracture", "labels by chexbert")


def test_the_test_part_is_read_where_it_is_released(tmp_path: Path) -> None:
    """Its table has labels and no persons; its films without the option are no table's."""
    _write(tmp_path, [("view1_frontal.jpg", FRONTAL, {})])
    key = "patient64741/study1"
    write_jpeg(tmp_path / "test" / key / "view1_frontal.jpg", np.zeros((8, 8), np.uint8))
    path = f"CheXpert-v1.0/test/{key}/view1_frontal.jpg"
    states = dict.fromkeys(COLUMNS, "0.0") | {"No Finding": "1.0"}
    write_csv(tmp_path / "test_labels.csv", [{"Path": path} | states])
    planned, _ = _planned(tmp_path)
    assert isinstance(planned[key], Refused)
    planned, _ = _planned(tmp_path, test="released")
    unit = planned[key]
    assert isinstance(unit, Unit) and unit.split == "test"
    asked = _asked(tmp_path, key, test="released")
    reviewed, view = asked["findings_reviewed"], asked["view"]
    assert isinstance(reviewed, Record) and reviewed.answer == "No finding"
    # Frontal by its name, and the table does not say from which side.
    assert isinstance(view, Skipped) and view.reason == "no_view"


def test_views_come_of_table_and_name_together(tmp_path: Path) -> None:
    """A name and a row that contradict each other give no view, and a note."""
    films: list[Film] = [
        ("view1_frontal.jpg", LATERAL, {"Edema": "1.0"}),
        ("view2_lateral.jpg", LATERAL, {"Edema": "1.0"}),
    ]
    _write(tmp_path, films)
    asked = _asked(tmp_path)
    findings, view = asked["findings"], asked["view"]
    assert isinstance(findings, Record) and isinstance(view, Record)
    assert [image.view for image in findings.images or ()] == [None, "LATERAL"]
    assert "the view of view1_frontal.jpg is disputed" in findings.notes
    assert (view.answer, len(view.images or ())) == ("Lateral", 1)


def test_the_frontal_film_comes_first(tmp_path: Path) -> None:
    """Also where it was taken second."""
    films: list[Film] = [
        ("view1_lateral.jpg", LATERAL, {"Edema": "1.0"}),
        ("view2_frontal.jpg", FRONTAL, {"Edema": "1.0"}),
    ]
    _write(tmp_path, films)
    findings = _asked(tmp_path)["findings"]
    assert isinstance(findings, Record)
    shown = [(image.view, image.pixels[0, 0]) for image in findings.images or ()]
    assert shown == [("AP", 60), ("LATERAL", 0)]


@pytest.mark.parametrize(
    ("age", "sex", "expected"),
    [("0", "Unknown", (None, None)), ("90", "Female", (90, "female")), ("18", "", (18, None))],
)
def test_persons(tmp_path: Path, age: str, sex: str, expected: tuple[Any, Any]) -> None:
    """An age of 0 is none: nobody in the hospital's table is a newborn."""
    facts = FRONTAL | {"Age": age, "Sex": sex}
    _write(tmp_path, [("view1_frontal.jpg", facts, {"Edema": "1.0"})])
    findings = _asked(tmp_path)["findings"]
    assert isinstance(findings, Record) and (findings.age, findings.sex) == expected


def test_films_of_a_study_have_one_set_of_labels(tmp_path: Path) -> None:
    """They are of one report; where rows differ, nobody knows which is right."""
    films: list[Film] = [
        ("view1_frontal.jpg", FRONTAL, {"Edema": "1.0"}),
        ("view2_lateral.jpg", LATERAL, {"Edema": "0.0"}),
    ]
    _write(tmp_path, films)
    asked = _asked(tmp_path)
    assert isinstance(asked["findings"], Skipped) and isinstance(asked["presence"], Skipped)
    assert asked["findings"].reason == "bad_table"
    assert isinstance(asked["view"], Record)


def test_a_study_with_no_present_finding_is_still_asked_about(tmp_path: Path) -> None:
    """It is not dropped: what was denied is asked for."""
    _write(tmp_path, [("view1_frontal.jpg", FRONTAL, {"Edema": "0.0"})])
    asked = _asked(tmp_path)
    assert isinstance(asked["findings"], Skipped) and asked["findings"].reason == "none_present"
    assert isinstance(asked["presence"], Record) and asked["presence"].answer == "Absent"


def test_rows_and_films_that_do_not_meet_are_refused(tmp_path: Path) -> None:
    """A film without a row, a row twice, and a path that names no film."""
    films: list[Film] = [("view1_frontal.jpg", FRONTAL, {"Edema": "1.0"})]
    _write(tmp_path, films)
    folder = tmp_path / "CheXpert-v1.0/train"
    write_jpeg(folder / STUDY / "view2_lateral.jpg", np.zeros((8, 8), np.uint8))
    write_jpeg(folder / "patient9/study1/view1_frontal.jpg", np.zeros((8, 8), np.uint8))
    path = f"CheXpert-v1.0/train/{STUDY}/view1_frontal.jpg"
    planned, _ = _planned(tmp_path)
    assert isinstance(planned["patient9/study1"], Refused)
    refused = planned[STUDY]
    assert isinstance(refused, Refused) and "view2_lateral.jpg" in refused.error.what
    rows = [_row(path, FRONTAL, {"Edema": "1.0"})] * 2 + [_row("view3.jpg", FRONTAL, {})]
    write_csv(tmp_path / "train.csv", rows)
    planned, _ = _planned(tmp_path)
    assert isinstance(planned[STUDY], Refused) and planned[STUDY].error.code == "duplicate_key"
    assert isinstance(planned["train.csv, row 4"], Refused)


def test_a_table_without_a_label_is_refused(tmp_path: Path) -> None:
    """Without its column a finding would look unmentioned everywhere."""
    _write(tmp_path, [("view1_frontal.jpg", FRONTAL, {})])
    row = _row(f"train/{STUDY}/view1_frontal.jpg", FRONTAL, {})
    del row["Pneumothorax"]
    write_csv(tmp_path / "train.csv", [row])
    with pytest.raises(BadTable, match="no column for 'Pneumothorax'"):
        _planned(tmp_path)


def _drawn(
    raw: Path, film: dict[str, Any], name: str = "patient64541_study1_view1_frontal"
) -> None:
    write_text(raw / "CheXlocalize/gt_annotations_val.json", json.dumps({name: film}))


def test_contours_become_masks_and_boxes_of_their_film(tmp_path: Path) -> None:
    """Drawn on 16 x 16 pixels and shown with 8 x 8: half as large, each part with its box."""
    _write(tmp_path, [("view1_frontal.jpg", FRONTAL, {})])
    left, right = [[0, 0], [4, 0], [4, 6], [0, 6]], [[10, 2], [14, 2], [14, 6], [10, 6]]
    overlapping = [[0, 0], [14, 0], [14, 14], [0, 14]]
    _drawn(tmp_path, {"img_size": [16, 16], "Edema": [left, right], "Lung Opacity": [overlapping]})
    boxes = _asked(tmp_path, "patient64541/study1", contours="chexlocalize")["boxes"]
    assert isinstance(boxes, Record)
    assert boxes.item == "patient64541_study1_view1_frontal"
    found = [(r.label, r.x_min, r.y_min, r.x_max, r.y_max) for r in boxes.regions or ()]
    assert found == [
        ("Edema", 0, 0, 3, 4),
        ("Edema", 5, 1, 8, 4),
        ("Lung opacity", 0, 0, 8, 8),
    ]
    edema, opacity = boxes.masks or ()
    assert (edema.codes[0, 0], edema.codes[1, 4], opacity.codes[1, 4]) == (4, 0, 7)
    assert edema.instance != opacity.instance


@pytest.mark.parametrize(
    ("film", "reason"),
    [
        ({"img_size": [8, 8]}, "no_contour"),
        ({"img_size": [8, 8], "Edema": [[[1, 1], [2, 2]]]}, "no_contour"),
        ({"img_size": [8, 8], "Edema": [[[50, 50], [60, 50], [60, 60]]]}, "no_contour"),
        ({"img_size": [10, 8], "Edema": [[[1, 1], [5, 1], [5, 5]]]}, "other_shape"),
        ({"img_size": [8, 8], "Atelectasis": [[[1, 1], [5, 1], [5, 5]]]}, "boxes_and_labels"),
    ],
)
def test_contours_that_are_not_of_the_film(
    tmp_path: Path, film: dict[str, Any], reason: str
) -> None:
    """Nothing drawn, a line, something outside of the film, another's sides, an absent finding."""
    _write(tmp_path, [("view1_frontal.jpg", FRONTAL, {})])
    _drawn(tmp_path, film)
    boxes = _asked(tmp_path, "patient64541/study1", contours="chexlocalize")["boxes"]
    assert isinstance(boxes, Skipped) and boxes.reason == reason


def test_contours_of_no_film_and_what_is_none(tmp_path: Path) -> None:
    """A film that no table names is refused by name, and a file of something else as a whole."""
    _write(tmp_path, [("view1_frontal.jpg", FRONTAL, {})])
    _drawn(tmp_path, {"img_size": [8, 8]}, "patient9_study1_view1_frontal")
    planned, _ = _planned(tmp_path, contours="chexlocalize")
    assert isinstance(planned["patient9_study1_view1_frontal"], Refused)
    for content in ({}, {"img_size": [8, 0]}, {"img_size": [8, 8], "Edema": [[1, 2]]}):
        _drawn(tmp_path, content)
        with pytest.raises(BadTable, match="no contours"):
            _planned(tmp_path, contours="chexlocalize")
    (tmp_path / "CheXlocalize/gt_annotations_val.json").unlink()
    with pytest.raises(MissingFile):
        _planned(tmp_path, contours="chexlocalize")
