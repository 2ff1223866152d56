"""LIDC-IDRI: chest CTs with lung nodules that four radiologists outlined and rated."""

from __future__ import annotations

import re
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from qoqdata.errors import DuplicateKey, InputError, MissingFile, MissingKey
from qoqdata.readers import dicom, masks, volume
from qoqdata.readers.dicom import SeriesOrder
from qoqdata.readers.dicom.header import read_dicom_header
from qoqdata.readers.square_pixels import resample_nearest
from qoqdata.readers.volume import SlicePolicy, describe
from qoqdata.records import dicoms
from qoqdata.records.content import Mask, Record, Region
from qoqdata.records.images import regions_from_boxes
from qoqdata.sources.asking import ask, ask_boxes, ask_number, translate
from qoqdata.sources.cells import integer
from qoqdata.sources.protocol import Converted, Filtered, Job, Planned, Refused, Skipped, Unit

from ..views import WINDOWS, overview, scale, through
from .consensus import Nodule, join
from .readings import read_readings

_PATIENT = re.compile(r"LIDC-IDRI-\d{4}")
#: The listing that the NBIA Data Retriever writes, and its columns.
LISTING, SERIES, IMAGES = "metadata.csv", "Series UID", "Number of Images"
#: Ordinal tasks, whose grades count from 1, and tasks of patterns.
GRADED = ("malignancy", "subtlety", "texture", "margin", "sphericity")
PATTERNS = {"calcification": "calcification", "internal_structure": "internalStructure"}
#: Grades by which readers may differ for their median to be asked.
SPREAD = 2

#: The fields of a record, or why the question is not asked.
Asked = dict[str, Any] | Skipped


def plan(job: Job) -> Iterator[Planned]:
    """One unit a CT series: folders and readings are joined by the series UID that both name."""
    folders: dict[str, list[str]] = defaultdict(list)
    for path in job.raw.files("*.dcm"):
        folders[path.rpartition("/")[0]].append(path)
    found: dict[str, list[str]] = defaultdict(list)
    for path in job.raw.files("*.xml"):
        try:
            if (readings := read_readings(job, path)) is not None:
                found[readings.series_uid].append(path)
            else:
                yield Filtered(path, "no_ct", "readings of something else than a CT", (path,))
        except InputError as error:
            yield Refused(path, error, (path,))
    counts = _counts(job)
    for folder, paths in sorted(folders.items()):
        name = next((part for part in folder.split("/") if _PATIENT.fullmatch(part)), None)
        try:
            header = read_dicom_header(job.raw.resolve(paths[0]), limits=job.limits)
            if header.modality not in (None, "CT"):
                what = f"a series of {header.modality}"
                yield Filtered(folder, "no_ct", what, tuple(paths))
                continue
            if name is None or (key := header.series_instance_uid) is None:
                raise MissingKey("no folder says whose series this is", where=folder)
            xml = found.pop(key, [])
            if counts.get(key, len(paths)) != len(paths):
                what = f"{len(paths)} slices are there, and {LISTING} counts {counts[key]}"
                raise MissingFile(what, where=folder, fix="fetch the series again")
            if len(xml) != 1:
                kind = DuplicateKey if xml else MissingKey
                raise kind(f"{len(xml)} files of readings name this series", where=folder)
            yield Unit(key, (xml[0], *paths), name, name)
        except InputError as error:
            yield Refused(folder, error, tuple(paths), name)
    for uid, paths in sorted(found.items()):
        absent = MissingFile("the series that it names is not there", where=paths[0])
        yield Refused(f"readings {uid}", absent, tuple(paths))


def _counts(job: Job) -> dict[str, int]:
    """Images of each series by the listing of the download, where it has one."""
    found: dict[str, int] = {}
    for path in job.raw.files(LISTING):
        table = job.raw.csv(path, columns=(SERIES, IMAGES))
        for row in table.iter_rows(named=True):
            if row[SERIES] is not None and (count := integer(row[IMAGES])) is not None:
                found[row[SERIES]] = count
    return found


def convert(unit: Unit, job: Job) -> list[Converted]:
    """Questions about slices of the scan, and about each nodule that readers agree on."""
    readings = read_readings(job, unit.files[0])
    paths = [job.raw.resolve(path) for path in unit.files[1:]]
    order = dicom.read_series_order(paths, limits=job.limits)
    if readings is None or order.ids.series_instance_uid != readings.series_uid:
        raise MissingKey("readings and slices are of different series", where=unit.files[0])
    if order.ids.patient_id not in (None, unit.patient):
        raise MissingKey("its headers name another patient than its folder", where=unit.files[1])
    places = {uid: at for at, uid in enumerate(order.ids.sop_instance_uids) if uid is not None}
    shape = (order.header.rows or 0, order.header.columns or 0)
    nodules, points = join(readings, places, shape)
    asked = [_presence(order, nodules, points, job), _nodules(order, nodules, job)]
    for nodule in nodules:
        asked += _about(nodule, order, job)
    person: dict[str, Any] = {"age": order.header.age, "sex": order.header.sex}
    return [one if isinstance(one, Skipped) else Record(**one, **person) for one in asked]


def _presence(
    order: SeriesOrder, nodules: Sequence[Nodule], points: frozenset[int], job: Job
) -> Asked:
    """Whether slices that were chosen without looking show a nodule, where that is undisputed."""
    policy = overview(job.options, "lung nodule", None)
    indices = dicoms.choose_ordered(policy, order)
    seen = set(indices)
    if any(one.agreed and seen & one.drawn.keys() for one in nodules):
        answer = "Yes"
    elif any(seen & one.everywhere for one in nodules):
        return Skipped("presence", "disputed", "readers do not agree on what the slices show")
    elif seen & points:
        return Skipped("presence", "small_nodule", "the slices show a nodule under 3 mm")
    else:
        answer = "No"
    shown = _shown(order, indices, policy, "lung nodule", job)
    return ask(job.card, "presence", [answer]) | shown


def _nodules(order: SeriesOrder, nodules: Sequence[Nodule], job: Job) -> Asked:
    """All nodules of slices through them, on which readers agree."""
    agreed = [one for one in nodules if one.agreed]
    disputed = set().union(*(one.everywhere for one in nodules if not one.agreed))
    # Where some readers drew an agreed nodule and most did not, nothing is sure either.
    disputed |= set().union(*(one.everywhere - one.drawn.keys() for one in agreed))
    profile = [
        float(at not in disputed and any(at in one.drawn for one in agreed))
        for at in range(len(order.files))
    ]
    if not any(profile):
        reason = "disputed" if nodules else "no_nodule"
        return Skipped("nodules", reason, "no slice shows nodules that readers agree on")
    policy = through(job.options, "lung nodule")
    indices = dicoms.choose_ordered(policy, order, profile=profile)
    drawn, regions = _drawn(order, indices, agreed, 1, job)
    shown = _shown(order, indices, policy, "lung nodule", job)
    fields = ask_boxes(job.card, "nodules", regions) | {"masks": drawn, "regions": regions}
    return fields | shown


def _about(nodule: Nodule, order: SeriesOrder, job: Job) -> Iterator[Asked]:
    """Size and ratings of a nodule, which is shown and boxed."""
    item = f"nodule_{nodule.number}"
    if not nodule.agreed:
        for task in ("diameter", *GRADED, *PATTERNS):
            yield Skipped(task, "disputed", f"{len(nodule.reads)} readers outlined it", item)
        return
    policy = through(job.options, "nodule density", job.options["nodule_slices"])
    profile = [float(at in nodule.drawn) for at in range(len(order.files))]
    indices = dicoms.choose_ordered(policy, order, profile=profile)
    _, regions = _drawn(order, indices, [nodule], len(WINDOWS["nodule density"]), job)
    shown = _shown(order, indices, policy, "nodule density", job)
    shown |= {"regions": tuple(replace(one, role="given") for one in regions), "item": item}
    size = round(nodule.diameter_mm(float(np.prod(order.spacing))), 1)
    measured = {"context": scale(shown["images"])}
    yield ask_number(job.card, "diameter", size, unit="mm") | shown | measured
    for task in GRADED:
        fields = _grade(task, nodule, item, job)
        yield fields if isinstance(fields, Skipped) else fields | shown
    for task, name in PATTERNS.items():
        rated = [read.ratings[name] for read in nodule.reads if name in read.ratings]
        most = statistics.multimode(rated)
        if len(most) != 1 or rated.count(most[0]) * 2 <= len(nodule.reads):
            yield Skipped(task, "disputed" if rated else "not_stated", f"rated {rated}", item)
        else:
            label = translate(job.card, str(most[0]), where=item, task=task)
            yield ask(job.card, task, [label]) | shown


def _grade(task: str, nodule: Nodule, item: str, job: Job) -> Asked:
    options = job.card.tasks[task].options or ()
    grades = [read.ratings[task] for read in nodule.reads if task in read.ratings]
    if len(grades) < len(nodule.reads) or not all(1 <= one <= len(options) for one in grades):
        return Skipped(task, "not_stated", f"rated {grades}", item)
    median = statistics.median(grades)
    if max(grades) - min(grades) > SPREAD or median != int(median):
        return Skipped(task, "disputed", f"rated {grades}", item)
    return ask(job.card, task, [options[int(median) - 1]])


def _drawn(
    order: SeriesOrder, indices: Sequence[int], nodules: Sequence[Nodule], windows: int, job: Job
) -> tuple[tuple[Mask, ...], tuple[Region, ...]]:
    """Masks and boxes of nodules on the first image of each slice."""
    codes = job.card.mask_codes
    drawn, regions = list[Mask](), list[Region]()
    for place, index in enumerate(indices):
        frame = dicoms.order_frame(order, index)
        together = np.zeros(frame.shape, np.uint8)
        for nodule in nodules:
            if index not in nodule.drawn:
                continue
            one = volume.upright(nodule.drawn[index].astype(np.uint8), frame)
            one = resample_nearest(one, frame.shape)
            regions += regions_from_boxes(masks.boxes(one, codes), image=place * windows)
            together |= one
        drawn.append(Mask(together, place * windows))
    return tuple(drawn), tuple(regions)


def _shown(
    order: SeriesOrder, indices: Sequence[int], policy: SlicePolicy, sought: str, job: Job
) -> dict[str, Any]:
    images, notes = dicoms.ordered_images(order, indices, WINDOWS[sought], limits=job.limits)
    how = f"slices: {describe(policy)}, of {len(order.files)}"
    return {"images": images, "notes": (how, *notes)}
