"""Samples of each domain and pairs that curation found, drawn within an allowance of bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from qoqdata.curation.burned_in import receipt
from qoqdata.curation.burned_in.blanking import Blanking, boxes_to_blank
from qoqdata.curation.verdicts import BENCHMARK, DUPLICATE, LEAKAGE, QUALITY
from qoqdata.dataset import Dataset
from qoqdata.description.curation_rules import rule_pairs
from qoqdata.description.samples import choose_samples, records_by_id
from qoqdata.drawing.pixels import glimpse
from qoqdata.drawing.record_figures import answer_text
from qoqdata.drawing.samples import DrawnFigure, draw_record
from qoqdata.errors import DatasetError
from qoqdata.publication.licences import Form, shown_form, term

#: Of which sources records are shown: those whose terms let them stand on a page that people pass
#: on; all of them; none.
SampleChoice = Literal["open", "all", "none"]

#: Samples of a domain, figures of a sample, their longer side in pixels.
SAMPLES, FIGURES, SIDE = 4, 2, 480
#: Pairs of a rule and reason, and the longer side of what they show.
PAIRS, PAIR_SIDE = 3, 160
#: Characters of a text that are shown.
TEXT = 1500
#: Bytes that all that is drawn may take; the largest page is a few megabytes more.
MOST = 24 * 2**20
#: Rules whose records may be looked at: what others drop may hold what nobody should see.
_SHOWN_RULES = (LEAKAGE, DUPLICATE, BENCHMARK, QUALITY)
_STATES = (("labels", "asserted"), ("uncertain", "uncertain"), ("absent", "denied"))


@dataclass
class Allowance:
    """Bytes that are left, and how many figures did not fit."""

    left: int = MOST
    left_out: int = 0

    def fits(self, size: int) -> bool:
        """Whether so many bytes are left; they are taken if so."""
        if size > self.left:
            self.left_out += 1
            return False
        self.left -= size
        return True


@dataclass(frozen=True)
class Sample:
    """A record with what is shown of it; `note` says what is not, and why."""

    id: str
    domain: str
    source: str
    task: str
    split: str
    figures: Sequence[DrawnFigure]
    layers: Sequence[tuple[str, int]]
    note: str
    texts: Sequence[tuple[str, str]]
    options: Sequence[str]
    answer: str
    labels: Sequence[tuple[str, Sequence[str]]]


@dataclass(frozen=True)
class Pair:
    """A dropped record and what the verdict names as evidence, each with a small drawing where it
    may be shown."""

    rule: str
    reason: str
    id: str
    where: str
    picture: str | None
    evidence: str | None
    other_where: str | None
    other_picture: str | None


def form_of(dataset: Dataset, source: str, choice: SampleChoice) -> Form:
    """As what a record of the source may stand on the page."""
    if choice == "none":
        return "withheld"
    return "pixels" if choice == "all" else shown_form(dataset.cards[source])


def withheld_sources(dataset: Dataset, choice: SampleChoice) -> list[tuple[str, str]]:
    """Sources of which no record is shown, with the reason."""
    reasons = []
    for slug in dataset.manifest.sources:
        if form_of(dataset, slug, choice) == "withheld":
            private = dataset.cards[slug].access == "own"
            why = "it is private" if private else term(dataset.cards[slug]).reason
            reasons.append((slug, "no samples were asked for" if choice == "none" else why or ""))
    return reasons


def draw_samples(
    dataset: Dataset, kept: pl.DataFrame, choice: SampleChoice, allowance: Allowance
) -> list[Sample]:
    """Samples of each domain in order of name, of sources of which records may be shown."""
    change, unsettled = _burned_in(dataset)
    shown = [s for s in dataset.manifest.sources if form_of(dataset, s, choice) != "withheld"]
    candidates = kept.filter(pl.col("source").is_in(shown) & ~pl.col("id").is_in(unsettled))
    if not candidates.height:
        return []
    chosen = choose_samples(dataset, candidates, SAMPLES)
    records = {record["id"]: record for record in records_by_id(dataset, chosen["id"].to_list())}
    return [
        _sample(dataset, change(records[id_]), choice, allowance) for id_ in chosen["id"].to_list()
    ]


def draw_pairs(
    dataset: Dataset, verdicts: pl.DataFrame, choice: SampleChoice, allowance: Allowance
) -> list[Pair]:
    """The first dropped records of each rule and reason beside their evidence."""
    pairs = rule_pairs(verdicts, PAIRS).to_dicts()
    held = {pair["evidence"]: pair["other_source"] for pair in pairs if pair["other_source"]}
    visible = {
        id_
        for pair in pairs
        if pair["rule"] in _SHOWN_RULES
        for id_, source in ((pair["id"], pair["source"]), (pair["evidence"], held.get(pair["evidence"])))
        if source and form_of(dataset, source, choice) == "pixels"
    }
    # A record that privacy dropped too is not looked at for another rule's sake.
    private = verdicts.filter(pl.col("in_force") & ~pl.col("rule").is_in(_SHOWN_RULES))["id"]
    visible -= set(private)
    change, unsettled = _burned_in(dataset)
    pictures = {}
    for record in records_by_id(dataset, visible - set(unsettled), ("id", "images", "ecg")):
        drawing = glimpse(change(record), PAIR_SIDE)
        if drawing is not None and allowance.fits(len(drawing.uri)):
            pictures[record["id"]] = drawing.uri
    return [
        Pair(
            rule=pair["rule"],
            reason=pair["reason"],
            id=pair["id"],
            where=f"{pair['source']}, {pair['split']}",
            picture=pictures.get(pair["id"]),
            evidence=pair["evidence"],
            other_where=_where(pair),
            other_picture=pictures.get(pair["evidence"]),
        )
        for pair in pairs
    ]


def _where(pair: Mapping[str, Any]) -> str | None:
    source = pair["other_source"]
    return None if source is None else f"{source}, {pair['other_split']}"


def _sample(
    dataset: Dataset, record: Mapping[str, Any], choice: SampleChoice, allowance: Allowance
) -> Sample:
    card = dataset.cards[record["source"]]
    whole = form_of(dataset, record["source"], choice) == "pixels"
    figures: list[DrawnFigure] = []
    layers: Sequence[tuple[str, int]] = ()
    notes = []
    if whole:
        drawn = draw_record(record, card.mask_codes, most=FIGURES, side=SIDE)
        figures = [figure for figure in drawn.figures if allowance.fits(figure.size)]
        layers = drawn.shown.layers if drawn.shown and figures else ()
        if len(figures) < drawn.of:
            notes.append(f"{len(figures)} of {drawn.of} figures")
    else:
        notes.append(f"annotations alone: {term(card).reason}")
    names = ("context", "question") if whole else ("question",)
    return Sample(
        id=record["id"],
        domain=record["domain"],
        source=record["source"],
        task=record["task"],
        split=record["split"],
        figures=figures,
        layers=layers,
        note="; ".join(notes),
        texts=[(name, _clipped(record[name])) for name in names if record[name]],
        options=[] if _tells(record) else _some(record["options"] or ()),
        answer=_clipped(answer_text(record)),
        labels=[(state, _some(record[name])) for name, state in _STATES if record[name]],
    )


def _tells(record: Mapping[str, Any]) -> bool:
    """Whether the question lists its options itself, each on a line."""
    return set(record["options"] or ()) <= set((record["question"] or "").splitlines())


def _burned_in(
    dataset: Dataset,
) -> tuple[Callable[[Mapping[str, Any]], Mapping[str, Any]], list[str]]:
    """What blanks text burned into images as a release does, and the ids of records with findings
    that nobody has settled; neither where no pass covers the data."""
    try:
        if not dataset.in_folder:
            return dict, []
        receipt.read_receipt(dataset)
    except DatasetError:
        return dict, []
    findings = receipt.read_findings(dataset)
    unsettled = findings.filter(~pl.col("outcome").is_in(["blank", "accepted"]))
    return Blanking(boxes_to_blank(findings)), unsettled["id"].unique().sort().to_list()


def _some(values: Iterable[str], most: int = 30) -> list[str]:
    every = [_clipped(value) for value in values]
    more = len(every) - most
    return [*every[:most], *([f"and {more} more"] if more > 0 else [])]


def _clipped(text: str) -> str:
    return text if len(text) <= TEXT else f"{text[:TEXT]} … ({len(text):,} characters)"
