"""Films that lie in their file otherwise than they are read, and those that nobody may touch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qoqdata.readers.dicom import DicomImage
from qoqdata.readers.dicom.header import read_dicom_header
from qoqdata.readers.image.exif import upright
from tests.readers.dicom_objects import image, save, shown

#: A film as it is read: rows lead to the patient's left, columns to the feet.
READ = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40


def stored(axes: tuple[str, str]) -> np.ndarray:
    """The film with rows along the first axis and columns along the second, pixel by pixel."""
    sizes = {"L": 3, "R": 3, "F": 2, "H": 2}
    out = np.zeros((sizes[axes[1]], sizes[axes[0]]), np.uint8)
    for i, j in np.ndindex(out.shape):
        place = {axes[0]: j, axes[1]: i}
        left = place["L"] if "L" in place else 2 - place["R"]
        feet = place["F"] if "F" in place else 1 - place["H"]
        out[i, j] = READ[feet, left]
    return out


def film(pixels: np.ndarray, tmp_path: Path, part: str | None = None, **header: Any) -> DicomImage:
    header = {"Modality": "CR", "BodyPartExamined": "CHEST", "ViewPosition": "PA"} | header
    header = {name: value for name, value in header.items() if value is not None}
    header |= {"WindowCenter": 128, "WindowWidth": 256}
    return shown(image(pixels, **header), tmp_path, part=part)


AXES = [(r, c) for r in "LRFH" for c in "LRFH" if {r, c} & set("LR") and {r, c} & set("FH")]


@pytest.mark.parametrize("axes", AXES)
def test_a_frontal_film_is_brought_to_how_films_are_read(
    tmp_path: Path, axes: tuple[str, str]
) -> None:
    pixels = stored(axes)
    found = film(pixels, tmp_path, PatientOrientation=list(axes))
    as_read = film(READ, tmp_path)
    assert np.array_equal(found.frames, as_read.frames)
    assert np.array_equal(upright(pixels, found.turn), READ)
    assert (found.original_rows, found.original_columns) == pixels.shape
    told = [note for note in found.repairs if "PatientOrientation" in note]
    assert len(told) == (0 if axes == ("L", "F") else 1)
    if told:
        assert told[0].startswith(f"PatientOrientation {axes[0]}\\{axes[1]}: ")


def test_spacing_follows_a_film_on_its_side(tmp_path: Path) -> None:
    pixels = stored(("F", "R"))
    header = {"PatientOrientation": ["F", "R"], "PixelSpacing": [0.5, 1.0]}
    found = shown(
        image(pixels, Modality="DX", BodyPartExamined="CHEST", ViewPosition="AP", **header),
        tmp_path,
        square=False,
    )
    # 0.5 mm between stored rows, which lead to the right: columns of what is shown.
    assert found.frames.shape == (1, 2, 3) and found.spacing == (1.0, 0.5)


@pytest.mark.parametrize(
    ("axes", "turn"),
    [("AF", 1), ("PF", 1), ("AH", 3), ("PH", 3), ("FA", 6), ("FP", 6), ("HA", 8), ("HP", 8)],
)
def test_a_lateral_film_is_turned_and_never_mirrored(tmp_path: Path, axes: str, turn: int) -> None:
    found = film(READ, tmp_path, ViewPosition="LL", PatientOrientation=list(axes))
    assert found.turn == turn
    by_hand = {1: 0, 3: 2, 6: -1, 8: 1}  # quarters of a turn, counterclockwise
    assert np.array_equal(found.frames[0], np.rot90(film(READ, tmp_path).frames[0], by_hand[turn]))


@pytest.mark.parametrize(
    ("header", "note"),
    [
        ({"PatientOrientation": None}, ""),
        ({"BodyPartExamined": "EXTREMITY", "ViewPosition": "AP"}, ""),
        ({"BodyPartExamined": "HAND"}, ""),
        ({"Modality": "MG", "BodyPartExamined": "BREAST", "ViewPosition": "CC"}, ""),
        ({"Modality": "CT", "ViewPosition": None}, ""),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}, ""),
        ({"FieldOfViewHorizontalFlip": "YES", "PatientOrientation": ["L", "F"]}, ""),
        ({"PatientOrientation": ["L", "FP"]}, ""),
        ({"PatientOrientation": ["X", "F"]}, ""),
        ({"ViewPosition": "LL"}, "does not fit the view: shown as stored"),
        ({"ViewPosition": "LLD"}, "does not fit the view: shown as stored"),
        ({"PatientOrientation": ["A", "H"]}, "does not fit the view: shown as stored"),
        ({"PatientOrientation": ["R", "L"]}, "does not fit the view: shown as stored"),
        ({"BodyPartExamined": None}, "that is not stated: shown as stored"),
    ],
)
def test_what_is_not_said_is_not_done(tmp_path: Path, header: dict[str, Any], note: str) -> None:
    found = film(READ, tmp_path, **{"PatientOrientation": ["R", "F"]} | header)
    assert found.turn == 1 and np.array_equal(found.frames, film(READ, tmp_path).frames)
    told = [one for one in found.repairs if "PatientOrientation" in one]
    assert all(one.endswith(note) for one in told) and len(told) == bool(note)


@pytest.mark.parametrize("modality", ["CR", None])
def test_a_source_of_chest_films_says_what_its_headers_leave_out(
    tmp_path: Path, modality: str | None
) -> None:
    header = {"Modality": modality, "WindowCenter": 128, "WindowWidth": 256}
    dataset = image(READ[:, ::-1], PatientOrientation=["R", "F"], **header)
    read = shown(dataset, tmp_path, part="CHEST")
    assert read.turn == 2 and read.frames[0, 0].argmin() == 0
    assert shown(dataset, tmp_path).turn == 1


def test_no_real_file_is_turned(realdata: Path) -> None:
    """CR of a hand says R\\F and a lateral spine L\\F; a mammogram has an order of its own."""
    from qoqdata.errors import InputError
    from qoqdata.readers.dicom.film_orientation import film_turn

    said = set()
    for path in realdata.rglob("*"):
        if path.is_file() and path.suffix in (".dcm", ".dicom", ""):
            try:
                facts = read_dicom_header(path)
            except InputError:
                continue
            if facts.patient_orientation is not None:
                said.add(facts.patient_orientation)
                assert film_turn(facts).value == 1, path
    assert {("R", "F"), ("L", "F"), ("R", "P")} <= said


def test_the_header_alone_tells_the_turn(tmp_path: Path) -> None:
    from qoqdata.readers.dicom.film_orientation import film_turn

    header = {"Modality": "CR", "BodyPartExamined": "CHEST", "PatientOrientation": ["R", "F"]}
    path = save(image(READ, **header), tmp_path / "film.dcm")
    assert film_turn(read_dicom_header(path)).value == 2
