"""One page: what it needs is gathered, rendered and written, the same bytes for the same set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from qoqdata.atomic import replacing
from qoqdata.curation.audit import read_answerers
from qoqdata.curation.proof import Proof, prove, shared_keys
from qoqdata.dataset import Dataset
from qoqdata.description.attention import read_attention
from qoqdata.description.curation_rules import verdicts_of
from qoqdata.description.freshness import stale_answerers, stale_statistics
from qoqdata.description.label_states import label_states
from qoqdata.description.people import study_people
from qoqdata.description.quarantine_groups import quarantine_groups
from qoqdata.drawing.markup import environment, style
from qoqdata.errors import DatasetError, UsageError
from qoqdata.progress import ProgressCallback, silent
from qoqdata.report import content, origin
from qoqdata.report.samples import (
    MOST,
    Allowance,
    Pair,
    Sample,
    SampleChoice,
    draw_pairs,
    draw_samples,
    withheld_sources,
)
from qoqdata.report.sheets import ROWS, Section


@dataclass(frozen=True)
class Report:
    """What the page holds: `sections` in order, `pairs` of the section on curation, `samples` by
    domain, the sources of which none are shown with the reason, and how many figures did not fit.
    """

    sections: Sequence[Section]
    pairs: Sequence[Pair]
    samples: Sequence[Sample]
    withheld: Sequence[tuple[str, str]]
    left_out: int


def gather_report(
    dataset: Dataset, choice: SampleChoice = "open", progress: ProgressCallback = silent
) -> Report:
    """Everything that the page says of a set; `progress` hears of records that are compared.

    Raises DatasetError for a set without records and for damaged tables, InputError for an image
    that cannot be decoded when splits are compared.
    """
    dataset.check_some()
    kept, manifest, cards = dataset.kept(), dataset.manifest, dataset.cards
    cards = {slug: cards[slug] for slug in manifest.sources}
    verdicts = verdicts_of(dataset)
    allowance = Allowance()
    # Samples before pairs: where bytes run out, these matter more.
    samples = draw_samples(dataset, kept, choice, allowance)
    pairs = [] if verdicts is None else draw_pairs(dataset, verdicts, choice, allowance)
    proof: Proof | None = None
    if dataset.in_folder:
        proof = prove(dataset, progress=progress)
    shared = shared_keys(dataset) if proof is None else proof.shared
    stale = stale_statistics(dataset, kept)
    groups = quarantine_groups(dataset)
    sections = (
        origin.sources_section(manifest, cards, kept),
        origin.expected_section(manifest),
        origin.proof_section(shared, proof),
        origin.quarantine_section(groups, manifest, cards, everything=choice == "all"),
        origin.curation_section(verdicts),
        content.rarity_section(None if stale else dataset.stats, stale),
        content.labels_section(label_states(kept)),
        content.people_section(study_people(dataset, kept)),
        _answerers(dataset, kept),
        _attention(dataset, stale),
        origin.limits_section(cards),
    )
    return Report(
        sections=sections,
        pairs=pairs,
        samples=samples,
        withheld=withheld_sources(dataset, choice),
        left_out=allowance.left_out,
    )


def report_page(dataset: Dataset, report: Report) -> str:
    """The page as HTML: no script, nothing from elsewhere, all text escaped."""
    manifest = dataset.manifest
    records = sum(shard.rows for shard in manifest.shards)
    template = environment("qoqdata.report").get_template("report.html")
    return template.render(
        name=manifest.name or "data set",
        manifest=manifest,
        records=records,
        report=report,
        domains=list(dict.fromkeys(sample.domain for sample in report.samples)),
        megabytes=MOST / 2**20,
        rows=ROWS,
        styles=(
            style("themes.css"),
            style("outlines.css"),
            style("report.css", "qoqdata.report"),
        ),
    )


def write_report(page: str, path: Path, *, private: bool) -> None:
    """Write the page at `path`; with `private`, readable by its owner alone."""
    with replacing(path) as draft:
        draft.touch()
        if private:
            draft.chmod(0o600)
        draft.write_text(page, encoding="utf-8")


def _answerers(dataset: Dataset, kept: pl.DataFrame) -> Section:
    answerers = read_answerers(dataset.files.layout("curation"))
    stale = answerers is not None and stale_answerers(answerers, kept)
    return content.answerers_section(answerers, stale=stale)


def _attention(dataset: Dataset, stale: str | None) -> Section:
    if stale is not None:
        return content.attention_section(None, stale)
    try:
        return content.attention_section(read_attention(dataset), None)
    except (DatasetError, UsageError) as error:
        return content.attention_section(None, f"The set cannot be trained on: {error}")
