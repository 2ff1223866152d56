"""BCSS: regions of breast cancer slides with a code of tissue for each pixel, cut into tiles."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from qoqdata.contract.vocabulary import Split
from qoqdata.errors import BadTable, DuplicateKey, InputError, MissingFile, MissingKey
from qoqdata.readers import masks
from qoqdata.records.content import Image, Mask
from qoqdata.records.images import image_from_file
from qoqdata.sources.cells import integer, text
from qoqdata.sources.joining import Row, rows_by_key
from qoqdata.sources.protocol import Converted, Job, Planned, Refused, Unit

from .tiles import IGNORED, grid, questions

CODES, BOUNDS = "meta/gtruth_codes.tsv", "meta/roiBounds.csv"
NAME = re.compile(
    r"(?P<slide>(?P<patient>TCGA-(?P<site>[A-Z0-9]{2})-[A-Z0-9]{4})-DX\d)"
    r"_xmin(?P<xmin>\d+)_ymin(?P<ymin>\d+)_MPP-(?P<mpp>\d+\.\d+)"
)
#: Hospitals of the official test.
TEST_SITES = frozenset({"OL", "LL", "E2", "EW", "GM", "S3"})
FOLDERS = ("images", "masks")


def plan(job: Job) -> Iterator[Planned]:
    """One unit a region; images, masks and bounds are joined by slide."""
    _check_codes(job)
    rows = _bounds(job)
    files: dict[str, dict[str, list[str]]] = {}
    for path in job.raw.files("*.png"):
        folder, match = path.split("/")[-2:-1], NAME.fullmatch(_stem(path))
        if match is None or not folder or folder[0] not in FOLDERS:
            error = MissingKey("is no region of a slide in images or masks", where=path)
            yield Refused(path, error, (path,))
            continue
        files.setdefault(match["slide"], {}).setdefault(folder[0], []).append(path)
    for slide in sorted({*rows, *files}):
        found = files.get(slide, {})
        paths = tuple(path for folder in FOLDERS for path in found.get(folder, ()))
        site = slide.split("-")[1] if slide.startswith("TCGA-") else ""
        split: Split = "test" if site in TEST_SITES else "train"
        try:
            yield _unit(slide, rows.get(slide, []), found, site, split)
        except InputError as error:
            yield Refused(slide, error, paths, group=site or None, split=split)


def convert(unit: Unit, job: Job) -> list[Converted]:
    """Every tile of the region with its questions; tiles do not overlap."""
    image_path, mask_path = (job.raw.resolve(path) for path in unit.files)
    image, notes = image_from_file(image_path, limits=job.limits)
    shape = (image.height, image.width)
    ignore = [code for code, name in job.card.mask_codes.items() if name in IGNORED]
    label_map = masks.read_mask(
        mask_path, codes=job.card.mask_codes, ignore=ignore, limits=job.limits
    )
    codes = masks.align(label_map.codes, shape)
    notes = (*notes, *label_map.notes)
    spacing = (unit.facts["mpp"] / 1000,) * 2
    asked: list[Converted] = []
    for rows, columns in grid(shape, job.options["tile"]):
        tile = codes[rows, columns].astype(np.uint8)
        shown = Image(np.ascontiguousarray(image.pixels[rows, columns]), spacing=spacing)
        item = f"x{columns.start}_y{rows.start}"
        shared: dict[str, Any] = {"images": (shown,), "masks": (Mask(tile),), "notes": notes}
        asked += questions(tile, job.card, item, shared)
    return asked


def _bounds(job: Job) -> dict[str, list[Row]]:
    """Rows of bounds by slide, whose column has no heading in the publisher's table."""
    table = job.raw.csv(BOUNDS, columns=("xmin", "ymin"))
    heading = next((name for name in ("", "slide") if name in table.columns), None)
    if heading is None:
        raise BadTable("has no column of slides", where=BOUNDS, fix="fetch it again")
    return rows_by_key(table, heading, where=BOUNDS)


def _check_codes(job: Job) -> None:
    """The publisher's codes must be those of the card: a shifted code changes every answer."""
    table = job.raw.csv(CODES, columns=("label", "GT_code"), separator="\t")
    stated = {integer(row["GT_code"]): text(row["label"]) for row in table.iter_rows(named=True)}
    if stated != dict(job.card.mask_codes):
        strays = sorted(str(one) for one in stated.items() ^ job.card.mask_codes.items())
        what = f"codes are not those of the card, such as {strays[0]}"
        raise BadTable(what, where=CODES, fix="fetch the table of the same release as the masks")


def _unit(
    slide: str, rows: list[Row], found: dict[str, list[str]], site: str, split: Split
) -> Unit:
    if not rows:
        raise MissingKey(f"{BOUNDS} does not list this slide", where=slide)
    for folder in FOLDERS:
        if not (paths := found.get(folder)):
            fix = "run the download script again"
            raise MissingFile(f"has no file in {folder}", where=slide, fix=fix)
        if len(paths) > 1 or len(rows) > 1:
            what = f"has {len(rows)} rows of bounds and {len(paths)} files in {folder}"
            raise DuplicateKey(what, where=slide, fix="keep one region a slide")
    (image,), (mask,) = (found[folder] for folder in FOLDERS)
    match = NAME.fullmatch(_stem(image))
    if _stem(image) != _stem(mask) or match is None:
        what = f"image and mask are of different regions: {_stem(image)} and {_stem(mask)}"
        raise MissingKey(what, where=slide)
    corner = [integer(rows[0][side]) for side in ("xmin", "ymin")]
    if corner != [int(match["xmin"]), int(match["ymin"])]:
        what = f"its region begins at {corner} by {BOUNDS}, and elsewhere by its name"
        raise BadTable(what, where=slide)
    facts = {"mpp": float(match["mpp"])}
    return Unit(_stem(image), (image, mask), site, match["patient"], split, facts)


def _stem(path: str) -> str:
    return path.rpartition("/")[2].removesuffix(".png")
