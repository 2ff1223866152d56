"""PathVQA: short questions on pathology images, for evaluation; several on each image."""

from __future__ import annotations

from collections.abc import Iterator

from qoqdata.sources.protocol import Converted, Job, Planned, Unit

from ..short_answers import convert_image, plan_images


def plan(job: Job) -> Iterator[Planned]:
    """One unit an image of a published part."""
    yield from plan_images(job, {"train": "train", "validation": "validation", "test": "test"})


def convert(unit: Unit, job: Job) -> list[Converted]:
    """A record a question of the image."""
    return convert_image(unit, job)
