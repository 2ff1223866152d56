"""CHASE_DB1: fundus photographs of children, with the vessels that two observers drew."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from qoqdata.errors import BadTable, DuplicateKey, InputError, MissingFile, MissingKey
from qoqdata.readers import masks
from qoqdata.records.content import Mask, Record
from qoqdata.sources.asking import ask_number
from qoqdata.sources.protocol import Converted, Job, Planned, Refused, Unit

from ..photographs import ask_side, eye_image

OBSERVERS = ("1stHO", "2ndHO")
SIDES = {"L": "left", "R": "right"}
_NAME = re.compile(r"Image_(\d+)([LR])(?:_(1stHO|2ndHO))?", re.IGNORECASE)


def plan(job: Job) -> Iterator[Planned]:
    """One unit a photograph, with both drawings, by the names of the files."""
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    for path in job.raw.files("*.jpg", "*.png"):
        named = _NAME.fullmatch(path.rpartition("/")[2].rpartition(".")[0])
        if named is None:
            what = "is not named Image_<number><L or R>, with or without an observer"
            yield Refused(path, MissingKey(what, where=path), (path,))
            continue
        eye = found.setdefault((str(int(named[1])), named[2].upper()), {})
        eye.setdefault(named[3] or "", []).append(path)
    if not found:
        raise MissingFile("holds no photograph", where="the raw folder", fix="unpack CHASEDB1.zip")
    for (child, side), files in sorted(found.items()):
        key, there = f"{child}{side}", tuple(path for some in files.values() for path in some)
        try:
            parts = [_only(files.get(part, []), part, key) for part in ("", *OBSERVERS)]
        except InputError as error:
            yield Refused(key, error, there, child)
            continue
        yield Unit(key, tuple(parts), child, child, facts={"side": SIDES[side]})


def convert(unit: Unit, job: Job) -> list[Converted]:
    """The share of the vessels, with both drawings, and which eye it is."""
    side = unit.facts["side"]
    image, notes = eye_image(unit.files[0], job, side)
    drawn = []
    for path, observer in zip(unit.files[1:], OBSERVERS, strict=True):
        file, codes = job.raw.resolve(path), job.card.mask_codes
        # The published drawings have one bit, copies eight.
        mask = masks.read_mask(file, codes=codes, binarise=True, limits=job.limits)
        if mask.codes.shape != (image.height, image.width):
            raise BadTable(f"is of {mask.codes.shape}, its photograph is not", where=path)
        drawn.append(Mask(mask.codes, reader=observer))
    share = 100 * np.count_nonzero(drawn[0].codes) / drawn[0].codes.size
    vessels = ask_number(job.card, "vessels", round(share, 1), unit="%")
    return [
        Record(**vessels, images=(image,), masks=tuple(drawn), notes=notes),
        Record(**ask_side(job, image, side), notes=notes),
    ]


def _only(paths: list[str], part: str, key: str) -> str:
    what = part or "photograph"
    if not paths:
        raise MissingFile(f"has no {what}", where=key, fix="unpack CHASEDB1.zip again")
    if len(paths) > 1:
        raise DuplicateKey(f"has {len(paths)} files of {what}", where=key, fix="keep one")
    return paths[0]
