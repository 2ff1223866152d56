"""Mammograms by breast and projection: what sources of whole examinations have in common."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from qoqdata.errors import Misaligned
from qoqdata.readers.dicom import DicomImage
from qoqdata.readers.dicom.breast_side import Side, contradicted
from qoqdata.records import dicoms
from qoqdata.records.content import Image
from qoqdata.sources.protocol import Job

#: How tables and headers write a side.
SIDES: dict[str, Side] = {"L": "left", "R": "right"}
#: The views of a breast, in the order in which they are shown.
VIEWS = ("CC", "MLO")


class Projection(NamedTuple):
    """One of the four standard mammograms: `side` left or right, `view` CC or MLO."""

    side: str
    view: str

    @property
    def item(self) -> str:
        """Its name among the questions about an examination: left_CC."""
        return f"{self.side}_{self.view}"

    @property
    def option(self) -> str:
        """Its name in an answer: Left CC."""
        return f"{self.side.capitalize()} {self.view}"


#: All four, in the order in which they are shown: left before right, CC before MLO.
STANDARD = tuple(Projection(side, view) for side in SIDES.values() for view in VIEWS)


class Mammogram(NamedTuple):
    """A mammogram as it is shown, with its projection; `age` in years and `sex` by the header."""

    image: Image
    projection: Projection | None
    age: int | None
    sex: str | None
    patient: str | None
    notes: tuple[str, ...]

    @property
    def unnamed(self) -> Image:
        """The same pixels without side and view, for questions whose answer these are."""
        return replace(self.image, view=None, laterality=None)


def read_mammogram(path: str, job: Job, stated: Projection | None = None) -> Mammogram:
    """The mammogram at `path`; `stated` is what a table says it is, else the header decides.

    `projection` is None where neither says side and view, or they are none of `STANDARD`. Raises
    Misaligned where the header names another side or view than the table, and the errors of
    `dicoms.file_images`.
    """
    place = job.raw.resolve(path)
    (image, *_), notes, header = dicoms.file_images(place, [None], frames=1, limits=job.limits)
    told = Projection(SIDES.get(header.laterality or "", ""), header.view or "")
    if stated is not None:
        notes = (*notes, *check_projection(stated, image, header, where=path))
        told = stated
    known = told if told in STANDARD else None
    if known is not None:
        image = replace(image, view=known.view, laterality=known.side)
    return Mammogram(image, known, header.age, header.sex, header.patient_id, tuple(notes))


def check_projection(
    stated: Projection, image: Image, header: DicomImage, *, where: str
) -> tuple[str, ...]:
    """What to note of a film that its source says is `stated`: a wall on the other side.

    Raises Misaligned where the header names another side or view.
    """
    told = Projection(SIDES.get(header.laterality or "", ""), header.view or "")
    for word, by_source, by_header in zip(("side", "view"), stated, told, strict=True):
        if by_header and by_header != by_source:
            what = f"its source says the {word} is {by_source}, the header {by_header}"
            raise Misaligned(what, where=where, fix="find out whose image it is")
    # Of a side that the header states the reader has looked.
    side = next((side for side in SIDES.values() if side == stated.side and not told.side), None)
    fault = None if side is None else contradicted(image.pixels, side)
    return () if fault is None else (fault,)


def compared(left: int, right: int) -> str:
    """The option of the breast with the higher value: Left, Right or Equal."""
    return "Equal" if left == right else "Left" if left > right else "Right"


def examination(
    mammograms: Iterable[Mammogram],
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Age and sex that the headers of an examination agree on, and the notes of all of them."""
    films = tuple(mammograms)
    person: dict[str, Any] = {}
    notes = [note for film in films for note in film.notes]
    for name, values in (("age", [f.age for f in films]), ("sex", [f.sex for f in films])):
        said = sorted({str(value) for value in values if value is not None})
        person[name] = next((v for v in values if v is not None), None) if len(said) == 1 else None
        if len(said) > 1:
            notes.append(f"headers disagree about the {name}: {' and '.join(said)}")
    return person, tuple(dict.fromkeys(notes))
