"""A source whose images are members of containers: one unit a member."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from qoqdata.contract.card import Card
from qoqdata.records.content import Record
from qoqdata.records.images import image_from_file
from qoqdata.sources.asking import ask
from qoqdata.sources.protocol import Job, Planned, Source, Unit
from qoqdata.sources.rawtree import read_text
from qoqdata.yaml_document import parse_yaml

CARD = """
slug: containers
name: Films in a container
version: 1
domain: chest_xray
modality: image_2d
summary: Synthetic films.
licence: {name: CC0}
access: open
redistribution: allowed
citation: none
homepage: https://example.org
get: made by the test
layout: one container
keys: {study: member, patient: member, group: member}
tasks:
  finding:
    kind: single
    question: What does it show?
    options: [Clear, Opaque]
splits: {rule: hash, shares: {train: 1.0, validation: 0.0, test: 0.0}}
"""


def plan(job: Job) -> Iterator[Planned]:
    """A unit for each member that a line of `members.txt` matches."""
    for path in job.raw.files(*read_text(job.raw, "members.txt").splitlines()):
        yield Unit(path, (path,))


def convert(unit: Unit, job: Job) -> list[Record]:
    """The one question about a film."""
    path = job.raw.resolve(unit.files[0])
    image, notes = image_from_file(path, limits=job.limits)
    answer = "Opaque" if image.pixels.mean() > 127 else "Clear"
    return [Record(**ask(job.card, "finding", [answer]), images=(image,), notes=notes)]


def source(folder: Path) -> Source:
    """This module as a source."""
    card = Card.model_validate(parse_yaml(CARD, where="card"))
    return Source(card, folder, __name__, plan, convert, None, "0" * 64, "0" * 64)
