"""Samples that stand in the card of a data set: a record a domain, drawn as an SVG of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from qoqdata.dataset import Dataset
from qoqdata.description.samples import choose_samples, records_by_id, screened
from qoqdata.drawing.markup import figure_svg
from qoqdata.drawing.record_figures import answer_text
from qoqdata.drawing.samples import draw_record
from qoqdata.publication.licences import shown_form

#: How the names of samples' figures begin.
SAMPLE = "sample_"
#: Longer side of an image in pixels; records of a domain that are tried until one can be drawn.
_SIDE, _TRIED = 420, 3
#: Characters of a question or answer that are shown.
_TEXT = 400


@dataclass(frozen=True)
class CardSample:
    """A record of a domain: `name` of its figure, the drawing, what is drawn over it (`labels`),
    what is asked, with the options in one line, and the answer."""

    name: str
    domain: str
    source: str
    task: str
    svg: str
    labels: tuple[str, ...]
    question: str
    options: str
    answer: str


def card_samples(dataset: Dataset, kept: pl.DataFrame) -> Iterator[CardSample]:
    """One sample of each domain that has a record to draw, in order of name.

    Of a release all sources may be shown: what it holds has left, reviewed and blanked. Of a set
    that stays those whose terms let them, blanked too, without records with open findings.
    """
    change, unsettled = screened(dataset)
    allowed = [
        slug
        for slug in dataset.manifest.sources
        if dataset.manifest.release or shown_form(dataset.cards[slug]) == "pixels"
    ]
    drawable = (pl.col("n_images") > 0) | (pl.col("modality") == "ecg")
    candidates = kept.filter(
        pl.col("source").is_in(allowed) & drawable & ~pl.col("id").is_in(unsettled)
    )
    if not candidates.height:
        return
    chosen = choose_samples(dataset, candidates, _TRIED)
    records = {record["id"]: record for record in records_by_id(dataset, chosen["id"].to_list())}
    for _, own in chosen.group_by("domain", maintain_order=True):
        samples = [_sample(dataset, change(records[id_])) for id_ in own["id"]]
        yield from [sample for sample in samples if sample is not None][:1]


def _sample(dataset: Dataset, record: Mapping[str, Any]) -> CardSample | None:
    """The sample of a record; None where nothing of it can be drawn."""
    names = dataset.cards[record["source"]].mask_codes
    drawn = draw_record(record, names, most=1, side=_SIDE)
    if not drawn.figures:
        return None
    one = drawn.figures[0]
    if one.figure.width:
        svg = figure_svg(one.figure, one.url, one.mask_url, side=_SIDE)
    else:
        svg = one.image.content.decode()
    return CardSample(
        name=f"{SAMPLE}{record['domain']}",
        domain=record["domain"],
        source=record["source"],
        task=record["task"],
        svg=svg,
        labels=tuple(name for name, _ in drawn.layers),
        question=_clipped(record["question"]),
        options=_clipped(", ".join(record["options"] or ())),
        answer=_clipped(answer_text(record)),
    )


def _clipped(text: str) -> str:
    words = text.partition("\n")[0]
    return words if len(words) <= _TEXT else f"{words[:_TEXT]} …"
