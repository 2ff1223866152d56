"""Questions about a scan of LNDb: about its slices, all its nodules, and each finding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from qoqdata.errors import BadTable
from qoqdata.readers import volume
from qoqdata.readers.volume import SlicePolicy, Volume
from qoqdata.records.content import Region
from qoqdata.records.slices import CutSlices, cut_slices
from qoqdata.sources.asking import ask, ask_boxes, ask_number, translate
from qoqdata.sources.protocol import Job, Skipped, Unit

from ..views import overview, scale, through, windows_of
from .findings import agreed, diameter_mm, outlined
from .outlines import Outlines

#: Upper bounds of the readers' mean texture, from ground glass to solid.
TEXTURES = (7 / 3, 11 / 3)
#: The side of the box around a finding that is a point, in mm.
SPOT_MM = 12.0

#: The fields of a record, or why the question is not asked.
Asked = dict[str, Any] | Skipped


def presence(scan: Volume, drawn: Outlines, job: Job) -> Asked:
    """Whether slices that were chosen without looking show a nodule, where that is undisputed."""
    policy = overview(job.options, "lung nodule", None)
    _, indices = volume.choose_slices(policy, scan)
    at = list(indices)
    if drawn.profile()[at].any():
        answer = "Yes"
    elif drawn.disputed[at].any():
        return Skipped("presence", "disputed", "fewer than half of the readers outlined a nodule")
    elif drawn.small[at].any():
        return Skipped("presence", "small_nodule", "the slices show a nodule under 3 mm")
    else:
        answer = "No"
    cut = cut_slices(scan, None, {}, policy=policy, window=windows_of("lung nodule"))
    return ask(job.card, "presence", [answer]) | {"images": cut.images, "notes": cut.notes}


def nodules(scan: Volume, drawn: Outlines, job: Job) -> Asked:
    """All nodules of slices through them, on which readers agree."""
    profile = drawn.profile() * ~drawn.disputed
    if not profile.any():
        reason = "disputed" if drawn.disputed.any() else "no_nodule"
        return Skipped("nodules", reason, "no slice shows nodules that readers agree on")
    cut = _cut(scan, drawn, profile, None, job.options["slices"], "lung nodule", job)
    fields = ask_boxes(job.card, "nodules", cut.regions or ())
    return fields | {
        "images": cut.images, "masks": cut.masks, "regions": cut.regions, "notes": cut.notes
    }  # fmt: skip


def about_nodule(
    finding: Mapping[str, Any], scan: Volume, drawn: Outlines, readers: int, job: Job
) -> Iterator[Asked]:
    """Size and texture of an agreed nodule, which is shown and boxed."""
    item = f"finding_{finding['number']}"
    if not outlined(finding):
        return
    if finding["number"] not in drawn.nodules:
        reason = "not_drawn" if agreed(finding, readers) else "disputed"
        for task in ("diameter", "texture"):
            yield Skipped(task, reason, "readers do not share its outline", item)
        return
    number = finding["number"]
    cut = _cut(
        scan, drawn, drawn.profile(number), number, job.options["nodule_slices"],
        "nodule density", job,
    )  # fmt: skip
    shown = {"images": cut.images, "regions": _given(cut.regions), "notes": cut.notes, "item": item}
    size = round(diameter_mm(finding), 1)
    measured = {"context": scale(cut.images or ())}
    yield ask_number(job.card, "diameter", size, unit="mm") | shown | measured
    grades = [mark["texture"] for mark in outlined(finding)]
    if None in grades or not all(1 <= grade <= 5 for grade in grades):
        yield Skipped("texture", "not_stated", f"graded {grades}", item)
    elif max(grades) - min(grades) > 1:
        yield Skipped("texture", "disputed", f"graded {grades}", item)
    else:
        options = job.card.tasks["texture"].options or ()
        mean = sum(grades) / len(grades)
        grade = options[sum(mean > bound for bound in TEXTURES)]
        yield ask(job.card, "texture", [grade]) | shown


def about_spot(
    finding: Mapping[str, Any], scan: Volume, drawn: Outlines, readers: int, job: Job
) -> Iterator[Asked]:
    """Whether a finding that is a point, marked by most readers, is a nodule."""
    if outlined(finding):
        return
    item = f"finding_{finding['number']}"
    if len(finding["marks"]) * 2 <= readers:
        yield Skipped("spot", "disputed", "at most half of the readers marked it", item)
        return
    if len({mark["nodule"] for mark in finding["marks"]}) > 1:
        yield Skipped("spot", "disputed", "readers differ about what it is", item)
        return
    place = drawn.points[finding["number"]]
    index = round(place[drawn.axis])
    if not 0 <= index < scan.voxels.shape[drawn.axis]:
        what = f"the finding {finding['number']} lies outside of the scan"
        raise BadTable(what, where=scan.where)
    policy = SlicePolicy("index", indices=(index,), plane="axial")
    cut = cut_slices(scan, None, {}, policy=policy, window=windows_of("lung nodule"))
    frame = volume.slice_frame(scan.voxels.shape, scan.affine, drawn.axis, index, square=True)
    x, y = volume.stored_from_voxel(frame, place[None])[0]
    half_x, half_y = (SPOT_MM / 2 / mm for mm in frame.spacing[::-1])
    box = Region(
        "lesion",
        0,
        max(0.0, float(x - half_x)),
        max(0.0, float(y - half_y)),
        min(float(frame.shape[1]), float(x + half_x)),
        min(float(frame.shape[0]), float(y + half_y)),
        role="given",
    )
    kind = "Nodule" if finding["marks"][0]["nodule"] else "Other lesion"
    fields = ask(job.card, "spot", [kind]) | {"item": item, "regions": (box,)}
    yield fields | {"images": cut.images, "notes": cut.notes}


def follow_up(
    scan: Volume, drawn: Outlines, facts: Mapping[str, Any], unit: Unit, job: Job
) -> Asked:
    """What the largest agreed nodules call for, each on the slice that shows most of it."""
    if not drawn.nodules:
        return Skipped("follow_up", "no_nodule", "no nodule that readers agree on")
    largest = sorted(drawn.nodules, key=lambda number: -diameter_mm(drawn.nodules[number]))
    most = through(job.options, "lung nodule").count
    places = {int(np.argmax(drawn.profile(number))) for number in largest[:most]}
    profile = np.isin(np.arange(scan.voxels.shape[drawn.axis]), sorted(places))
    cut = _cut(scan, drawn, profile, None, len(places), "lung nodule", job)
    label = translate(job.card, facts["follow_up"], where=unit.key, task="follow_up")
    fields = ask(job.card, "follow_up", [label]) | {"regions": _given(cut.regions)}
    shown = {"images": cut.images, "notes": cut.notes, "context": scale(cut.images or ())}
    return fields | shown


def _cut(
    scan: Volume,
    drawn: Outlines,
    profile: np.ndarray,
    number: int | None,
    slices: int,
    sought: str,
    job: Job,
) -> CutSlices:
    """Slices from those where `profile` is above 0, with the outline of one nodule or of all."""
    policy = through(job.options, sought, slices)
    indices = volume.choose(policy, len(profile), mask_profile=profile)
    numbers = drawn.numbers
    if number is not None:
        only = np.where(numbers.voxels == number, numbers.voxels, 0).astype(np.uint16)
        numbers = replace(numbers, voxels=only)
    cut = cut_slices(
        scan,
        numbers,
        dict.fromkeys(drawn.nodules, job.card.mask_codes[1]),
        policy=SlicePolicy("index", indices=indices, plane="axial"),
        window=windows_of(sought),
    )
    masks = tuple(
        replace(mask, codes=(mask.codes != 0).astype(np.uint8)) for mask in cut.masks or ()
    )
    return replace(cut, masks=masks, notes=(f"slices: {volume.describe(policy)}", *cut.notes[1:]))


def _given(regions: Sequence[Region] | None) -> tuple[Region, ...]:
    return tuple(replace(region, role="given") for region in regions or ())
