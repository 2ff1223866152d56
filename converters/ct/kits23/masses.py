"""Questions about the masses of a case that has its imaging."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from qoqdata.readers import masks, volume
from qoqdata.readers.dicom import Window
from qoqdata.readers.volume import SlicePolicy, Volume
from qoqdata.records import slices
from qoqdata.records.content import Region
from qoqdata.records.images import regions_from_boxes
from qoqdata.records.slices import CutSlices
from qoqdata.sources.asking import ask, ask_boxes, ask_number, translate
from qoqdata.sources.protocol import Job, Skipped

from ..views import scale, through
from .bodies import TUMOUR, largest_extent_cm, separate_tumours, side_of_tumour

#: Codes of what is a mass, and of a kidney.
KIDNEY = 1
#: cm by which the mask's extent and the stated size may differ.
AGREES_CM = 1.0
#: Boxes of fewer pixels of a mask are specks.
LEAST_AREA = 4
#: What a table says of pathology that was not done.
NOT_DONE = ("na", "x", "X")

#: The fields of a record, or why the question is not asked.
Asked = dict[str, Any] | Skipped


def cut_masses(scan: Volume, mask: Volume, policy: SlicePolicy, job: Job) -> CutSlices:
    """Slices with masks and boxes, through the window of the card's options."""
    window = Window(job.options["window_centre"], job.options["window_width"], "LINEAR_EXACT")
    return slices.cut_slices(scan, mask, job.card.mask_codes, policy=policy, window=window)


def shown_fields(cut: CutSlices) -> dict[str, Any]:
    """The fields of a record that shows a cut, with all its masks and boxes."""
    return {
        "images": cut.images, "masks": cut.masks, "regions": cut.regions, "notes": cut.notes
    }  # fmt: skip


def about_masses(facts: Mapping[str, Any], scan: Volume, mask: Volume, job: Job) -> Iterator[Asked]:
    """Where the masses are, which kidney, how many; size and pathology of the marked tumour."""
    masses = replace(mask, voxels=np.where(mask.voxels == KIDNEY, 0, mask.voxels))
    tumour = replace(mask, voxels=np.where(mask.voxels == TUMOUR, mask.voxels, 0))
    if not tumour.voxels.any():
        for task in job.card.tasks:
            if task != "diagnosis":
                yield Skipped(task, "no_tumour", "the mask has no tumour")
        return
    policy = through(job.options, "kidney mass")
    yield _masses(cut_masses(scan, masses, policy, job), job)
    cut = cut_masses(scan, tumour, policy, job)
    shown = {"images": cut.images, "notes": cut.notes}
    side = side_of_tumour(mask)
    if mask.sideless is not None:
        yield Skipped("side", "side_not_known", f"left and right are not known: {mask.sideless}")
    elif side is None:
        yield Skipped("side", "not_told", "the mask does not show two kidneys, one with the tumour")
    else:
        yield ask(job.card, "side", [side]) | shown
    yield _count(facts["tumours"], tumour, cut, shown, job)
    given = tuple(replace(one, role="given") for one in cut.regions or ())
    yield _size(facts["size"], tumour, shown | {"regions": given}, job)
    for task in ("subtype", "stage", "grade"):
        cell = facts[task]
        if cell is None or cell in NOT_DONE:
            yield Skipped(task, "not_stated", f"the table says {cell}")
        else:
            option = translate(job.card, str(cell), where=f"{task} of the table", task=task)
            yield ask(job.card, task, [option]) | shown | {"regions": given}
    if facts["necrosis"] is None:
        yield Skipped("necrosis", "not_stated", "the table says nothing")
    else:
        answer = "Yes" if facts["necrosis"] else "No"
        yield ask(job.card, "necrosis", [answer]) | shown | {"regions": given}


def _masses(cut: CutSlices, job: Job) -> Asked:
    """A box around each body of tumour and cyst on each slice."""
    codes = {code: name for code, name in job.card.mask_codes.items() if code != KIDNEY}
    regions: list[Region] = []
    for one in cut.masks or ():
        found = masks.boxes(one.codes, codes, instances=True, min_area=LEAST_AREA)
        found = found or masks.boxes(one.codes, codes, instances=True)
        regions += regions_from_boxes(found, image=one.image)
    fields = ask_boxes(job.card, "masses", regions) | {"regions": tuple(regions)}
    return fields | {"images": cut.images, "masks": cut.masks, "notes": cut.notes}


def _count(
    stated: int | None, tumour: Volume, cut: CutSlices, shown: Mapping[str, Any], job: Job
) -> Asked:
    """The number of instances, where bodies of the mask bear it out and all of them are shown."""
    if stated is None:
        return Skipped("count", "no_instances", "the folder instances is not there")
    bodies, count = separate_tumours(tumour)
    if stated != count:
        what = f"{stated} instances, and {count} bodies in the mask"
        return Skipped("count", "contradiction", what)
    axis = volume.axis_of_plane(tumour.affine, "axial")
    indices = [image.index for image in cut.images or () if image.index is not None]
    planes = (volume.voxel_plane(bodies, axis, index) for index in indices)
    seen = {int(body) for plane in planes for body in np.unique(plane)} - {0}
    if len(seen) < count:
        return Skipped("count", "not_shown", f"{len(seen)} of {count} tumours are on these slices")
    return ask_number(job.card, "count", count, unit="1") | dict(shown)


def _size(stated: float | None, tumour: Volume, shown: Mapping[str, Any], job: Job) -> Asked:
    if stated is None:
        return Skipped("size", "not_stated", "the table has no radiographic size")
    extent = largest_extent_cm(tumour)
    if abs(extent - stated) > AGREES_CM:
        what = f"{stated:g} cm by the table, {extent:.1f} cm by the mask"
        return Skipped("size", "contradiction", what)
    fields = ask_number(job.card, "size", stated, unit="cm") | dict(shown)
    return fields | {"context": scale(fields["images"])}
