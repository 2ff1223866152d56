"""Brain MRI slices in two folders, yes and no; the folder is the label."""

from __future__ import annotations

from collections.abc import Iterator

from qoqdata.records.content import Record
from qoqdata.records.images import image_from_file
from qoqdata.sources.asking import ask, translate
from qoqdata.sources.protocol import Job, Planned, Unit

from ..folder_labels import IMAGES, LabelledImage, plan_images

CLASSES = ("yes", "no")
#: Where the four-class set lies, if it is mounted.
OTHER = "brain_tumor"


def plan(job: Job) -> Iterator[Planned]:
    """One unit an image that is neither a copy of another nor in the four-class set."""
    others = job.raw.files(*IMAGES, under=OTHER) if job.raw.exists(OTHER) else []
    yield from plan_images(job, (CLASSES,), _unit, elsewhere=others)


def convert(unit: Unit, job: Job) -> list[Record]:
    """Whether the image shows a tumour."""
    image, notes = image_from_file(job.raw.resolve(unit.files[0]), limits=job.limits)
    option = translate(job.card, unit.facts["label"], where=unit.key, task="presence")
    return [Record(**ask(job.card, "presence", [option]), images=(image,), notes=notes)]


def _unit(image: LabelledImage) -> Unit:
    return Unit(image.key, (image.path,), facts={"label": image.folders[-1]})
