"""RSPECT: CT pulmonary angiograms with labels by study and by slice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from qoqdata.errors import MissingKey
from qoqdata.readers import dicom
from qoqdata.readers.dicom import SeriesOrder
from qoqdata.readers.volume import SlicePolicy, describe
from qoqdata.records import dicoms
from qoqdata.records.content import Record
from qoqdata.sources.asking import ask
from qoqdata.sources.protocol import Converted, Job, Planned, Skipped, Unit

from ..views import WINDOWS, overview, through
from .studies import INDETERMINATE, NEGATIVE, plan_studies

SOUGHT = "embolism"
QUALITY = {"qa_motion": "Motion", "qa_contrast": "Poor contrast", "flow_artifact": "Flow artefact"}
SIDES = {"rightsided_pe": "Right-sided", "leftsided_pe": "Left-sided", "central_pe": "Central"}
AGES = {"chronic_pe": "Chronic", "acute_and_chronic_pe": "Acute on chronic"}
RATIOS = {"rv_lv_ratio_lt_1": "RV/LV below 1", "rv_lv_ratio_gte_1": "RV/LV 1 or more"}
#: Places from a positive slice within which a slice without the label is not taken for negative.
NEAR = 3

#: The fields of a record, or why the question is not asked.
Asked = dict[str, Any] | Skipped


def plan(job: Job) -> Iterator[Planned]:
    """One unit a study, with all its slices."""
    return plan_studies(job)


def convert(unit: Unit, job: Job) -> list[Converted]:
    """Questions about the study, about its embolism, and about a few of its slices."""
    order = dicom.read_series_order(
        [job.raw.resolve(path) for path in unit.files], limits=job.limits
    )
    stems = [path.stem for path, _ in order.files]
    _check_slices(order, stems, unit)
    positive = [float(stem in set(unit.facts["positive"])) for stem in stems]
    verdict = _verdict(unit)
    person: dict[str, Any] = {"age": order.header.age, "sex": order.header.sex}

    whole = _shown(order, overview(job.options, SOUGHT, unit.split), positive, job)
    asked: list[tuple[Asked, dict[str, Any]]] = [
        (one, whole) for one in _about_study(unit, verdict, job)
    ]
    if verdict == "Embolism":
        clot = _shown(order, through(job.options, SOUGHT), positive, job)
        asked += [(one, clot) for one in _about_embolism(unit, job)]
        asked.append((_only("ventricles", RATIOS, unit, job), whole))
    else:
        reason = "contradiction" if verdict is None else "no_embolism"
        asked += [(Skipped(task, reason), {}) for task in ("acuity", "location", "ventricles")]
    asked += _about_slices(order, stems, positive, verdict, job)
    return [
        one if isinstance(one, Skipped) else Record(**one, **shown, **person)
        for one, shown in asked
    ]


def _check_slices(order: SeriesOrder, stems: list[str], unit: Unit) -> None:
    """Raise MissingKey for a header that names another slice of the study than its file does."""
    names = set(stems)
    for stem, uid in zip(stems, order.ids.sop_instance_uids, strict=True):
        if uid != stem and uid in names:
            raise MissingKey("the file holds another slice than it is named after", where=stem)
    if len(names) < len(unit.files):
        raise MissingKey("two files of the study have one name", where=unit.key)


def _verdict(unit: Unit) -> str | None:
    """What the study was read as; None where its columns and slices contradict each other."""
    facts = unit.facts
    stated = [name for name in (NEGATIVE, INDETERMINATE) if facts[name]]
    if len(stated) > 1 or bool(stated) == bool(facts["positive"]):
        return None
    return (
        {NEGATIVE: "No embolism", INDETERMINATE: "Indeterminate"}[stated[0]]
        if stated
        else "Embolism"
    )


def _about_study(unit: Unit, verdict: str | None, job: Job) -> Iterator[Asked]:
    facts = unit.facts
    if verdict is None:
        what = f"read as {facts}"[:200]
        yield Skipped("embolism", "contradiction", what)
    else:
        yield ask(job.card, "embolism", [verdict])
    faults = [option for column, option in QUALITY.items() if facts[column]]
    yield ask(job.card, "quality", faults or ["No limitation noted"])
    yield ask(job.card, "other_defect", ["Yes" if facts["true_filling_defect_not_pe"] else "No"])


def _about_embolism(unit: Unit, job: Job) -> Iterator[Asked]:
    ages = [option for column, option in AGES.items() if unit.facts[column]]
    if len(ages) > 1:
        yield Skipped("acuity", "contradiction", "chronic, and acute and chronic")
    else:
        yield ask(job.card, "acuity", ages or ["Acute"])
    sides = [option for column, option in SIDES.items() if unit.facts[column]]
    if sides:
        yield ask(job.card, "location", sides)
    else:
        yield Skipped("location", "not_stated", "neither a side nor central")


def _only(task: str, columns: dict[str, str], unit: Unit, job: Job) -> Asked:
    """A question answered by the one column that is set."""
    stated = [option for column, option in columns.items() if unit.facts[column]]
    if len(stated) == 1:
        return ask(job.card, task, stated)
    return Skipped(task, "contradiction" if stated else "not_stated", " and ".join(stated))


def _about_slices(
    order: SeriesOrder, stems: list[str], positive: list[float], verdict: str | None, job: Job
) -> Iterator[tuple[Asked, dict[str, Any]]]:
    """A few slices with embolism, and as many without, far from those that have it."""
    if verdict not in ("Embolism", "No embolism"):
        reason = "contradiction" if verdict is None else "indeterminate"
        yield Skipped("slice_embolism", reason), {}
        return
    near = [any(positive[max(0, at - NEAR) : at + NEAR + 1]) for at in range(len(positive))]
    profiles = {"Yes": positive, "No": [float(not one) for one in near]}
    policy = SlicePolicy("mask", count=job.options["single_slices"])
    for answer, profile in profiles.items():
        if not any(profile):
            continue
        for index in dicoms.choose_ordered(policy, order, profile=profile):
            fields = ask(job.card, "slice_embolism", [answer]) | {"item": stems[index]}
            images, notes = dicoms.ordered_images(
                order, [index], WINDOWS[SOUGHT], limits=job.limits
            )
            yield fields, {"images": images, "notes": notes}


def _shown(
    order: SeriesOrder, policy: SlicePolicy, positive: list[float], job: Job
) -> dict[str, Any]:
    """Slices by the policy through the windows for embolism; where none is positive, uniform."""
    if policy.kind == "mask" and not any(positive):
        policy = SlicePolicy("uniform", policy.count, plane=policy.plane)
    indices = dicoms.choose_ordered(policy, order, profile=positive)
    images, notes = dicoms.ordered_images(order, indices, WINDOWS[SOUGHT], limits=job.limits)
    return {
        "images": images,
        "notes": (f"slices: {describe(policy)}, of {len(order.files)}", *notes),
    }
