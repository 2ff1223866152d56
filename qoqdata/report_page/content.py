"""Sections on what the records hold: rarity, labels, people, blind answers, training."""

from __future__ import annotations

import polars as pl

from qoqdata.contract.vocabulary import SPLITS
from qoqdata.description.label_states import STATES, label_summary
from qoqdata.description.people import STATED, people_by_age, people_by_domain
from qoqdata.report_page.sheets import Bar, Section, Sheet, share, sheet, sheet_of
from qoqdata.statistics.tables import Stats

#: Labels of a task that are shown, the commonest.
LABELS = 15


def rarity_section(stats: Stats | None, lacking: str | None) -> Section:
    """Rarity and success rate by domain and by source; `lacking` says why there are none."""
    title = "Rarity and difficulty"
    if stats is None:
        return Section("rarity", title, [lacking or ""])
    policies = stats.domains["policy"].drop_nulls().unique().sort().to_list()
    text = (
        "Over kept training records. Share and rarity count studies, however many questions ask "
        "about one: rarity is sqrt(N / (D n)) for N studies in D groups, n of them in this one. "
        "The success rate is the mean reward of a policy, 0 for hard and 1 for easy; difficulty is "
        f"1 less it. {_measured(policies)}"
    )
    sheets = [_rarity(stats.domains, "domain"), _rarity(stats.sources, "source")]
    return Section("rarity", title, [text], sheets)


def labels_section(states: pl.DataFrame) -> Section:
    """How often each label is asserted, doubted, denied and not mentioned."""
    if not states.height:
        return Section("labels", "Labels", ["No record names a label."])
    text = (
        "Counts are questions. A label is asserted, uncertain, denied, or not mentioned: a source "
        "that does not mention a finding does not deny it. Bars have the first three in this "
        "order; the last columns say in which split it is asserted."
    )
    summary = {
        "source": "source",
        "task": "task",
        "questions": "questions",
        "labels": "labels",
        "commonest": "commonest",
        "rarest": "rarest",
        "never": "never asserted",
    }
    sheets = [sheet_of("Label balance by task", label_summary(states), summary)]
    for (source,), own in states.group_by(["source"], maintain_order=True):
        sheets.append(_states(str(source), own))
    return Section("labels", "Labels", [text], sheets)


def people_section(studies: pl.DataFrame) -> Section:
    """Age and sex by domain, and ages by band."""
    text = (
        "Counts are studies; a patient with several studies counts with each. Ages are in years, "
        "those above 90 as 90. What no source states is not guessed."
    )
    texts = [text]
    by_domain, by_age = people_by_domain(studies), people_by_age(studies)
    shown = [name for name in STATED if by_domain[name].sum()]
    rows = [
        (
            row["domain"] or "all",
            row["studies"],
            share(row["aged"] / row["studies"]) if row["studies"] else None,
            row["median"],
            None if row["median"] is None else f"{row['low']:g} to {row['high']:g}",
            *(row[name] for name in shown),
        )
        for row in by_domain.iter_rows(named=True)
    ]
    heads = ("domain", "studies", "age stated", "median age", "quartiles", *shown)
    sheets = [
        sheet("Age and sex by domain", heads, rows),
        sheet_of("Studies by age and sex", by_age, {"ages": "age", **{n: n for n in shown}}),
    ]
    if conflicts := int(studies["age_conflicts"].sum()):
        texts.append(f"Records of {conflicts:,} studies state different ages, which count as none.")
    return Section("people", "Age and sex", texts, sheets)


def answerers_section(answerers: pl.DataFrame | None, *, stale: bool) -> Section:
    """What those score who see no image."""
    title = "Scores without an image"
    if answerers is None or stale:
        what = "of other records than the set keeps now" if stale else "not there"
        return Section("blind", title, [f"The scores are {what}: run `qoqdata audit`."])
    text = (
        "Label F1 of three that see no image: one always gives the commonest answer, one reads the "
        "question and its context, one knows sizes, views, spacing, age and sex; fitted on other "
        "patients. Of quantities: within the tolerance. A policy that scores no more has learnt "
        "nothing from images."
    )
    heads = {
        "source": "source",
        "task": "task",
        "split": "split",
        "questions": "questions",
        "constant": "always the same",
        "text": "text only",
        "facts": "file facts",
        "commonest": "commonest answer",
        "unscored": "why there is no score",
    }
    return Section("blind", title, [text], [sheet_of("Scores by task", answerers, heads)])


def attention_section(attention: pl.DataFrame | None, lacking: str | None) -> Section:
    """What share of training each domain is to have, is drawn, and weighs."""
    title = "Share of training"
    if attention is None:
        return Section("training", title, [lacking or "No installed package trains on data sets."])
    text = (
        "With the settings that training has by default: the share that each domain is to have, "
        "what the stream draws, the mean DRPO weight of its questions before the first step, "
        "within bounds, and what the two make together."
    )
    rows = [
        (
            row["domain"],
            share(row["target"]),
            share(row["sampled"]),
            row["weight"],
            share(row["product"]),
        )
        for row in attention.iter_rows(named=True)
    ]
    heads = ("domain", "target share", "sampled share", "DRPO weight", "sampled × weight")
    return Section("training", title, [text], [sheet("Attention by domain", heads, rows)])


def _rarity(frame: pl.DataFrame, name: str) -> Sheet:
    rows = [
        (
            row["key"],
            row["n_records"],
            row["n_studies"],
            row["n_patients"],
            row["n_images"] or None,
            share(row["share"]),
            row["rarity"],
            _difficulty(row["success_rate"]),
            row["n_rollouts"],
            row["label_entropy"],
            row["imbalance_ratio"],
        )
        for row in frame.sort("n_studies", "key", descending=[True, False]).iter_rows(named=True)
    ]
    heads = (
        *(name, "questions", "studies", "patients", "images", "share", "rarity", "difficulty"),
        *("rollouts", "label bits", "imbalance"),
    )
    return sheet(f"Rarity and difficulty by {name}", heads, rows)


def _difficulty(success_rate: float | None) -> Bar | None:
    if success_rate is None:
        return None
    return Bar((1 - success_rate,), f"{1 - success_rate:.2f}")


def _measured(policies: list[str]) -> str:
    if not policies:
        return "Nobody's answers were measured yet."
    return f"Success rates are from {', '.join(policies)}."


def _states(source: str, own: pl.DataFrame) -> Sheet:
    """The commonest labels of each task of a source, with a bar of their states."""
    named = own.filter(pl.sum_horizontal("asserted", "uncertain", "absent") > 0)
    shown = named.group_by("task", maintain_order=True).head(LABELS)
    rows = [
        (
            row["task"],
            row["label"],
            *(row[state] for state in STATES),
            Bar(tuple(row[state] / row["questions"] for state in STATES)),
            *(row[split] for split in SPLITS),
        )
        for row in shown.iter_rows(named=True)
    ]
    states = ("asserted", "uncertain", "denied", "not mentioned", "states")
    heads = ("task", "label", *states, *SPLITS)
    caption = f"Labels of {source} that some question names"
    return Sheet(caption, heads, rows, named.height - len(rows))
