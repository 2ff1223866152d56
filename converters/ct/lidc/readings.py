"""The XML of LIDC readings: what each of up to four radiologists marked in a series."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

from qoqdata.errors import UnreadableFile
from qoqdata.sources.cells import integer, number
from qoqdata.sources.protocol import Job

ROOT = "LidcReadMessage"
RATINGS = (
    *("malignancy", "subtlety", "texture", "margin", "sphericity"),
    *("calcification", "internalStructure"),
)


@dataclass(frozen=True)
class Contour:
    """An outline on a slice, (x, y) in pixels of the file; a hole where `inclusion` is false.

    `height` is where the reading says that the slice lies, in mm along z.
    """

    sop_uid: str
    inclusion: bool
    points: tuple[tuple[int, int], ...]
    height: float | None = None


@dataclass(frozen=True)
class ReadNodule:
    """A nodule as one reader marked it: outlined and rated, or, under 3 mm, a point."""

    reader: int
    name: str
    contours: tuple[Contour, ...]
    ratings: dict[str, int]

    @property
    def is_point(self) -> bool:
        """Whether it was marked as smaller than 3 mm."""
        return not self.ratings or all(len(one.points) < 3 for one in self.contours)


@dataclass(frozen=True)
class Readings:
    """All that was read of a series."""

    series_uid: str
    readers: int
    nodules: tuple[ReadNodule, ...]


def read_readings(job: Job, path: str) -> Readings | None:
    """The readings of a file; None for XML of another kind, such as that of radiographs.

    Raises UnreadableFile for a file that is no XML, or lacks what every reading has.
    """
    data = job.raw.read_bytes(path, limits=job.limits)
    # Entities could grow without end; readings have none.
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise UnreadableFile("defines entities, which readings never do", where=path)
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise UnreadableFile(f"is no XML: {error}", where=path, fix="fetch it again") from error
    if _name(root) != ROOT:
        return None
    uid = _text(_child(_child(root, "ResponseHeader"), "SeriesInstanceUid"))
    if uid is None:
        raise UnreadableFile("names no series", where=path)
    sessions = list(_children(root, "readingSession"))
    if not sessions:
        raise UnreadableFile("holds no reading session", where=path)
    nodules = [
        _nodule(element, reader, path)
        for reader, session in enumerate(sessions, start=1)
        for element in _children(session, "unblindedReadNodule")
    ]
    return Readings(uid, len(sessions), tuple(nodules))


def _nodule(element: ElementTree.Element, reader: int, path: str) -> ReadNodule:
    name = _text(_child(element, "noduleID")) or "without a name"
    contours = []
    for roi in _children(element, "roi"):
        uid = _text(_child(roi, "imageSOP_UID"))
        corners = [
            (integer(_text(_child(edge, "xCoord"))), integer(_text(_child(edge, "yCoord"))))
            for edge in _children(roi, "edgeMap")
        ]
        points = tuple((x, y) for x, y in corners if x is not None and y is not None)
        if uid is None or not points or len(points) < len(corners):
            what = f"nodule {name} of reader {reader} has an outline without slice or points"
            raise UnreadableFile(what, where=path)
        inclusion = (_text(_child(roi, "inclusion")) or "").upper() != "FALSE"
        height = number(_text(_child(roi, "imageZposition")))
        contours.append(Contour(uid, inclusion, points, height))
    if not contours:
        raise UnreadableFile(f"nodule {name} of reader {reader} lies nowhere", where=path)
    rated = _child(element, "characteristics")
    values = {one: number(_text(_child(rated, one))) for one in RATINGS}
    ratings = {one: int(value) for one, value in values.items() if value and value == int(value)}
    return ReadNodule(reader, name, tuple(contours), ratings)


def _name(element: ElementTree.Element) -> str:
    """The tag without its namespace."""
    return element.tag.rpartition("}")[2]


def _children(element: ElementTree.Element | None, name: str) -> Iterator[ElementTree.Element]:
    return (one for one in (() if element is None else element) if _name(one) == name)


def _child(element: ElementTree.Element | None, name: str) -> ElementTree.Element | None:
    return next(_children(element, name), None)


def _text(element: ElementTree.Element | None) -> str | None:
    return None if element is None else (element.text or "").strip() or None
