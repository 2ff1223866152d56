"""What makes a series: identity beyond the UID, files without one, and stacks at one place."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import FileDataset

from qoqdata.readers.dicom import DicomHeader
from qoqdata.readers.dicom.header import header
from qoqdata.readers.dicom.series_identity import SeriesFiles, find_series
from qoqdata.readers.dicom.slices import no_slice
from tests.readers.dicom_objects import change, image, item

AXIAL = [1, 0, 0, 0, 1, 0]
CORONAL = [1, 0, 0, 0, 0, -1]
UID = "1.2.3"


def one(z: float, **keywords: object) -> FileDataset:
    """An axial slice of the patient P1 at height `z`; UIDs of its own, a series UID of all."""
    dataset = image(np.zeros((2, 3), "<i2"))
    change(
        dataset,
        PatientID="P1",
        StudyInstanceUID="1.2",
        SeriesInstanceUID=UID,
        FrameOfReferenceUID="1.9",
        ImagePositionPatient=[0.0, 0.0, z],
        ImageOrientationPatient=AXIAL,
        PixelSpacing=[0.5, 0.5],
        SliceThickness=2,
    )
    dataset.SOPInstanceUID = f"1.2.3.{crc32(repr((z, keywords)).encode())}"
    return change(dataset, **keywords)


def stack(count: int, start: float = 0.0, **keywords: object) -> list[FileDataset]:
    return [one(start + 2.0 * k, **keywords) for k in range(count)]


def named(prefix: str, datasets: Iterable[FileDataset]) -> dict[str, DicomHeader]:
    return {f"{prefix}{k}.dcm": header(dataset) for k, dataset in enumerate(datasets)}


def found(headers: dict[str, DicomHeader]) -> dict[str, SeriesFiles]:
    return {series.key: series for series in find_series(headers)}


def test_a_plain_series_is_keyed_by_its_uid_and_has_nothing_to_note() -> None:
    headers = named("a/", stack(4))
    assert find_series(headers) == (SeriesFiles(UID, tuple(headers)),)


@pytest.mark.parametrize(
    ("keywords", "fact"),
    [
        ({"PatientID": "P2"}, "patient"),
        ({"StudyInstanceUID": "1.7"}, "study"),
        ({"FrameOfReferenceUID": "1.8"}, "frame of reference"),
        ({"Modality": "MR"}, "modality"),
        ({"Rows": 3, "Columns": 2}, "size"),
        ({"ImageOrientationPatient": CORONAL}, "orientation"),
        ({"PixelSpacing": [0.7, 0.7]}, "spacing"),
        ({"PatientSex": "F"}, "sex"),
    ],
)
def test_one_uid_over_two_stacks_is_two_series(keywords: dict, fact: str) -> None:
    """Their slices alternate, as those of two patients did in one record."""
    sex = {"PatientSex": "M"} if fact == "sex" else {}
    first = named("a", stack(3, **sex))
    second = named("b", stack(3, start=1.0, **keywords))
    series = found(first | second)
    assert sorted(one.files for one in series.values()) == [tuple(first), tuple(second)]
    assert all(key.startswith(f"{UID}/{fact.replace(' ', '_')}=") for key in series)
    note = f"other files of its series differ in {fact}: not part of it"
    assert {one.notes for one in series.values()} == {(note,)}


def test_a_patient_is_not_named_in_keys_or_notes() -> None:
    series = find_series(named("a", stack(2)) | named("b", stack(2, PatientID="Smith-42")))
    assert len(series) == 2
    assert "Smith" not in str([(one.key, one.notes) for one in series])


@settings(max_examples=15)
@given(st.randoms(use_true_random=False))
def test_the_order_of_listing_changes_nothing(dice: random.Random) -> None:
    headers = (
        named("a", stack(3))
        | named("b", stack(3, 1.0, PatientID="P2"))
        | named("c", stack(3, EchoTime=30, SeriesInstanceUID="1.5"))
        | named("d", stack(3, EchoTime=80, SeriesInstanceUID="1.5"))
        | named("e", stack(2, 40.0, SeriesInstanceUID=None, FrameOfReferenceUID="1.77"))
    )
    paths = list(headers)
    dice.shuffle(paths)
    shuffled = {path: headers[path] for path in paths}
    assert find_series(shuffled) == find_series(headers)
    assert sorted(path for one in find_series(shuffled) for path in one.files) == sorted(headers)


def test_a_patient_that_one_slice_does_not_name_is_the_others() -> None:
    headers = named("a", [*stack(3), one(6.0, PatientID=None)])
    (series,) = find_series(headers)
    assert series.key == UID
    assert series.notes == ("1 of 4 files name no patient: taken for that of the others",)


def test_of_two_patients_a_slice_that_names_none_is_nobodys() -> None:
    nobody = named("n", [one(9.0, PatientID=None)])
    series = find_series(named("a", stack(3)) | named("b", stack(3, PatientID="P2")) | nobody)
    (fault,) = [one.fault for one in series if one.fault]
    assert fault.where == "n0.dcm"
    assert "says no patient" in fault.what
    assert [one.files for one in series if one.fault] == [tuple(nobody)]


def test_a_swapped_slice_of_another_patient_is_a_stray() -> None:
    slices = stack(5)
    slices[2] = one(4.0, PatientID="P2")
    series = {one.stray: one for one in find_series(named("a", slices))}
    assert series[False].key == UID
    assert len(series[False].files) == 4
    assert (series[True].files, series[True].apart) == (("a2.dcm",), ("patient",))


def test_frames_of_reference_of_their_own_in_every_file_mean_nothing() -> None:
    (series,) = find_series(
        named("a", [one(2.0 * k, FrameOfReferenceUID=f"1.9.{k}") for k in range(4)])
    )
    assert series.notes == ("every file has a frame of reference of its own: not used",)


@pytest.mark.parametrize(
    ("keyword", "values", "labels"),
    [
        ("EchoTime", (30, 80), ("echo_time=30", "echo_time=80")),
        ("AcquisitionNumber", (1, 2), ("acquisition_number=1", "acquisition_number=2")),
        ("TemporalPositionIdentifier", (1, 2), ("temporal_position=1", "temporal_position=2")),
        ("DiffusionBValue", (0.0, 1000.0), ("b-value=0", "b-value=1000")),
        ("TriggerTime", (12.5, 500), ("trigger_time=12.5", "trigger_time=500")),
        (
            "ImageType",
            (["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "P"]),
            ("image_type=ORIGINAL,PRIMARY,M", "image_type=ORIGINAL,PRIMARY,P"),
        ),
    ],
)
def test_stacks_at_one_place_are_told_apart_by_a_fact(
    keyword: str, values: tuple, labels: tuple[str, str]
) -> None:
    first, second = (named(f"{k}/", stack(3, **{keyword: value})) for k, value in enumerate(values))
    series = found(first | second)
    assert {key: one.files for key, one in series.items()} == {
        f"{UID}/{labels[0]}": tuple(first),
        f"{UID}/{labels[1]}": tuple(second),
    }
    name = labels[0].partition("=")[0].replace("_", " ")
    note = f"2 stacks lie at one place: told apart by {name}"
    assert {one.notes for one in series.values()} == {(note,)}


def test_directions_at_one_b_value_need_two_facts() -> None:
    slices = stack(2, DiffusionBValue=0.0)
    for direction in ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0]):
        for b in (500.0, 1000.0):
            slices += stack(2, DiffusionBValue=b, DiffusionGradientOrientation=direction)
    series = find_series(named("a", slices))
    assert [len(one.files) for one in series] == [2] * 5
    assert {one.apart for one in series} == {("b-value", "gradient")}


def test_contrasts_that_lie_beside_each_other_are_told() -> None:
    (series,) = find_series(named("a", [*stack(3, EchoTime=30), *stack(3, 6.0, EchoTime=80)]))
    assert series.notes == ("the slices differ in echo time, and lie at different places",)


def test_overlapping_runs_are_told_apart_by_their_acquisition() -> None:
    chest, abdomen = stack(5, AcquisitionNumber=1), stack(4, 6.0, AcquisitionNumber=2)
    series = find_series(named("a", [*chest, *abdomen]))
    assert [len(one.files) for one in series] == [5, 4]


def test_acquisitions_of_a_slice_each_are_one_stack() -> None:
    """Step and shoot: the number rises with the table, and nothing coincides."""
    slices = [one(2.0 * k, AcquisitionNumber=k) for k in range(4)]
    (series,) = find_series(named("a", slices))
    assert (series.key, len(series.files)) == (UID, 4)
    # Nor does one slice that was taken twice make a stack of each number.
    (series,) = find_series(named("a", [*slices, one(2.0, AcquisitionNumber=9)]))
    assert len(series.files) == 5


def test_copies_of_one_object_are_no_stacks() -> None:
    slices = stack(3)
    again = [one(2.0 * k, AcquisitionNumber=2) for k in range(3)]
    for copy, original in zip(again, slices, strict=True):
        copy.SOPInstanceUID = original.SOPInstanceUID
    (series,) = find_series(named("a/", slices) | named("b/", again))
    assert len(series.files) == 6


def test_sop_uids_that_repeat_everywhere_prove_no_copy() -> None:
    slices = [*stack(3, EchoTime=30), *stack(3, EchoTime=80)]
    for dataset in slices:
        dataset.SOPInstanceUID = "1.2.3.4"
    assert [len(one.files) for one in find_series(named("a", slices))] == [3, 3]


def test_files_without_a_series_are_kept_together() -> None:
    headers = named("ct/", stack(20, SeriesInstanceUID=None))
    (series,) = find_series(headers)
    assert series.files == tuple(sorted(headers))
    assert series.key == "frame_of_reference=1.9"
    said = "frame of reference, folder, geometry, position"
    assert series.notes == (f"no series instance UID: kept together by {said}",)


def test_without_any_uid_a_folder_is_a_series() -> None:
    bare = {
        "SeriesInstanceUID": None,
        "StudyInstanceUID": None,
        "FrameOfReferenceUID": None,
        "PatientID": None,
    }
    first, second = named("a/", stack(3, **bare)), named("b/", stack(3, 1.0, **bare))
    series = found(first | second)
    assert {key: one.files for key, one in series.items()} == {
        "folder=a": tuple(first),
        "folder=b": tuple(second),
    }


def test_folders_tell_series_of_one_frame_of_reference_apart() -> None:
    unnamed = {"SeriesInstanceUID": None}
    series = found(named("a/", stack(3, **unnamed)) | named("b/", stack(3, 6.0, **unnamed)))
    assert [len(one.files) for one in series.values()] == [3, 3]
    # A slice to a folder is one series all the same.
    apart = {f"{k}/a.dcm": header(one(2.0 * k, SeriesInstanceUID=None)) for k in range(4)}
    (together,) = find_series(apart)
    assert len(together.files) == 4


def test_a_slice_that_lost_its_series_returns_to_it() -> None:
    slices = stack(5)
    slices[3] = one(6.0, SeriesInstanceUID=None)
    (series,) = find_series(named("a/", slices))
    assert (series.key, len(series.files)) == (UID, 5)
    note = "1 of 5 files name no series: taken in by frame of reference, folder and position"
    assert series.notes == (note,)


@pytest.mark.parametrize(
    "keywords",
    [
        {"FrameOfReferenceUID": "1.8"},
        {"PatientID": "P2"},
        {"PixelSpacing": [0.6, 0.6]},
        {"ImagePositionPatient": [0.0, 0.0, 2.0]},
    ],
)
def test_a_slice_that_may_be_of_another_series_does_not(keywords: dict) -> None:
    stranger = one(10.0, SeriesInstanceUID=None, **keywords)
    strays = [one for one in find_series(named("a/", [*stack(5), stranger])) if one.stray]
    assert [one.files for one in strays] == [("a/5.dcm",)]


@pytest.mark.parametrize(
    ("keywords", "what"),
    [
        ({"Modality": "US", "ImagePositionPatient": None}, "a US without a place"),
        ({"Modality": "CR", "ImageOrientationPatient": None}, "a CR without a place"),
        ({"Modality": "MG", "ImagePositionPatient": None}, "a MG without a place"),
        ({"Modality": "SM", "ImagePositionPatient": None}, "a SM without a place"),
        (
            {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7.2", "ImagePositionPatient": None},
            "a CT without a place",
        ),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "a CT localizer"),
        ({"PhotometricInterpretation": "RGB"}, "a CT in colour"),
    ],
)
def test_images_that_are_no_slices(keywords: dict, what: str) -> None:
    assert (no_slice(header(one(0.0, **keywords))) or "").startswith(what)


def test_slices_that_lost_their_place_are_damaged_and_volumes_of_any_modality_are_volumes() -> None:
    assert no_slice(header(one(0.0, ImagePositionPatient=None))) is None
    assert no_slice(header(one(0.0, Modality="US"))) is None
    groups = item(PlanePositionSequence=[item(ImagePositionPatient=[0.0, 0.0, 1.0])])
    tomosynthesis = one(
        0.0, Modality="MG", ImagePositionPatient=None, PerFrameFunctionalGroupsSequence=[groups]
    )
    assert no_slice(header(tomosynthesis)) is None


def test_real_slices_whose_series_was_removed_are_one_series(realdata: Path) -> None:
    import pydicom

    headers = {}
    for path in sorted((realdata / "dicom" / "series_ct_torchio").iterdir()):
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        del dataset.SeriesInstanceUID
        headers[f"export/{path.name}"] = header(dataset)
    (series,) = find_series(headers)
    assert len(series.files) == len(headers) == 17
