"""Only codes of headers are given on; free text is left out, and the note does not repeat it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qoqdata.readers.dicom import read_dicom
from qoqdata.readers.ecg import read_ecg
from qoqdata.readers.ecg.leads import canonical, is_coded
from qoqdata.readers.identifiers import note_identifiers, taking_identifiers
from tests.readers.dicom_objects import image

PIXELS = np.arange(16, dtype=np.uint16).reshape(4, 4)


def read(folder: Path, **keywords: object):  # type: ignore[no-untyped-def]
    image(PIXELS, **keywords).save_as(folder / "a.dcm")
    return read_dicom(folder / "a.dcm")


@pytest.mark.parametrize(
    ("keyword", "field", "codes"),
    [
        ("ViewPosition", "view", ["PA", "AP", "LL", "MLO", "XCCL", "AP AXIAL", "LATERAL"]),
        ("BodyPartExamined", "body_part", ["CHEST", "WHOLE BODY", "CSPINE", "HEAD_NECK"]),
        ("Modality", "modality", ["CR", "DX", "US", "SC", "OT"]),
    ],
)
def test_codes_are_kept_and_free_text_is_not(
    tmp_path: Path, keyword: str, field: str, codes: list[str]
) -> None:
    for code in codes:
        shown = read(tmp_path, **{keyword: code})
        assert getattr(shown, field) == code
        assert not any(keyword in note for note in shown.repairs)
    for text in ("JANE ROE", "PA JANE", "SEE_WARD_7"):
        shown = read(tmp_path, **{keyword: text})
        assert getattr(shown, field) is None
        assert f"{keyword} is no defined term: left out" in shown.repairs
        assert not any(text in note for note in shown.repairs)


def test_a_coded_view_stands_in_for_free_text(tmp_path: Path) -> None:
    from pydicom.dataset import Dataset

    code = Dataset()
    code.CodeValue = "399368009"
    assert read(tmp_path, ViewPosition="JANE", ViewCodeSequence=[code]).view == "MLO"


@pytest.mark.parametrize(
    "name",
    [
        *("II", "aVR", "V6", "V4R", "X", "MLII", "MCL1", "CM5", "-aVR", "V1-V2", "mod.V1", "V"),
        *("ECG", "ECG 2", "ECG #3", "EEG Fp1-A2", "C3-A2", "EOG(L)", "ABP", "chest", "signal 0"),
    ],
)
def test_names_that_say_what_was_measured(name: str) -> None:
    assert is_coded(canonical(name))


@pytest.mark.parametrize(
    "name", ["Jane Roe", "II of Jane", "V1 12345", "ECG 123", "Roe-V1", "", "A-B-C", "lead Jane"]
)
def test_names_that_may_say_anything(name: str) -> None:
    assert not is_coded(canonical(name))


def test_channels_of_free_names_are_numbered_and_keep_their_signals(tmp_path: Path) -> None:
    samples = (np.arange(3000).reshape(1000, 3) % 97).astype("<i2")
    (tmp_path / "r.dat").write_bytes(samples.tobytes())
    names = ("Jane Roe", "II", "signal 0")
    lines = [f"r.dat 16 200/mV 16 0 0 0 0 {name}" for name in names]
    (tmp_path / "r.hea").write_text("\n".join(["r 3 500 1000", *lines, ""]))
    recording = read_ecg(tmp_path / "r")
    assert recording.leads == ("II", "signal 1", "signal 0")
    assert np.allclose(recording.signal[1], samples[:, 0] / 200)
    assert "free text in place of a lead's name left out; called signal 1" in recording.repairs
    assert not any("Jane" in note for note in recording.repairs)


def test_identifiers_are_noted_only_where_somebody_collects(tmp_path: Path) -> None:
    more = {"PatientID": "P-1", "AccessionNumber": "A7", "PatientName": "Roe^Jane^M"}
    with taking_identifiers() as taken:
        read(tmp_path, **more)
    note_identifiers(persons=["later"])
    assert taken.persons == {"P-1", "A7", "Roe Jane", "Jane Roe"}
    assert len(taken.objects) == 3
    with taking_identifiers() as taken:
        read(tmp_path, PatientName="Anonymous", OtherPatientIDs=["B1", "B2"])
    assert taken.persons == {"B1", "B2"}
