"""Questions about a scan of LIDC: about its slices, all its nodules, and each of them."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from qoqdata.readers import masks, volume
from qoqdata.readers.dicom import SeriesOrder
from qoqdata.readers.square_pixels import resample_nearest
from qoqdata.readers.volume import SlicePolicy, describe
from qoqdata.records import dicoms
from qoqdata.records.content import Mask, Region
from qoqdata.records.images import regions_from_boxes
from qoqdata.sources.asking import ask, ask_boxes, ask_number, translate
from qoqdata.sources.protocol import Job, Skipped

from ..views import WINDOWS, overview, scale, through
from .consensus import Nodule

#: Ordinal tasks, whose grades count from 1, and tasks of patterns.
GRADED = ("malignancy", "subtlety", "texture", "margin", "sphericity")
PATTERNS = {"calcification": "calcification", "internal_structure": "internalStructure"}
#: Grades by which readers may differ for their median to be asked.
SPREAD = 2

#: The fields of a record, or why the question is not asked.
Asked = dict[str, Any] | Skipped


def presence(
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


def all_nodules(order: SeriesOrder, nodules: Sequence[Nodule], job: Job) -> Asked:
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


def about(nodule: Nodule, order: SeriesOrder, job: Job) -> Iterator[Asked]:
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
