"""Facts of the header: demographics, view, spacing, and nothing that names a person."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from tests.readers.dicom_objects import change, image, item, row, shown


def test_pixels_that_are_not_square_are_resampled_once(tmp_path: Path) -> None:
    dataset = image(np.full((4, 6), 100, "u1"), PixelSpacing=[2, 1])
    found = shown(dataset, tmp_path)
    assert found.frames.shape == (1, 8, 6)
    assert found.spacing == (1.0, 1.0)
    assert (found.pixel_aspect, found.original_rows, found.original_columns) == (2.0, 4, 6)
    assert "pixels were not square: resampled to square" in found.repairs
    assert (found.frames == 100).all()
    kept = shown(dataset, tmp_path, square=False)
    assert (kept.frames.shape, kept.spacing) == ((1, 4, 6), (2.0, 1.0))
    ratio = shown(change(dataset, PixelSpacing=None, PixelAspectRatio=[1, 2]), tmp_path)
    assert ratio.frames.shape == (1, 4, 12)
    assert ratio.spacing is None


def test_spacing_is_the_patient_s_before_the_detector_s(tmp_path: Path) -> None:
    dataset = image(row(0, 1), ImagerPixelSpacing=[0.2, 0.2])
    found = shown(dataset, tmp_path)
    assert (found.spacing, found.spacing_kind) == ((0.2, 0.2), "ImagerPixelSpacing")
    magnified = change(dataset, EstimatedRadiographicMagnificationFactor=1.6)
    assert shown(magnified, tmp_path).spacing == (0.125, 0.125)
    for absurd in (0.5, 0, 160):
        change(dataset, EstimatedRadiographicMagnificationFactor=absurd)
        assert shown(dataset, tmp_path).spacing == (0.2, 0.2)
    change(dataset, EstimatedRadiographicMagnificationFactor=1.6)
    found = shown(change(dataset, PixelSpacing=[0.1, 0.1]), tmp_path)
    assert (found.spacing, found.spacing_kind) == ((0.1, 0.1), "PixelSpacing")


@pytest.mark.parametrize(
    ("age", "years"),
    [
        ("045Y", 45),
        ("018M", 1),
        ("012M", 1),
        ("011M", 0),
        ("106W", 2),
        ("010D", 0),
        ("62", 62),
        ("62y", 62),
        ("999Y", None),
        ("old", None),
        ("", None),
    ],
)
def test_age_in_whole_years(tmp_path: Path, age: str, years: int | None) -> None:
    dataset = image(row(0, 1))
    dataset.add_new("PatientAge", "LO", age)
    assert shown(dataset, tmp_path).age == years


def test_facts_hold_no_names_dates_or_free_text(tmp_path: Path) -> None:
    secret = {
        "PatientName": "Doe^Jane",
        "PatientBirthDate": "19700101",
        "StudyDate": "20200202",
        "StudyDescription": "follow-up for Jane Doe",
        "InstitutionName": "St Elsewhere",
        "ImageComments": "call Dr Who",
    }
    dataset = image(
        row(0, 1),
        **secret,
        PatientID="12345",
        PatientSex="F",
        BodyPartExamined="chest",
        ViewPosition="PA",
        Laterality="L",
        PatientOrientation=["L", "F"],
        FrameTime=33.3,
    )
    found = shown(dataset, tmp_path)
    assert (found.modality, found.body_part, found.view) == ("CT", "CHEST", "PA")
    assert (found.laterality, found.patient_orientation) == ("L", ("L", "F"))
    assert (found.sex, found.frame_time_ms, found.patient_id) == ("female", 33.3, "12345")
    told = str([getattr(found, field.name) for field in fields(found) if field.name != "frames"])
    assert not any(value in told for value in secret.values())
    # Free text in a code string element is left out, and so is nonsense.
    dataset.add_new("BodyPartExamined", "LO", "chest of Mrs Doe, standing")
    change(dataset, PatientSex="X", Laterality="Q", PatientOrientation=["?", "F"], FrameTime=-1)
    found = shown(dataset, tmp_path)
    assert found.body_part is found.sex is found.laterality is found.patient_orientation is None
    assert found.frame_time_ms is None


def test_mammography_view_from_its_code(tmp_path: Path) -> None:
    dataset = image(row(0, 1), ImageLaterality="R", Laterality="L")
    dataset.ViewCodeSequence = [item(CodeValue="399368009", CodingSchemeDesignator="SCT")]
    found = shown(dataset, tmp_path)
    assert (found.view, found.laterality) == ("MLO", "R")
    assert "ImageLaterality is R, Laterality L: the image's is taken" in found.repairs
