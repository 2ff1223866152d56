"""Questions about a head CT: about each slice, slices spread over the scan, and its blood."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from qoqdata.readers import masks
from qoqdata.readers.volume import SlicePolicy, choose, describe
from qoqdata.records.content import Mask
from qoqdata.records.images import regions_from_boxes
from qoqdata.sources.asking import ask, ask_boxes, ask_number
from qoqdata.sources.protocol import Job, Skipped

from ..views import overview, scale, through
from .scans import Scan
from .tables import TYPES

#: Boxes of fewer pixels of a mask are specks.
LEAST_AREA = 4

#: The fields of a record, or why the question is not asked.
Asked = dict[str, Any] | Skipped


def about_slice(number: int, said: Mapping[str, Any], scan: Scan, job: Job) -> Iterator[Asked]:
    """What a slice shows of blood, in the brain window, and of the skull, in the bone window."""
    item = f"slice_{number}"
    drawn = scan.outlines.get(number)
    bleeding = drawn is not None and bool(drawn.any())
    fault = None
    if said["types"] is None:
        fault = ("not_stated" if said["blank"] else "contradiction", "its row says no one thing")
    elif bleeding and not said["types"]:
        fault = ("contradiction", "bleeding is outlined, and the row says there is none")
    shown = scan.shown([number], "haemorrhage") if fault is None else None
    if fault is None and shown is None:
        fault = ("no_brain_window", "the slice is not there in the brain window")
    for task in ("haemorrhage", "types", "bleeding"):
        if fault is not None:
            yield Skipped(task, *fault, item=item)
    if shown is not None:
        label = "Haemorrhage" if said["types"] else "No haemorrhage"
        yield ask(job.card, "haemorrhage", [label]) | shown | {"item": item}
        if said["types"]:
            absent = [one for one in TYPES if one not in said["types"]]
            yield ask(job.card, "types", said["types"], absent=absent) | shown | {"item": item}
            if bleeding:
                yield _bleeding(number, scan, job) | {"item": item}
            else:
                yield Skipped("bleeding", "not_drawn", "no outline of this slice", item)
    bone = scan.shown([number], "skull fracture")
    if said["fracture"] is None or bone is None:
        reason = "not_stated" if said["fracture"] is None else "no_bone_window"
        yield Skipped("fracture", reason, "", item)
    else:
        label = "Yes" if said["fracture"] else "No"
        yield ask(job.card, "fracture", [label]) | bone | {"item": item}


def _bleeding(number: int, scan: Scan, job: Job) -> dict[str, Any]:
    """Boxes of the areas of bleeding, on the brain window."""
    codes = scan.outlines[number]
    found = masks.boxes(codes, job.card.mask_codes, instances=True, min_area=LEAST_AREA)
    found = found or masks.boxes(codes, job.card.mask_codes)
    regions = regions_from_boxes(found, image=0)
    fields = ask_boxes(job.card, "bleeding", regions) | {"regions": regions}
    return fields | {"masks": (Mask(codes),)} | (scan.shown([number], "haemorrhage outline") or {})


def scan_types(facts: Mapping[int, Mapping[str, Any]], scan: Scan, job: Job) -> Asked:
    """What is on slices spread over the scan, of those that the brain window shows."""
    numbers = [number for number in scan.numbers if scan.has_brain(number) and number in facts]
    if not numbers:
        return Skipped("scan_types", "no_brain_window", "no slice in the brain window")
    policy = overview(job.options, "haemorrhage outline", None)
    chosen = [numbers[at] for at in choose(policy, len(numbers))]
    said = [facts[number]["types"] for number in chosen]
    if None in said:
        return Skipped("scan_types", "contradiction", "the row of a slice says no one thing")
    present = {one for some in said for one in some}
    fields = ask(job.card, "scan_types", present or ["No haemorrhage"])
    return fields | (scan.shown(chosen, "haemorrhage outline", describe(policy)) or {})


def blood_volume(scan: Scan, job: Job) -> Asked:
    """The volume of all that is outlined, on slices through it."""
    if scan.voxel_ml is None:
        return Skipped("volume", "no_spacing", "JPEG slices have no spacing")
    pixels = {number: int((codes != 0).sum()) for number, codes in scan.outlines.items()}
    bleeding = [number for number in scan.numbers if pixels.get(number)]
    if not bleeding:
        return Skipped("volume", "no_haemorrhage", "nothing is outlined")
    policy = through(job.options, "haemorrhage outline")
    chosen = [
        bleeding[at] for at in choose(SlicePolicy(count=policy.count, inner=0), len(bleeding))
    ]
    volume = round(scan.voxel_ml * sum(pixels.values()), 1)
    fields = ask_number(job.card, "volume", volume, unit="mL")
    shown = scan.shown(chosen, "haemorrhage outline", describe(policy)) or {}
    return fields | shown | {"context": scale(shown["images"])}
