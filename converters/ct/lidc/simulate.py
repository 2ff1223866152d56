"""A made-up LIDC-IDRI: chests with nodules, and what four readers outlined and rated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import cv2
import numpy as np

from qoqdata.simulation import MARK, uid, write_csv, write_dicom, write_text

from ..phantom import Ball, chest, inside
from .readings import RATINGS

SIDE, SPACING, COUNT = 48, (6.0, 6.0, 5.0), 10
#: Nodules of a patient, in turn: centre in voxels, radius in mm, how many of four readers saw it.
KINDS: tuple[tuple[tuple[tuple[float, float, float], float, int], ...], ...] = (
    (((13.0, 24.0, 4.0), 15.0, 4), ((35.0, 26.0, 7.0), 13.0, 3)),
    (),
    (((34.0, 22.0, 3.0), 17.0, 4), ((13.0, 28.0, 7.0), 14.0, 1)),
    (((12.0, 22.0, 5.0), 0.0, 2),),
)
QUIRKS = {
    "missing_file": "readings of a series that was not fetched; a series that lost a slice",
    "missing_key": "a series without readings; headers of another patient",
    "duplicate_key": "readings that lie there twice",
    "unreadable_file": "readings that were cut",
}
#: What is wrong with a patient, by the number from the first.
FAULTS = (
    "series missing",
    "readings missing",
    "slice missing",
    "headers of another",
    "readings twice",
    "readings cut",
    "ratings far apart",
    "outline joins two",
)


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` patients of 10 slices of 48 x 48 pixels; with quirks the first have FAULTS, in turn.

    Always: readers' own names of nodules, z positions that do not match the headers to the last
    digit, slices whose names tell no order, outlines one pixel outside, holes, a radiograph with
    readings of its own for every fifth patient.
    """
    rng = np.random.default_rng(seed)
    for number in range(n):
        fault = FAULTS[number] if quirks and number < len(FAULTS) else "sound"
        _patient(out, number, fault, rng, seed)
    listing = [
        {"Series UID": _series(seed, f"LIDC-IDRI-{number + 1:04}"), "Number of Images": COUNT}
        for number in range(n)
    ]
    write_csv(out / "metadata.csv", listing)


def _patient(out: Path, number: int, fault: str, rng: np.random.Generator, seed: int) -> None:
    patient = f"LIDC-IDRI-{number + 1:04}"
    kinds = KINDS[0 if fault != "sound" else number % len(KINDS)]
    shape = (SIDE, SIDE, COUNT)
    balls = [Ball(centre, radius or 3.0, 40) for centre, radius, _ in kinds]
    voxels = chest(rng, shape, SPACING, balls)
    folder = out / "LIDC-IDRI" / patient / "01-01-2000-NA" / f"{3000 + number}.000000-NA"
    names = [uid(seed, patient, place) for place in range(COUNT)]
    of = "LIDC-IDRI-9999" if fault == "headers of another" else patient
    for place, file in enumerate(rng.permutation(COUNT)):
        lost = fault == "slice missing" and place == int(kinds[0][0][2])
        if fault == "series missing" or lost:
            continue
        write_dicom(
            folder / f"1-{file + 1:03}.dcm",
            voxels[:, :, place].T.copy(),
            seed=seed,
            modality="CT",
            patient=of,
            study=patient,
            spacing=SPACING[:2],
            position=(-140.0, -140.0, place * SPACING[2] - 100),
            SOPInstanceUID=names[place],
            SeriesInstanceUID=_series(seed, patient),
            RescaleSlope=1,
            RescaleIntercept=0,
            RescaleType="HU",
            SliceThickness=SPACING[2],
        )
    sessions = [_session(reader, kinds, names, fault) for reader in range(4)]
    text = _message("LidcReadMessage", _series(seed, patient), sessions)
    if fault == "readings cut":
        text = text[: len(text) // 2]
    xml = out / "tcia-lidc-xml" / f"{157 + number % 3}" / f"{number:03}.xml"
    if fault != "readings missing":
        write_text(xml, text)
    if fault == "readings twice":
        write_text(folder / f"{number:03}.xml", text)
    if number % 5 == 0:
        film = folder.with_name("1.000000-NA")
        pixels = rng.integers(0, 4096, (SIDE, SIDE)).astype(np.uint16)
        write_dicom(film / "1-1.dcm", pixels, seed=seed, modality="DX", patient=patient)
        write_text(xml.with_name(f"{number:03}_cxr.xml"), _message("IdriReadMessage", "1.2", []))


def _series(seed: int, patient: str) -> str:
    return uid(seed, patient, "series")


def _message(root: str, series: str, sessions: Sequence[str]) -> str:
    head = f"<SeriesInstanceUid>{escape(series)}</SeriesInstanceUid>"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<!-- {MARK} -->\n'
        f'<{root} xmlns="http://www.nih.gov"><ResponseHeader>{head}</ResponseHeader>'
        f"{''.join(sessions)}</{root}>\n"
    )


def _session(
    reader: int,
    kinds: Sequence[tuple[tuple[float, float, float], float, int]],
    names: Sequence[str],
    fault: str,
) -> str:
    """What one reader marked: the first ones of four see what fewer see."""
    parts = []
    for place, (centre, radius, seen) in enumerate(kinds):
        if reader >= seen:
            continue
        name = f"<noduleID>{'Nodule ' if reader % 2 else ''}{place + 1 + 10 * reader}</noduleID>"
        if radius:
            # A second reading by the same reader of much of the first nodule joins the two.
            grown = 1.5 * (reader % 2) + (12 if fault == "outline joins two" and reader == 3 else 0)
            rois = _rois(Ball(centre, radius + grown, 0), names)
            parts.append(_nodule(name + _ratings(reader, place, fault) + rois))
            if fault == "outline joins two" and reader == 0:
                parts.append(_nodule(name + _ratings(reader, place, fault) + rois))
        else:
            edge = f"<xCoord>{centre[0]:.0f}</xCoord><yCoord>{centre[1]:.0f}</yCoord>"
            parts.append(_nodule(name + _roi(names, int(centre[2]), f"<edgeMap>{edge}</edgeMap>")))
    return f"<readingSession>{''.join(parts)}</readingSession>"


def _nodule(content: str) -> str:
    return f"<unblindedReadNodule>{content}</unblindedReadNodule>"


def _ratings(reader: int, place: int, fault: str) -> str:
    values = dict(zip(RATINGS, (4, 5, 5, 4, 3, 6, 1), strict=True))
    values["malignancy"] = 2 + 2 * place
    if reader == 2:
        values["margin"] += 1
    if fault == "ratings far apart" and reader == 2:
        values |= {"malignancy": 5, "calcification": 3, "texture": 1}
    body = "".join(f"<{name}>{value}</{name}>" for name, value in values.items())
    return f"<characteristics>{body}</characteristics>"


def _rois(ball: Ball, names: Sequence[str]) -> str:
    """Outlines along the first pixels outside of a ball, slice by slice."""
    voxels = inside(ball, (SIDE, SIDE, COUNT), SPACING)
    rois = []
    for place in range(COUNT):
        plane = np.ascontiguousarray(voxels[:, :, place].T).astype(np.uint8)
        if not plane.any():
            continue
        around = cv2.dilate(plane, np.ones((3, 3), np.uint8))
        (line,), _ = cv2.findContours(around, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        edges = "".join(
            f"<edgeMap><xCoord>{x}</xCoord><yCoord>{y}</yCoord></edgeMap>" for ((x, y),) in line
        )
        rois.append(_roi(names, place, edges))
    return "".join(rois)


def _roi(names: Sequence[str], place: int, edges: str) -> str:
    height = place * SPACING[2] - 100 + 0.004
    return (
        f"<roi><imageZposition>{height:.3f}</imageZposition>"
        f"<imageSOP_UID>{names[place]}</imageSOP_UID><inclusion>TRUE</inclusion>{edges}</roi>"
    )
