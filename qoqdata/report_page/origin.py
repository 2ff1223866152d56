"""Sections on where records are from: sources, counts, splits, quarantine, curation."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from qoqdata.contract.card import Card
from qoqdata.contract.manifest import CountDifference, Manifest
from qoqdata.contract.vocabulary import SPLITS
from qoqdata.curation.proof import Proof
from qoqdata.description.curation_rules import rule_counts
from qoqdata.description.quarantine_groups import QuarantineGroup
from qoqdata.publication.licences import shown_form, terms
from qoqdata.report_page.sheets import Section, Sheet, percent, share, sheet, sheet_of

#: Examples of a reason that the quarantine shows.
EXAMPLES = 2
_FORMS = {
    "pixels": "everything",
    "recipe": "annotations and a recipe, no pixels",
    "withheld": "nothing",
}
_COUNTED = (
    *("source", "domain", "role", "units", "quarantined", "filtered", "records", "kept"),
    *("studies", "patients"),
)
_TERMS = ("source", "name", "licence", "access", "what may leave")
_SKIPPED = ("source", "task", "reason", "questions")
_SHARED = {
    "key": "what",
    "split": "of",
    "other_split": "and",
    "distinct": "distinct",
    "other_distinct": "distinct in the other",
    "shared": "in both",
    "example": "for example",
}


def sources_section(manifest: Manifest, cards: Mapping[str, Card], kept: pl.DataFrame) -> Section:
    """Sources with their counts and terms, and how to cite them."""
    counts = {row["source"]: row for row in _by_source(kept).iter_rows(named=True)}
    rows, licences = [], []
    allowed = terms(cards)
    for slug, entry in manifest.sources.items():
        now, card = counts.get(slug, {}), cards[slug]
        rows.append(
            (
                slug,
                entry.domain,
                entry.role,
                entry.counts.units,
                entry.counts.quarantined,
                entry.counts.filtered,
                entry.counts.records,
                now.get("records", 0),
                now.get("studies", 0),
                now.get("patients") or None,
            )
        )
        note = f" ({card.licence.note})" if card.licence.note else ""
        leaves = _FORMS[allowed[slug].form]
        licences.append((slug, card.name, f"{card.licence.name}{note}", card.access, leaves))
    text = (
        "Units are what planning found; kept are the records that no verdict of curation drops and "
        "that show a policy something. All further tables count kept records."
    )
    failed = [(slug, one.failure) for slug, one in manifest.sources.items() if one.failure]
    skipped = [
        (slug, task, reason, count)
        for slug, entry in manifest.sources.items()
        for task, reasons in sorted(entry.counts.skipped.items())
        for reason, count in sorted(reasons.items())
    ]
    cited = [(slug, card.citation, card.homepage) for slug, card in cards.items()]
    sheets = [
        sheet("What was found and what is here", _COUNTED, rows),
        sheet("Terms, by the sources' cards as built", _TERMS, licences),
        sheet("Citations", ("source", "cite", "home"), cited),
    ]
    if failed:
        sheets.insert(1, sheet("Sources that failed as a whole", ("source", "because"), failed))
    if skipped:
        sheets.append(sheet("Questions that could not be asked of a unit", _SKIPPED, skipped))
    return Section("sources", "Sources and licences", [text], sheets)


def expected_section(manifest: Manifest) -> Section:
    """Counts of the build beside those that the cards expect of a complete copy."""
    entries = manifest.sources
    compared = {slug: one.expected for slug, one in entries.items() if one.expected is not None}
    rows = [
        (slug, one.name, one.expected, one.found, _gap(one))
        for slug, comparison in compared.items()
        for one in comparison.differences
    ]
    whole = [slug for slug, one in compared.items() if not one.skipped and not one.differences]
    texts = []
    if whole:
        texts.append(f"All counts are as their cards expect: {', '.join(whole)}.")
    texts += [
        f"{slug} was not compared: {one.skipped}." for slug, one in compared.items() if one.skipped
    ]
    if silent := [slug for slug in entries if slug not in compared]:
        texts.append(f"No counts are expected of: {', '.join(silent)}.")
    heads = ("source", "count", "expected", "found", "found of expected")
    sheets = [sheet("Counts that differ from a complete copy", heads, rows)] if rows else []
    return Section("expected", "Expected against found", texts, sheets)


def proof_section(shared: pl.DataFrame, proof: Proof | None) -> Section:
    """What each two splits share; `proof` is None where images were not compared."""
    holds = not shared["shared"].sum()
    texts = []
    if proof is None:
        said = "No two splits share" if holds else "Two splits share"
        texts.append(
            f"{said} a patient or a study. Images and signals were not compared: the set lies "
            "behind a URL, and `qoqdata prove` compares them where it was built."
        )
    else:
        said = "No two splits share" if holds else "Two splits share"
        near = (
            f", or alike: fingerprints of 64 bits at most {proof.radius} apart and details "
            f"correlated by {proof.detail:g} or more, in any of eight orientations"
        )
        texts.append(
            f"{said} a patient, a study, or an image or signal. Images and signals are the same "
            f"where they are equal by digest{near if proof.radius else ''}. Counted anew from the "
            "kept records; records of benchmarks count as test."
        )
    sheets = [sheet_of("What each two splits share", shared, _SHARED)]
    if proof is not None:
        for title, frame in (
            ("Records by split, those without images or signals too", _by_split(proof.records)),
            ("Dropped by curation", proof.dropped),
            ("Units kept out of train for a benchmark", proof.blocked),
            ("Records that name no patient, told apart by study", proof.without_patient),
        ):
            if frame.height:
                sheets.append(sheet_of(title, frame, {name: name for name in frame.columns}))
    return Section("splits", "Proof of the splits", texts, sheets)


def quarantine_section(
    groups: list[QuarantineGroup],
    manifest: Manifest,
    cards: Mapping[str, Card],
    *,
    everything: bool,
) -> Section:
    """What gave no record, by reason. Examples name raw keys and paths, so they are shown of
    sources whose raw paths are public and that may stand on a page, or with `everything`."""
    named = {
        slug
        for slug, card in cards.items()
        if everything or (card.raw_paths == "public" and shown_form(card) != "withheld")
    }
    rows = []
    for group in groups:
        entry = manifest.sources[group.source]
        # Most messages say of which unit they are.
        shown = "; ".join(
            message if message.startswith(f"{unit}: ") else f"{unit}: {message}"
            for unit, message in group.examples[:EXAMPLES]
        )
        units = entry.counts.units
        rows.append(
            (
                group.source,
                group.outcome,
                group.stage,
                group.reason,
                group.count,
                share(group.count / units) if units else None,
                shown if group.source in named else "not shown: its raw keys are not public",
            )
        )
    heads = ("source", "outcome", "stage", "reason", "units", "of its units", "examples")
    if not rows:
        lost = sum(entry.counts.quarantined for entry in manifest.sources.values())
        text = "Every unit gave a record." if not lost else "The set came without its quarantine."
        return Section("quarantine", "Quarantine", [text])
    texts = ["Quarantined units failed; filtered ones are left out by a stated rule of the source."]
    sheets = [sheet("Units that gave no record, by reason", heads, rows)]
    return Section("quarantine", "Quarantine", texts, sheets)


def curation_section(verdicts: pl.DataFrame | None) -> Section:
    """What curation dropped, by rule and split; the pairs are drawn beside it."""
    if verdicts is None:
        return Section("curation", "Curation", ["The set was not curated: run `qoqdata curate`."])
    counts = rule_counts(verdicts)
    if not counts.height:
        return Section("curation", "Curation", ["Curation ran, and no verdict drops a record."])
    text = (
        "Records that a verdict drops stay in the files and are left out wherever records are "
        "read. A record that several rules drop counts under each."
    )
    heads = {"rule": "rule", "dropped": "dropped"}
    heads |= {split: split for split in SPLITS} | {"overruled": "kept by a person"}
    sheets = [sheet_of("Records dropped, by rule and split", counts, heads), _reasons(verdicts)]
    return Section("curation", "Curation", [text], sheets)


def limits_section(cards: Mapping[str, Card]) -> Section:
    """What the cards say is wrong with their sources."""
    sources: dict[str, list[str]] = {}
    for slug, card in cards.items():
        for issue in card.known_issues:
            sources.setdefault(issue, []).append(slug)
    rows = [(", ".join(own), issue) for issue, own in sources.items()]
    texts = ["Not a medical device; not for decisions about patients."]
    sheets = [sheet("Known issues, by the sources' cards", ("sources", "issue"), rows)]
    return Section("limits", "Known limits", texts, sheets if rows else ())


def _by_source(kept: pl.DataFrame) -> pl.DataFrame:
    return kept.group_by("source").agg(
        records=pl.len(),
        studies=pl.col("study").n_unique(),
        patients=pl.col("patient").drop_nulls().n_unique(),
    )


def _by_split(records: pl.DataFrame) -> pl.DataFrame:
    """A row a source, with its records in each split; those of benchmarks count as test."""
    counts = [
        pl.col("records").filter(pl.col("side") == split).sum().alias(split) for split in SPLITS
    ]
    return records.group_by("source").agg(counts).sort("source")


def _reasons(verdicts: pl.DataFrame) -> Sheet:
    standing = verdicts.filter("in_force")
    reasons = standing.group_by("rule", "source", "reason").len("records")
    order = reasons.sort(
        "rule", "records", "source", "reason", descending=[False, True, False, False]
    )
    heads = {"rule": "rule", "source": "source", "reason": "reason", "records": "records"}
    return sheet_of("Why", order, heads)


def _gap(difference: CountDifference) -> str | None:
    if difference.found is None:
        return "cannot be read"
    return percent(difference.found / difference.expected) if difference.expected else None
