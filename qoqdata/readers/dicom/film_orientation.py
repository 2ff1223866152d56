"""How a projection radiograph lies in its file, against how films are read.

PatientOrientation says where the rows and the columns of the stored pixels lead (PS3.3
C.7.6.1.1.1). A frontal film of the trunk is read as if the patient faced the reader: rows lead to
the patient's left, columns to the feet. One that says otherwise would put its left findings on the
right, so it is turned. Flips of the detector (FieldOfViewHorizontalFlip) are in the stored pixels
already and say nothing of how these lie.

A mammogram (MG) is read with the chest wall of a left breast on the left and that of a right one on
the right, CC with the lateral side up. One that says otherwise is turned, unless its pixels show
that the wall would then be on the wrong side: a header is as often wrong as a film.

Only what is said is believed: without a view, a part of the trunk or the side of a breast, and two
axes that fit them, a film is shown as it is stored. Hands are read fingers up and not touched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qoqdata.readers.dicom.breast_side import Side, contradicted
from qoqdata.readers.image.exif import upright

if TYPE_CHECKING:
    from qoqdata.readers.dicom.header import DicomHeader

_FILMS = ("CR", "DX", "RG")
_FRONTAL = (None, "AP", "PA", "FRONTAL")
_LATERAL = ("LL", "RL", "LAT", "LATERAL", "LLAT", "RLAT", "LEFTLATERAL", "RIGHTLATERAL")
_TRUNK = frozenset(
    (
        *("ABDOMEN", "ABDOMENPELVIS", "CHEST", "CHESTABDOMEN", "CHESTABDPELVIS", "HEART", "HIPS"),
        *("LUNG", "LUNGS", "MEDIASTINUM", "PELVIS", "RIB", "RIBS", "SACRUM", "STERNUM", "THORAX"),
        *("CERVICALSPINE", "CSPINE", "CTSPINE", "LSPINE", "LSSPINE", "LUMBARSPINE", "SPINE"),
        *("THORACICSPINE", "TLSPINE", "TSPINE", "WHOLESPINE"),
    )
)
_UPRIGHT = (("L", "F"), ("A", "F"), ("P", "F"))
#: What brings the axes of a frontal film to L and F, as Exif orientations, and those of a lateral
#: one, which is never mirrored, to F: either side may face the reader.
_FRONTAL_TURNS = {
    ("R", "F"): 2,
    ("R", "H"): 3,
    ("L", "H"): 4,
    ("F", "L"): 5,
    ("F", "R"): 6,
    ("H", "R"): 7,
    ("H", "L"): 8,
}
_LATERAL_TURNS = {
    **dict.fromkeys((("A", "H"), ("P", "H")), 3),
    **dict.fromkeys((("F", "A"), ("F", "P")), 6),
    **dict.fromkeys((("H", "A"), ("H", "P")), 8),
}
#: Where rows and columns of a mammogram lead as it is read, by side and view.
_CRANIOCAUDAL = {"left": "AR", "right": "PL"}
_FROM_THE_SIDE = {"left": "AF", "right": "PF"}
_BREAST_VIEWS = {
    **dict.fromkeys(("CC", "XCC", "XCCL", "XCCM"), _CRANIOCAUDAL),
    **dict.fromkeys(("MLO", "ML", "LM", "LMO"), _FROM_THE_SIDE),
}
_SIDES: dict[str | None, Side] = {"L": "left", "R": "right"}
_OPPOSITE = dict(zip("LRAPHF", "RLPAFH", strict=True))
_HOW = {
    2: "mirrored left to right",
    3: "turned by 180 degrees",
    4: "mirrored top to bottom",
    5: "mirrored and turned by 90 degrees",
    6: "turned by 90 degrees",
    7: "mirrored and turned by 270 degrees",
    8: "turned by 270 degrees",
}


class Turn(NamedTuple):
    """What brings stored pixels to how they are read, as an Exif orientation, and what to note."""

    value: int = 1
    notes: tuple[str, ...] = ()

    @property
    def swaps_sides(self) -> bool:
        """Whether rows become columns."""
        return self.value >= 5


def film_turn(
    facts: DicomHeader, part: str | None = None, pixels: NDArray[np.uint8] | None = None
) -> Turn:
    """How to turn the film that `facts` are of; `part` is the part of the body that its source
    says all its films show, `pixels` the film as it is stored, with air black."""
    if facts.modality == "MG":
        return _mammogram_turn(facts, pixels)
    axes, stated = facts.patient_orientation, part or facts.body_part
    is_film = facts.modality in _FILMS or (facts.modality is None and part is not None)
    if not is_film or axes is None or facts.acquisition.orientation is not None:
        return Turn()
    first = axes[0][0], axes[1][0]
    if first in _UPRIGHT or not (stated is None or _plain(stated) in _TRUNK):
        return Turn()
    said = f"PatientOrientation {axes[0]}\\{axes[1]}"
    view = None if facts.view is None else _plain(facts.view)
    turns = _LATERAL_TURNS if view in _LATERAL else _FRONTAL_TURNS if view in _FRONTAL else {}
    if (value := turns.get(first)) is None:
        return Turn(1, (f"{said} does not fit the view: shown as stored",))
    if stated is None:
        return Turn(1, (f"{said}, of a part of the body that is not stated: shown as stored",))
    return Turn(value, (f"{said}: {_HOW[value]}, as films are read",))


def _mammogram_turn(facts: DicomHeader, pixels: NDArray[np.uint8] | None) -> Turn:
    side, axes = _SIDES.get(facts.laterality), facts.patient_orientation
    if side is None:
        return Turn()
    as_stored = None if pixels is None else contradicted(pixels, side)
    shown = Turn(1, () if as_stored is None else (as_stored,))
    if axes is None:
        return shown
    view = None if facts.view is None else _plain(facts.view)
    said, read = f"PatientOrientation {axes[0]}\\{axes[1]}", _BREAST_VIEWS.get(view or "")
    if read is None:
        return shown
    value = _turn_between((axes[0][0], axes[1][0]), (read[side][0], read[side][1]))
    if value == 1:
        return shown
    if value is None:
        return Turn(1, (f"{said} does not fit side and view: shown as stored", *shown.notes))
    if pixels is not None and contradicted(upright(pixels, value), side) is not None:
        return Turn(1, (f"{said} contradicts the pixels: shown as stored", *shown.notes))
    return Turn(value, (f"{said}: {_HOW[value]}, as mammograms are read",))


def _turn_between(axes: tuple[str, str], read: tuple[str, str]) -> int | None:
    """What brings `axes` to those as `read`, as an Exif orientation; None where they do not fit."""
    across, down = read
    names = {across: "L", _OPPOSITE[across]: "R", down: "F", _OPPOSITE[down]: "H"}
    named = names.get(axes[0], ""), names.get(axes[1], "")
    return 1 if named == ("L", "F") else _FRONTAL_TURNS.get(named)


def _plain(term: str) -> str:
    return term.replace(" ", "").replace("_", "")
