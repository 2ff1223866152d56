"""A DICOM folder as units: series by identity, rows by key, splits by patient, true reasons."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from pydicom.dataset import FileDataset

from qoqdata.pipeline.build import build
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.pipeline.progress import Event, Warned
from tests.pipeline.conftest import SALT
from tests.readers.dicom_objects import change, colour, image, save

BASE = {
    "slug": "scans",
    "name": "Scans",
    "domain": "ct",
    "question": "Which technique?",
    "options": ["CT", "MR", "US", "DX", "SM"],
    "storage": "native",
}
SERIES = BASE | {"unit": "series", "slices": 3, "label_header": "modality"}


def slices(count: int, value: int, **keywords: Any) -> list[FileDataset]:
    """Axial CT slices 2 mm apart, all pixels `value` HU, of the patient P1 by default."""
    out = []
    for k in range(count):
        dataset = image(np.full((8, 8), value, "<i2"))
        change(
            dataset,
            PatientID="P1",
            FrameOfReferenceUID="1.9",
            ImagePositionPatient=[0.0, 0.0, 2.0 * k],
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            PixelSpacing=[1.0, 1.0],
            SliceThickness=2,
            RescaleSlope=1,
            RescaleIntercept=0,
            WindowCenter=0,
            WindowWidth=1000,
        )
        dataset.SOPInstanceUID = f"1.2.{value + 2000}.{k}"
        out.append(change(dataset, **keywords))
    return out


def write(folder: Path, datasets: list[FileDataset], name: str = "{}.dcm") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, dataset in enumerate(datasets):
        save(dataset, folder / name.format(number))


Built = tuple[list[dict], list[dict], list[str]]
Run = Callable[..., Built]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Build the folder `raw`: records, what was left out, and what was warned of."""

    def build_it(mapping: dict, **tables: str) -> Built:
        for name, text in tables.items():
            (tmp_path / "raw" / f"{name}.csv").write_text(text)
        events: list[Event] = []
        request = SourceRequest(source="dicom_folder", raw=tmp_path / "raw", mapping=mapping)
        out = tmp_path / "set"
        setting = BuildSetting(SALT, workers=0, listen=events.append)
        build(BuildConfig(sources=(request,)), out, setting)
        data = sorted(out.glob("data/*/*.parquet"))
        left_out = sorted(out.glob("quarantine/*.parquet"))
        return (
            [row for path in data for row in pl.read_parquet(path).to_dicts()],
            [row for path in left_out for row in pl.read_parquet(path).to_dicts()],
            [event.message for event in events if isinstance(event, Warned)],
        )

    return build_it


def stored(record: dict) -> set[int]:
    """All grey levels of a record."""
    import cv2

    levels: set[int] = set()
    for one in record["images"]:
        levels |= set(cv2.imdecode(np.frombuffer(one["bytes"], np.uint8), 0).ravel().tolist())
    return levels


def test_two_patients_under_one_uid_are_two_records(tmp_path: Path, run: Run) -> None:
    write(tmp_path / "raw", slices(4, -200), "a{}.dcm")
    second = slices(4, 200, PatientID="P2")
    for k, dataset in enumerate(second):
        dataset.ImagePositionPatient = [0.0, 0.0, 2.0 * k + 1]
    write(tmp_path / "raw", second, "b{}.dcm")
    records, left_out, _ = run(SERIES | {"windows": [[0, 1000]]})
    assert left_out == []
    assert len({record["study"] for record in records}) == 2
    assert len({record["patient"] for record in records}) == 2
    # No record holds the values of both: one grey level each, those of -200 and 200 HU.
    assert sorted(len(stored(record)) for record in records) == [1, 1]
    assert len(set.union(*map(stored, records))) == 2
    assert all("differ in patient" in " ".join(r["provenance"]["notes"]) for r in records)


def test_two_exams_under_one_uid_stay_in_one_split(tmp_path: Path, run: Run) -> None:
    write(tmp_path / "raw", slices(3, -200), "a{}.dcm")
    write(tmp_path / "raw", slices(3, 200, StudyInstanceUID="1.7"), "b{}.dcm")
    records, left_out, _ = run(SERIES)
    assert (len(records), left_out) == (2, [])
    assert len({record["split"] for record in records}) == 1


def test_files_without_a_series_are_one_volume(tmp_path: Path, run: Run) -> None:
    write(tmp_path / "raw" / "ct", slices(12, 0, SeriesInstanceUID=None))
    (record,), left_out, _ = run(SERIES)
    assert (len(record["provenance"]["raw"]), left_out) == (12, [])
    assert any("no series instance UID" in note for note in record["provenance"]["notes"])


def test_what_is_no_volume_is_filtered_by_file(tmp_path: Path, run: Run) -> None:
    raw = tmp_path / "raw"
    write(raw, slices(3, 0), "ct{}.dcm")
    write(raw, slices(1, 0, Modality="US", ImagePositionPatient=None), "us.dcm")
    write(raw, slices(1, 0, Modality="DX", ImageOrientationPatient=None), "dx.dcm")
    slide = colour(np.zeros((4, 4, 3), np.uint8), Modality="SM")
    save(slide, raw / "slide.dcm")
    scout = slices(1, 0, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    write(raw, scout, "scout.dcm")
    unmarked = slices(1, 0, ImageOrientationPatient=[1, 0, 0, 0, 0, -1])
    write(raw, unmarked, "unmarked.dcm")
    records, left_out, _ = run(SERIES)
    assert [len(record["provenance"]["raw"]) for record in records] == [3]
    names = ["dx.dcm", "scout.dcm", "slide.dcm", "unmarked.dcm", "us.dcm"]
    assert [row["unit"] for row in left_out] == names
    assert {(row["outcome"], row["reason"]) for row in left_out} == {("filtered", "not_a_volume")}
    assert all("`unit: file`" in row["message"] for row in left_out)


def test_a_swapped_slice_is_refused_by_its_name_and_leaves_a_gap(tmp_path: Path, run: Run) -> None:
    swapped = slices(5, 0)
    swapped[2].PatientID = "P2"
    write(tmp_path / "raw", swapped)
    (record,), (refused,), _ = run(SERIES)
    assert len(record["provenance"]["raw"]) == 4
    assert any("1 gaps between slices" in note for note in record["provenance"]["notes"])
    assert (refused["unit"], refused["reason"]) == ("2.dcm", "bad_input")
    assert "differs from the others of its series in patient" in refused["message"]


def test_different_slices_at_one_place_are_refused_by_file(tmp_path: Path, run: Run) -> None:
    other = slices(3, 100)
    write(tmp_path / "raw", [*slices(3, 0), *other])
    records, (refused,), _ = run(SERIES)
    assert records == []
    said = "3.dcm: different slices lie at one place, 0 mm along the normal: this one and 0.dcm"
    assert refused["message"].startswith(said)


TABLE = BASE | {"unit": "series", "key": "series_instance_uid"}
COLUMNS = {"file": "labels.csv", "key": "uid", "labels": "label"}


def two_patients(raw: Path) -> None:
    write(raw, slices(3, -200, SeriesInstanceUID="1.5"), "a{}.dcm")
    write(raw, slices(3, 200, SeriesInstanceUID="1.5", PatientID="P2"), "b{}.dcm")


def test_a_row_is_not_given_to_two_patients(tmp_path: Path, run: Run) -> None:
    two_patients(tmp_path / "raw")
    records, refused, _ = run(TABLE | {"table": COLUMNS}, labels="uid,label\n1.5,CT\n")
    assert records == []
    assert [row["reason"] for row in refused] == ["duplicate_key"] * 2
    assert all("a0.dcm and b0.dcm differ in patient" in row["message"] for row in refused)
    assert {row["raw"][0] for row in refused} == {"a0.dcm", "b0.dcm"}


def test_the_patient_column_tells_whose_row_it_is(tmp_path: Path, run: Run) -> None:
    two_patients(tmp_path / "raw")
    mapping = TABLE | {"table": COLUMNS | {"patient": "who"}}
    both = "uid,label,who\n1.5,MR,P2\n1.5,CT,P1\n"
    records, refused, _ = run(mapping, labels=both)
    assert refused == []
    # P1 was written at -200 HU, which is the darker.
    answers = {record["answer"]: max(stored(record)) for record in records}
    assert len(answers) == 2
    records, (refused_one,), _ = run(mapping, labels="uid,label,who\n1.5,CT,P1\n")
    assert [record["answer"] for record in records] == ["CT"]
    assert (refused_one["reason"], refused_one["raw"][0]) == ("missing_key", "b0.dcm")


def test_nor_is_it_in_file_mode_or_by_study(tmp_path: Path, run: Run) -> None:
    two_patients(tmp_path / "raw")
    for key, value in (("series_instance_uid", "1.5"), ("study_instance_uid", None)):
        uid = value or slices(1, 0)[0].StudyInstanceUID
        mapping = BASE | {"unit": "file", "key": key, "table": COLUMNS}
        records, refused, _ = run(mapping, labels=f"uid,label\n{uid},CT\n")
        assert records == []
        assert [row["reason"] for row in refused] == ["duplicate_key"] * 6


def test_an_object_uid_of_several_files_names_none_of_them(tmp_path: Path, run: Run) -> None:
    images = slices(3, 0)
    images[1].SOPInstanceUID = images[0].SOPInstanceUID
    write(tmp_path / "raw", images)
    uids = sorted({str(one.SOPInstanceUID) for one in images})
    mapping = BASE | {"key": "sop_instance_uid", "table": COLUMNS}
    table = "uid,label\n" + "".join(f"{uid},CT\n" for uid in uids)
    records, refused, _ = run(mapping, labels=table)
    assert len(records) == 1
    assert [row["unit"] for row in refused] == ["0.dcm", "1.dcm"]


def test_a_row_of_what_is_no_volume_is_not_called_missing(tmp_path: Path, run: Run) -> None:
    write(tmp_path / "raw", slices(1, 0, Modality="US", ImagePositionPatient=None), "us.dcm")
    write(tmp_path / "raw", slices(2, 0, SeriesInstanceUID="1.5"), "ct{}.dcm")
    uid = slices(1, 0)[0].SeriesInstanceUID
    table = f"uid,label\n1.5,CT\n{uid},US\n1.6,CT\n"
    records, left_out, _ = run(TABLE | {"table": COLUMNS}, labels=table)
    assert len(records) == 1
    assert [(row["unit"], row["reason"]) for row in left_out] == [
        ("1.6", "missing_file"),
        ("us.dcm", "not_a_volume"),
    ]


def test_parts_of_one_exam_share_its_row(tmp_path: Path, run: Run) -> None:
    write(tmp_path / "raw", slices(3, 0, EchoTime=30, SeriesInstanceUID="1.5"), "a{}.dcm")
    write(tmp_path / "raw", slices(3, 100, EchoTime=80, SeriesInstanceUID="1.5"), "b{}.dcm")
    records, left_out, _ = run(TABLE | {"table": COLUMNS}, labels="uid,label\n1.5,CT\n")
    assert (len(records), left_out) == (2, [])
    assert all("told apart by echo time" in str(r["provenance"]["notes"]) for r in records)


def test_what_names_no_patient_stays_with_its_study(tmp_path: Path, run: Run) -> None:
    """File mode: 20 slices of one series without patient would scatter over three splits."""
    write(tmp_path / "raw", slices(20, 0, PatientID=None, StudyInstanceUID=None))
    records, _, warned = run(BASE | {"label_header": "modality"})
    assert len(records) == 20
    assert len({record["split"] for record in records}) == 1
    assert warned == []


def test_a_file_without_patient_follows_the_patient_of_its_study(tmp_path: Path, run: Run) -> None:
    raw = tmp_path / "raw"
    for k in range(12):
        study = {"StudyInstanceUID": f"1.6.{k}", "PatientID": f"P{k}"}
        write(raw, slices(1, 0, **study), f"{k}a.dcm")
        write(raw, slices(1, 0, **study | {"PatientID": None}), f"{k}b.dcm")
    records, _, _ = run(BASE | {"label_header": "modality"})
    by_split: dict[str, list[int]] = {}
    for record in records:
        by_split.setdefault(record["split"], []).append(record["patient"] is None)
    # Of each pair one names its patient: half of every split's records do.
    assert len(records) == 24
    assert all(sum(some) * 2 == len(some) for some in by_split.values())
    assert len(by_split) > 1


def test_a_build_says_that_splits_cannot_be_kept_apart(tmp_path: Path, run: Run) -> None:
    nameless = dict.fromkeys(
        ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
    )
    write(tmp_path / "raw", slices(4, 0, **nameless))
    _, _, warned = run(BASE | {"label_header": "modality"})
    (message,) = warned
    said = "4 of 4 units name no patient, study or group: their splits cannot be kept apart"
    assert message.startswith(said)
    assert "name the table's patient or group column" in message
