"""How a projection radiograph lies in its file, against how films are read.

PatientOrientation says where the rows and the columns of the stored pixels lead (PS3.3
C.7.6.1.1.1). A frontal film of the trunk is read as if the patient faced the reader: rows lead to
the patient's left, columns to the feet. One that says otherwise would put its left findings on the
right, so it is turned. Flips of the detector (FieldOfViewHorizontalFlip) are in the stored pixels
already and say nothing of how these lie.

Only what is said is believed: without a frontal view, a part of the trunk and two axes that fit
them, a film is shown as it is stored. Hands are read fingers up, and mammograms (MG) by the side of
the chest wall; neither is touched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

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


def film_turn(facts: DicomHeader, part: str | None = None) -> Turn:
    """How to turn the film that `facts` are of; `part` is the part of the body that its source
    says all its films show."""
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


def _plain(term: str) -> str:
    return term.replace(" ", "").replace("_", "")
