"""Four folders of brain MRI slices in two parts; the folder is the label."""

from __future__ import annotations

from collections.abc import Iterator

from qoqdata.contract.vocabulary import Split
from qoqdata.records.content import Record
from qoqdata.records.images import image_from_file
from qoqdata.sources.asking import ask, translate
from qoqdata.sources.protocol import Converted, Job, Planned, Skipped, Unit

from ..folder_labels import LabelledImage, plan_images

#: In this order files of the same bytes are kept: those of test give way.
PARTS: dict[str, Split] = {"training": "train", "testing": "test"}
CLASSES = ("no_tumor", "glioma_tumor", "meningioma_tumor", "pituitary_tumor")
TASKS = ("tumor", "presence", "origin")
DOUBTED = ("testing", "glioma_tumor")
DOUBT = "the label of Testing/glioma_tumor is widely reported as unreliable"


def plan(job: Job) -> Iterator[Planned]:
    """One unit an image of Training and Testing."""
    yield from plan_images(job, (tuple(PARTS), CLASSES), _unit)


def convert(unit: Unit, job: Job) -> list[Converted]:
    """Which tumour, whether there is one, and where it arises."""
    image, notes = image_from_file(job.raw.resolve(unit.files[0]), limits=job.limits)
    part, label = unit.facts["part"], unit.facts["label"]
    if (part, label) == DOUBTED:
        notes = (*notes, DOUBT)
    asked: list[Converted] = []
    for task in TASKS:
        if task == "origin" and label == "no_tumor":
            asked.append(Skipped(task, "no_tumor", "there is no tumour"))
            continue
        option = translate(job.card, label, where=unit.key, task=task)
        asked.append(Record(**ask(job.card, task, [option]), images=(image,), notes=notes))
    return asked


def _unit(image: LabelledImage) -> Unit:
    part, label = image.folders
    facts = {"part": part, "label": label}
    return Unit(image.key, (image.path,), split=PARTS[part], facts=facts)
