"""MIMIC-CXR: four states, whose labels they are, several films, and what a report gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qoqdata.errors import BadTable, DuplicateKey, MissingFile
from qoqdata.records.content import Record
from qoqdata.simulation import write_csv, write_dicom, write_jpeg, write_text
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Job, Planned, Refused, Skipped, Unit
from qoqdata.sources.rawtree import open_raw

SOURCE = find_source("mimic_cxr")
COLUMNS = tuple(SOURCE.card.tasks["findings"].labels)
OPTIONS = {name: option.default for name, option in SOURCE.card.options.items()}
REPORT = """                                 FINAL REPORT
 INDICATION:  ___F with cough.

 FINDINGS:

 There is no edema.

 IMPRESSION:

 1.  Mild cardiomegaly.
 2.  No edema: see above.
"""
#: View of each film; their names are f0, f1 and so on.
VIEWS = ("LATERAL", "AP")


def _write(raw: Path, split: str, program: dict[str, str], radiologist: dict[str, str]) -> None:
    """Study 5 of patient 10, with two films and a report."""
    ids: dict[str, Any] = {"subject_id": 10, "study_id": 5}
    films: list[dict[str, Any]] = [{"dicom_id": f"f{n}"} | ids for n in range(len(VIEWS))]
    table = [film | {"split": split} for film in films]
    write_csv(raw / "mimic-cxr-2.0.0-split.csv.gz", table)
    table = [film | {"ViewPosition": view} for film, view in zip(films, VIEWS, strict=True)]
    write_csv(raw / "mimic-cxr-2.0.0-metadata.csv.gz", table)
    for name in ("chexpert", "negbio"):
        cells: dict[str, Any] = {column: program.get(column, "") for column in COLUMNS}
        write_csv(raw / f"mimic-cxr-2.0.0-{name}.csv.gz", [cells | ids])
    renamed = {"Lung Opacity": "Airspace Opacity"}
    cells = {renamed.get(column, column): radiologist.get(column, "") for column in COLUMNS}
    write_csv(raw / "mimic-cxr-2.1.0-test-set-labeled.csv", [cells | {"study_id": 5}])
    for number in range(len(VIEWS)):
        grey = np.full((8, 8), 60 * number, np.uint8)
        write_jpeg(raw / f"files/p10/p10/s5/f{number}.jpg", grey)
    write_text(raw / "files/p10/p10/s5.txt", REPORT)


def _planned(raw: Path, **options: Any) -> tuple[list[Planned], Job]:
    job = Job(SOURCE.card, open_raw(raw), OPTIONS | options)
    return list(SOURCE.plan(job)), job


def _asked(raw: Path, **options: Any) -> dict[str, Record | Skipped]:
    planned, job = _planned(raw, **options)
    (unit,) = planned
    assert isinstance(unit, Unit) and unit.patient == "10"
    return {one.task: one for one in SOURCE.convert(unit, job)}


def test_four_states_stay_apart(tmp_path: Path) -> None:
    """1, 0 and -1 are labels, absent and uncertain; a blank is in none of them."""
    states = {"Cardiomegaly": "1.0", "Edema": "0.0", "Lung Opacity": "-1.0"}
    _write(tmp_path, "train", states, {})
    asked = _asked(tmp_path)
    findings = asked["findings"]
    assert isinstance(findings, Record)
    assert findings.labels == ("Cardiomegaly",)
    assert findings.absent == ("Edema",)
    assert findings.uncertain == ("Lung opacity",)
    assert findings.notes[-1] == "labels by chexpert"
    presence = asked["presence"]
    assert isinstance(presence, Record)
    answers = {"Cardiomegaly": "Present", "Edema": "Absent", "Lung opacity": "Uncertain"}
    assert presence.answer == answers[str(presence.item)]
    assert all(str(presence.item).lower() in form for form in presence.forms)


def test_films_come_frontal_first_and_not_too_many(tmp_path: Path) -> None:
    """The AP film stands before the lateral one, whatever their names."""
    _write(tmp_path, "train", {"Edema": "1.0"}, {})
    findings = _asked(tmp_path)["findings"]
    assert isinstance(findings, Record) and findings.images is not None
    assert [(image.view, image.pixels[0, 0]) for image in findings.images] == [
        ("AP", 60),
        ("LATERAL", 0),
    ]
    one = _asked(tmp_path, most_images=1)["findings"]
    assert isinstance(one, Record) and [image.view for image in one.images or ()] == ["AP"]
    assert "1 of 2 films of the study" in one.notes


def test_a_study_without_a_present_finding_is_still_asked_about(tmp_path: Path) -> None:
    """It has nothing to choose, but something to deny."""
    _write(tmp_path, "train", {"Edema": "0.0"}, {})
    asked = _asked(tmp_path)
    assert isinstance(asked["findings"], Skipped)
    assert asked["findings"].reason == "none_present"
    assert isinstance(asked["presence"], Record) and asked["presence"].answer == "Absent"


def test_the_impression_is_an_answer_and_the_indication_its_context(tmp_path: Path) -> None:
    """FINDINGS go nowhere: the labels were made from them."""
    _write(tmp_path, "train", {"Edema": "0.0"}, {})
    impression = _asked(tmp_path)["impression"]
    assert isinstance(impression, Record)
    assert impression.answer == "1. Mild cardiomegaly. 2. No edema: see above."
    assert impression.context == "Indication: ___F with cough."


def test_technique_and_comparison_are_context_too(tmp_path: Path) -> None:
    """In a fixed order, whatever the report's; FINDINGS stay out."""
    _write(tmp_path, "train", {"Edema": "0.0"}, {})
    parts = (" COMPARISON: ___.", " FINDINGS: Edema.", " HISTORY: Fall.", " IMPRESSION: Edema.")
    write_text(tmp_path / "files/p10/p10/s5.txt", "\n".join(parts))
    impression = _asked(tmp_path)["impression"]
    assert isinstance(impression, Record)
    assert impression.context == "History: Fall.\nComparison: ___."


def test_the_view_is_asked_of_one_film(tmp_path: Path) -> None:
    """The study's number picks it; the answer is that film's projection, which it does not tell."""
    _write(tmp_path, "train", {}, {})
    view = _asked(tmp_path)["view"]
    assert isinstance(view, Record) and view.images is not None
    (image,) = view.images
    shown = {60: "Antero-posterior", 0: "Lateral"}
    assert image.view is None and view.answer == shown[int(image.pixels[0, 0])]


def test_the_radiologist_is_never_replaced(tmp_path: Path) -> None:
    """In the test part the program's label is asked for on request only, as another task."""
    _write(tmp_path, "test", {"Edema": "1.0"}, {"Lung Opacity": "1.0"})
    asked = _asked(tmp_path)
    reviewed = asked["findings_reviewed"]
    assert "findings" not in asked
    assert isinstance(reviewed, Record) and reviewed.labels == ("Lung opacity",)
    assert reviewed.notes[-1] == "labels by a radiologist"
    program = _asked(tmp_path, test_labels="program")
    assert "findings_reviewed" not in program
    assert isinstance(program["findings"], Record) and program["findings"].labels == ("Edema",)
    (tmp_path / "mimic-cxr-2.1.0-test-set-labeled.csv").unlink()
    with pytest.raises(MissingFile):
        _planned(tmp_path)


def test_a_bad_label_leaves_the_report(tmp_path: Path) -> None:
    """What a cell of 2 means is not guessed; the impression does not depend on it."""
    _write(tmp_path, "train", {"Edema": "2.0", "Fracture": "1.0"}, {})
    asked = _asked(tmp_path)
    reasons = {task: one.reason for task, one in asked.items() if isinstance(one, Skipped)}
    assert reasons == {"findings": "bad_table", "presence": "bad_table"}
    assert isinstance(asked["impression"], Record)


def test_tables_that_name_different_films_refuse_the_study(tmp_path: Path) -> None:
    """A lost row must not turn a study of two films into one of a single film."""
    _write(tmp_path, "train", {"Edema": "1.0"}, {})
    path = tmp_path / "mimic-cxr-2.0.0-metadata.csv.gz"
    rows = [{"dicom_id": "f0", "study_id": 5, "ViewPosition": "LATERAL"}]
    write_csv(path, rows)
    (refused,), _ = _planned(tmp_path)
    assert isinstance(refused, Refused) and "names other images" in refused.error.what


def test_a_table_without_a_label_is_refused(tmp_path: Path) -> None:
    """Without its column a finding would look unmentioned everywhere."""
    _write(tmp_path, "train", {"Edema": "1.0"}, {})
    row: dict[str, Any] = {column: "1.0" for column in COLUMNS if column != "Edema"}
    write_csv(tmp_path / "mimic-cxr-2.0.0-chexpert.csv.gz", [row | {"study_id": 5}])
    with pytest.raises(BadTable, match="no column for 'Edema'"):
        _planned(tmp_path)


def test_dicom_films_and_reports_elsewhere(tmp_path: Path) -> None:
    """The other project's images, and reports in a further root."""
    _write(tmp_path / "raw", "train", {"Edema": "1.0"}, {})
    (tmp_path / "raw/files/p10/p10/s5.txt").unlink()
    write_text(tmp_path / "texts/files/p10/p10/s5.txt", REPORT)
    for number in range(len(VIEWS)):
        ramp = np.arange(64, dtype=np.uint16).reshape(8, 8)
        write_dicom(tmp_path / f"raw/files/p10/p10/s5/f{number}.dcm", ramp)
    raw = open_raw(tmp_path / "raw", {"reports": tmp_path / "texts"})
    job = Job(SOURCE.card, raw, OPTIONS | {"images": "dicom"})
    (unit,) = SOURCE.plan(job)
    assert isinstance(unit, Unit)
    assert unit.files[-1] == "reports/files/p10/p10/s5.txt"
    asked = {one.task: one for one in SOURCE.convert(unit, job)}
    assert isinstance(asked["impression"], Record) and isinstance(asked["findings"], Record)
    assert [image.view for image in asked["findings"].images or ()] == ["AP", "LATERAL"]


@pytest.mark.parametrize("twice", ["f1.jpg", "s5.txt"])
def test_two_files_of_one_name_are_refused(tmp_path: Path, twice: str) -> None:
    """Which of them is the study's is not known; the last one once took the other's place."""
    _write(tmp_path, "train", {"Edema": "1.0"}, {})
    copy = tmp_path / "again" / twice
    copy.parent.mkdir()
    copy.write_bytes(b"of another patient")
    (refused,), _ = _planned(tmp_path)
    assert isinstance(refused, Refused) and isinstance(refused.error, DuplicateKey)
    assert refused.key == "5" and f"again/{twice}" in refused.files and len(refused.files) == 4


@pytest.mark.parametrize(
    ("part", "split"), [("train", "train"), ("validate", "validation"), ("test", "test")]
)
def test_the_validation_part_is_not_the_test_part(tmp_path: Path, part: str, split: str) -> None:
    _write(tmp_path, part, {"Edema": "1.0"}, {"Edema": "1.0"})
    (unit,), _ = _planned(tmp_path)
    assert isinstance(unit, Unit) and unit.split == split
