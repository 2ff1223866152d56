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
        ({"Modality": "MG", "ImageLaterality": "B", "ViewPosition": "CC"}, ""),
        ({"Modality": "MG", "ImageLaterality": "L", "ViewPosition": "SPECIMEN"}, ""),
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
    """CR of a hand says R\\F and a lateral spine L\\F; a mammogram, wall at the bottom, is."""
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
                assert film_turn(facts).value == (6 if facts.modality == "MG" else 1), path
    assert {("R", "F"), ("L", "F"), ("R", "P")} <= said


def test_the_header_alone_tells_the_turn(tmp_path: Path) -> None:
    from qoqdata.readers.dicom.film_orientation import film_turn

    header = {"Modality": "CR", "BodyPartExamined": "CHEST", "PatientOrientation": ["R", "F"]}
    path = save(image(READ, **header), tmp_path / "film.dcm")
    assert film_turn(read_dicom_header(path)).value == 2


#: A breast of 40 x 30 pixels as mammograms are read, by side: its wall at the edge, the nipple in
#: the middle of the rows, and a mark above it.
BREAST = np.zeros((40, 30), np.uint8)
BREAST[5:35, :14] = 150
BREAST[8:12, 2:8] = 250
BREASTS = {"L": BREAST, "R": np.ascontiguousarray(BREAST[:, ::-1])}
#: The axes of a mammogram as it is read, by side and view.
READ_AXES = {("L", "CC"): "AR", ("R", "CC"): "PL", ("L", "MLO"): "AF", ("R", "MLO"): "PF"}
OPPOSITE = dict(zip("LRAPHF", "RLPAFH", strict=True))


def lying(pixels: np.ndarray, read: str, axes: str) -> np.ndarray:
    """The film stored with rows along the first of `axes` and columns along the second: looked up
    pixel by pixel."""
    sizes = {read[0]: pixels.shape[1], read[1]: pixels.shape[0]}
    sizes |= {OPPOSITE[axis]: size for axis, size in list(sizes.items())}
    out = np.zeros((sizes[axes[1]], sizes[axes[0]]), np.uint8)
    for i, j in np.ndindex(out.shape):
        place = {axes[0]: j, axes[1]: i}
        row, column = (
            place[axis] if axis in place else sizes[axis] - 1 - place[OPPOSITE[axis]]
            for axis in (read[1], read[0])
        )
        out[i, j] = pixels[row, column]
    return out


def mammogram(pixels: np.ndarray, tmp_path: Path, side: str, view: str, axes: str) -> DicomImage:
    header: dict[str, Any] = {"Modality": "MG", "ImageLaterality": side, "ViewPosition": view}
    header |= {"PatientOrientation": list(axes)} if axes else {}
    return shown(image(pixels, WindowCenter=128, WindowWidth=256, **header), tmp_path)


def told(found: DicomImage) -> list[str]:
    return [note for note in found.repairs if "PatientOrientation" in note or "wall" in note]


@pytest.mark.parametrize(("side", "view"), list(READ_AXES))
def test_a_mammogram_is_brought_to_how_it_is_read(tmp_path: Path, side: str, view: str) -> None:
    read = READ_AXES[side, view]
    ways = [read[0] + OPPOSITE[read[0]], read[1] + OPPOSITE[read[1]]]
    every = [one + other for one in ways[0] for other in ways[1]]
    for axes in [*every, *(axes[::-1] for axes in every)]:
        stored_film = lying(BREASTS[side], read, axes)
        found = mammogram(stored_film, tmp_path, side, view, axes)
        assert np.array_equal(found.frames[0], BREASTS[side]), axes
        assert len(told(found)) == (axes != read), axes


@pytest.mark.parametrize("side", ["L", "R"])
def test_a_header_that_would_put_the_wall_on_the_wrong_side_is_not_followed(
    tmp_path: Path, side: str
) -> None:
    """The film lies as it is read and says that it is mirrored: nobody knows, nothing is done."""
    axes = {"L": "PF", "R": "AF"}[side]
    found = mammogram(BREASTS[side], tmp_path, side, "MLO", axes)
    assert found.turn == 1 and np.array_equal(found.frames[0], BREASTS[side])
    (note,) = told(found)
    assert (
        note == f"PatientOrientation {axes[0]}\\{axes[1]} contradicts the pixels: shown as stored"
    )


@pytest.mark.parametrize(("side", "axes"), [("L", ""), ("R", ""), ("L", "AR"), ("R", "PL")])
def test_a_breast_on_the_wrong_side_is_told_and_not_turned(
    tmp_path: Path, side: str, axes: str
) -> None:
    pixels = BREASTS["R" if side == "L" else "L"]
    found = mammogram(pixels, tmp_path, side, "CC", axes)
    assert found.turn == 1 and np.array_equal(found.frames[0], pixels)
    name, wrong = ("left", "right") if side == "L" else ("right", "left")
    assert told(found) == [
        f"a {name} breast whose chest wall lies on the {wrong}: mirrored, or of the other side"
    ]


def test_axes_of_another_view_are_told(tmp_path: Path) -> None:
    found = mammogram(BREAST, tmp_path, "L", "CC", "PF")
    assert told(found) == ["PatientOrientation P\\F does not fit side and view: shown as stored"]


@pytest.mark.parametrize(
    ("draw", "side"),
    [
        (lambda film: film[:, :14].fill(150), "left"),
        (lambda film: film[:, 16:].fill(150), "right"),
        # It fills the film, lies on its side, shows next to nothing; a scanner's border is no wall.
        (lambda film: film.fill(150), None),
        (lambda film: film[30:].fill(150), None),
        (lambda film: film[:, :14].fill(9), None),
        (lambda film: film[:, :1].fill(255), None),
        # A marker of letters beside the breast, in a corner.
        (lambda film: (film[:, :14].fill(90), film[:9, 20:28].fill(255)), "left"),
    ],
)
def test_the_side_of_the_wall(draw: Any, side: str | None) -> None:
    from qoqdata.readers.dicom.breast_side import wall_side

    film_pixels = np.zeros((40, 30), np.uint8)
    draw(film_pixels)
    assert wall_side(film_pixels) == side
    assert wall_side(np.zeros((1, 1), np.uint8)) is None
