"""VinDr-CXR: votes and boxes of three readers, written down by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qoqdata.records.content import Record
from qoqdata.simulation import write_csv, write_dicom, write_text
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Job, Refused, Skipped, Unit
from qoqdata.sources.rawtree import open_raw

SOURCE = find_source("vindr_cxr")
FINDINGS, DISEASES = SOURCE.card.tasks["findings"], SOURCE.card.tasks["diseases"]
#: Columns of the label table of the training part.
COLUMNS = [*FINDINGS.labels, *(raw for raw in DISEASES.labels if raw != "No finding")]
CORNERS = ("x_min", "y_min", "x_max", "y_max")
#: Label rows and boxes of one training image, by reader.
Reading = dict[str, tuple[set[str], list[tuple[str, float, float, float, float]]]]


def _converted(raw: Path, readings: Reading, **dicom: Any) -> dict[str, Record | Skipped] | Refused:
    """What comes of one image of 20 x 40 pixels, by task."""
    labels = [
        {"image_id": "a", "rad_id": reader} | {raw: int(raw in said) for raw in COLUMNS}
        for reader, (said, _) in readings.items()
    ]
    boxes = [
        {"image_id": "a", "rad_id": reader, "class_name": name}
        | dict(zip(CORNERS, corners, strict=True))
        for reader, (_, drawn) in readings.items()
        for name, *corners in drawn
    ]
    columns = ["image_id", "rad_id", *COLUMNS]
    write_csv(raw / "annotations/image_labels_train.csv", labels, columns=columns)
    columns = ["image_id", "rad_id", "class_name", *CORNERS]
    nothing = {"image_id": "z", "rad_id": "R1", "class_name": "No finding"}
    nothing |= dict.fromkeys(CORNERS, "")
    write_csv(raw / "annotations/annotations_train.csv", boxes or [nothing], columns=columns)
    test = {"image_id": "t"} | {r.replace("diseases", "disease"): 0 for r in COLUMNS}
    write_csv(raw / "annotations/image_labels_test.csv", [test | {"No finding": 1}])
    del nothing["rad_id"]
    write_csv(raw / "annotations/annotations_test.csv", [nothing | {"image_id": "t"}])
    ramp = np.linspace(0, 4095, 800).reshape(20, 40).astype(np.uint16)
    write_dicom(raw / "train/a.dicom", ramp, BitsStored=12, HighBit=11, **dicom)
    write_dicom(raw / "test/t.dicom", ramp, BitsStored=12, HighBit=11)
    job = Job(SOURCE.card, open_raw(raw))
    (planned,) = (one for one in SOURCE.plan(job) if one.key == "a")
    if not isinstance(planned, Unit):
        assert isinstance(planned, Refused)
        return planned
    return {one.task: one for one in SOURCE.convert(planned, job)}


def test_two_of_three_readers_decide(tmp_path: Path) -> None:
    """Two votes assert, one makes uncertain, none denies; boxes stay with who drew them."""
    asked = _converted(
        tmp_path,
        {
            "R8": ({"ILD", "Edema", "COPD"}, [("ILD", 1, 2, 11, 12), ("Edema", 0, 0, 4, 4)]),
            "R9": ({"ILD", "COPD"}, [("ILD", 2, 2, 12, 12)]),
            "R1": ({"No finding"}, []),
        },
    )
    assert isinstance(asked, dict)
    findings, diseases, boxes = (asked[task] for task in ("findings", "diseases", "boxes"))
    assert isinstance(findings, Record) and isinstance(diseases, Record)
    assert isinstance(boxes, Record)
    assert findings.labels == ("Interstitial lung disease",)
    assert findings.uncertain == ("Edema", "No finding")
    assert len(findings.absent or ()) == 23 - 3
    assert diseases.answer == "Chronic obstructive pulmonary disease"
    assert findings.notes[-1] == (
        "votes of 3 readers: Edema 1, Interstitial lung disease 2, No finding 1"
    )
    drawn = [(r.reader, r.label, r.x_min, r.y_min, r.x_max, r.y_max) for r in boxes.regions or ()]
    assert drawn == [
        ("R8", "Edema", 0, 0, 4, 4),
        ("R8", "Interstitial lung disease", 1, 2, 11, 12),
        ("R9", "Interstitial lung disease", 2, 2, 12, 12),
    ]


def test_one_clear_box_is_given_to_be_named(tmp_path: Path) -> None:
    """Not that of a single reader, and none that another finding's box covers."""
    seen = {"ILD", "Edema", "Consolidation"}
    boxes = [("ILD", 1.0, 1.0, 9.0, 9.0), ("Edema", 20.0, 1.0, 30.0, 9.0)]
    boxes.append(("Consolidation", 20.0, 1.0, 30.0, 10.0))
    fracture = ("Rib fracture", 1.0, 12.0, 9.0, 19.0)
    asked = _converted(
        tmp_path,
        {"R8": (seen, boxes), "R9": (seen, boxes), "R10": ({"Rib fracture"}, [fracture])},
    )
    assert isinstance(asked, dict)
    marked = asked["marked"]
    assert isinstance(marked, Record) and marked.answer == "Interstitial lung disease"
    (given,) = marked.regions or ()
    assert (given.label, given.role, given.reader) in {
        ("abnormality", "given", "R8"),
        ("abnormality", "given", "R9"),
    }
    assert (given.x_min, given.y_min, given.x_max, given.y_max) == (1, 1, 9, 9)


@pytest.mark.parametrize(
    ("axes", "corners"),
    [
        (["L", "F"], (1, 2, 11, 12)),
        (["R", "F"], (29, 2, 39, 12)),  # of 40 columns: 40 - 11, 40 - 1
        (["F", "R"], (8, 1, 18, 11)),  # of 20 rows, which become columns: 20 - 12, 20 - 2
    ],
)
def test_boxes_follow_a_film_that_is_stored_otherwise_than_it_is_read(
    tmp_path: Path, axes: list[str], corners: tuple[float, ...]
) -> None:
    readings = {name: ({"ILD"}, [("ILD", 1.0, 2.0, 11.0, 12.0)]) for name in ("R8", "R9", "R10")}
    asked = _converted(tmp_path, readings, PatientOrientation=axes, Modality="DX")
    boxes = asked["boxes"]
    assert isinstance(boxes, Record)
    (image,) = boxes.images or ()
    sideways = axes == ["F", "R"]
    assert (image.width, image.height) == ((20, 40) if sideways else (40, 20))
    assert (image.original_width, image.original_height) == (image.width, image.height)
    for region in boxes.regions or ():
        assert (region.x_min, region.y_min, region.x_max, region.y_max) == corners
    # The ramp is darkest at the first stored pixel.
    corner = {"L": (0, 0), "R": (0, -1), "F": (0, -1)}[axes[0]]
    assert image.pixels[corner] == image.pixels.min()


def test_no_majority_takes_one_question_and_not_the_other(tmp_path: Path) -> None:
    """Three readers who see three things agree on no finding; on the disease two do."""
    asked = _converted(
        tmp_path,
        {
            "R1": ({"Edema", "Pneumonia"}, [("Edema", 1, 1, 5, 5)]),
            "R2": ({"Consolidation", "Pneumonia"}, [("Consolidation", 1, 1, 5, 5)]),
            "R3": ({"Atelectasis"}, [("Atelectasis", 1, 1, 5, 5)]),
        },
    )
    assert isinstance(asked, dict)
    assert isinstance(asked["findings"], Skipped) and asked["findings"].reason == "no_majority"
    assert isinstance(asked["diseases"], Record) and asked["diseases"].answer == "Pneumonia"
    assert isinstance(asked["boxes"], Record)
    assert asked["boxes"].answer == "Edema, Consolidation, Atelectasis"
    assert isinstance(asked["marked"], Skipped) and asked["marked"].reason == "no_clear_box"


def test_labels_without_their_box_are_no_boxes(tmp_path: Path) -> None:
    """A lost row of the table of boxes does not make a smaller truth."""
    asked = _converted(
        tmp_path,
        {
            "R1": ({"Edema", "ILD"}, [("Edema", 1, 1, 5, 5)]),
            "R2": ({"Edema"}, [("Edema", 1, 1, 5, 5)]),
            "R3": ({"Edema"}, [("Edema", 1, 1, 5, 5)]),
        },
    )
    assert isinstance(asked, dict)
    assert isinstance(asked["boxes"], Skipped) and asked["boxes"].reason == "boxes_and_labels"


@pytest.mark.parametrize(
    ("right", "reason"),
    [(43.0, None), (1000.0, "box_outside"), (-1.0, "box_outside"), (1.0, "box_outside")],
)
def test_boxes_end_at_the_edge(tmp_path: Path, right: float, reason: str | None) -> None:
    """The film has 40 columns: what reaches over it by a little is cut, and what has no area there
    or is of another film is not asked."""
    said = ({"Edema"}, [("Edema", 1.0, 1.0, right, 5.0)])
    asked = _converted(tmp_path, dict.fromkeys(("R1", "R2", "R3"), said))
    assert isinstance(asked, dict)
    boxes = asked["boxes"]
    if reason:
        assert isinstance(boxes, Skipped) and boxes.reason == reason
    else:
        assert isinstance(boxes, Record)
        assert [region.x_max for region in boxes.regions or ()] == [40, 40, 40]
        assert boxes.notes[-1] == "3 boxes cut at the image's edge"


def test_monochrome1_is_shown_the_right_way_round(tmp_path: Path) -> None:
    """In MONOCHROME1 the lowest value is white."""
    readings: Reading = dict.fromkeys(("R1", "R2", "R3"), ({"No finding"}, []))
    asked = _converted(tmp_path, readings, PhotometricInterpretation="MONOCHROME1")
    assert isinstance(asked, dict) and isinstance(asked["findings"], Record)
    (image,) = asked["findings"].images or ()
    assert (image.pixels[0, 0], image.pixels[-1, -1], image.view) == (255, 0, "PA")
    assert isinstance(asked["boxes"], Skipped)


@pytest.mark.parametrize("readers", [("R1", "R2"), ("R1", "R2", "R3", "R4")])
def test_an_image_has_three_readers(tmp_path: Path, readers: tuple[str, ...]) -> None:
    """With a row lost or one too many, nobody knows the majority."""
    planned = _converted(tmp_path, dict.fromkeys(readers, ({"No finding"}, [])))
    assert isinstance(planned, Refused)
    assert "3 are expected" in planned.error.what


def _plan(raw: Path, train: dict[str, set[str]], test: dict[str, set[str]]) -> dict[str, Unit]:
    """What is planned for images with the given columns set, listed against the alphabet."""
    readers = ("R8", "R9", "R10")
    rows = [
        {"image_id": key, "rad_id": reader} | {raw: int(raw in said) for raw in COLUMNS}
        for reader in readers
        for key, said in reversed(train.items())
    ]
    write_csv(raw / "annotations/image_labels_train.csv", rows)
    renamed = {raw: raw.replace("diseases", "disease") for raw in COLUMNS}
    rows = [
        {"image_id": key} | {renamed[raw]: int(raw in said) for raw in COLUMNS}
        for key, said in reversed(test.items())
    ]
    write_csv(raw / "annotations/image_labels_test.csv", rows)
    nothing = dict.fromkeys(("image_id", "rad_id", "class_name", *CORNERS), "z")
    nothing |= {"class_name": "No finding"}
    for part, keys in (("train", train), ("test", test)):
        key = {"image_id": next(iter(keys))}
        write_csv(raw / f"annotations/annotations_{part}.csv", [nothing | key])
        for name in keys:
            write_text(raw / part / f"{name}.dicom", "no pixels are read while planning")
    planned = list(SOURCE.plan(Job(SOURCE.card, open_raw(raw))))
    return {one.key: one for one in planned if isinstance(one, Unit)}


def test_labels_meet_their_image_by_name_in_both_parts(tmp_path: Path) -> None:
    """Three rows an image, in another order than the folder: no position pairs them."""
    train = {"a": {"Edema"}, "b": {"Emphysema"}, "c": {"ILD"}}
    test = {"d": {"Edema"}, "e": {"Calcification"}, "f": {"Atelectasis"}}
    units = _plan(tmp_path, train, test)
    assert units.keys() == train.keys() | test.keys()
    for key, said in (train | test).items():
        votes = units[key].facts["votes"]["findings"]
        readers = 3 if key in train else 1
        options = {FINDINGS.labels[raw] for raw in said}
        assert {label for label, count in votes.items() if count} == options
        assert set(votes.values()) == {0, readers}
        assert units[key].files == (f"{'train' if key in train else 'test'}/{key}.dicom",)


def test_every_column_is_an_answer_of_its_own(tmp_path: Path) -> None:
    """No column is left out, and no two are one: tuberculosis is asked for, mediastinal shift is no
    large heart."""
    images = {f"i{number:02}": {raw} for number, raw in enumerate(COLUMNS)}
    units = _plan(tmp_path, images, {"t": {"No finding"}})
    answers = {}
    for key, (raw,) in images.items():
        votes = units[key].facts["votes"]
        task = "findings" if raw in FINDINGS.labels else "diseases"
        answers[raw] = [label for label, count in votes[task].items() if count]
    assert {len(labels) for labels in answers.values()} == {1}
    # "Other disease" is how the test part spells "Other diseases".
    assert answers.pop("Other disease") == answers["Other diseases"]
    assert len({labels[0] for labels in answers.values()}) == len(answers) == 28
    assert answers["Tuberculosis"] == ["Tuberculosis"]
    assert answers["Enlarged PA"] == ["Enlarged pulmonary artery"]


@pytest.mark.parametrize(
    ("corners", "what"),
    [
        ((0.1, 0.1, 0.6, 0.5), "a box of Edema is less than a pixel"),
        ((9.0, 1.0, 4.0, 5.0), "a box of Edema ends before it begins"),
        ((500.0, 1.0, 510.0, 5.0), "a box of Edema lies outside of the image"),
    ],
)
def test_why_a_box_is_none(
    tmp_path: Path, corners: tuple[float, float, float, float], what: str
) -> None:
    """Shares of the image were drawn as boxes of half a pixel."""
    said = ({"Edema"}, [("Edema", *corners)])
    asked = _converted(tmp_path, dict.fromkeys(("R1", "R2", "R3"), said))
    assert isinstance(asked, dict)
    assert isinstance(asked["boxes"], Skipped) and asked["boxes"].message == what


def test_a_box_around_nothing_is_a_contradiction(tmp_path: Path) -> None:
    said = ({"No finding"}, [("No finding", 1.0, 1.0, 9.0, 9.0)])
    refused = _converted(tmp_path, dict.fromkeys(("R1", "R2", "R3"), said))
    assert isinstance(refused, Refused) and refused.error.what == "No finding, and a box"
