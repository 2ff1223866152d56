"""README.md of a data set: the dataset card, written from its facts alone.

Nothing in a source's card can break its Markdown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from qoqdata.contract.vocabulary import SPLITS
from qoqdata.description.people import STATED
from qoqdata.publication.facts import Facts
from qoqdata.publication.front_matter import front_matter
from qoqdata.publication.licences import Term
from qoqdata.publication.markdown import escape, table
from qoqdata.roles import evaluation_sources

FIGURES = ("records_by_domain", "rarity_and_difficulty_by_domain")

#: Of a set that stays, whose files curation does not change.
_DROPPED = """
Records that curation drops stay in these files: `qoqdata.open` leaves them out, `load_dataset` does
not. `qoqdata export PATH --to records --out COPY` makes a copy without them.
"""


def readme(facts: Facts, url: str | None, figures: tuple[str, ...] = ()) -> str:
    """The whole page. `url` is where the set is published, `figures` are paths in it."""
    sections = (
        _title(facts),
        _loading(facts, url),
        _contents(facts, figures),
        _samples(facts, figures),
        _sources(facts),
        _closed(facts),
        _labels(facts),
        _people(facts),
        _statistics(facts, figures),
        _prevalence(facts),
        _answerers(facts),
        _curation(facts),
        _leakage(facts),
        _limits(facts),
        _citations(facts),
    )
    return front_matter(facts) + "\n" + "\n".join(text for text in sections if text)


def _title(facts: Facts) -> str:
    release = facts.manifest.release
    version = f"Version {release.version}. " if release else ""
    return (
        f"# {escape(facts.manifest.name)}\n\n"
        f"{version}{facts.records:,} question/answer records about {facts.studies:,} studies from "
        f"{len(facts.manifest.sources)} clinical sources in {facts.domains.height} domains, built "
        f"with qoqdata {facts.manifest.qoqdata_version}. One row is one question about one study; "
        "images, "
        "ECG signals, boxes and masks are in the row.\n"
    )


def _loading(facts: Facts, url: str | None) -> str:
    config = facts.default_config
    if config is None:
        return "## Load\n\nThis release holds recipes only; `qoqdata rebuild` makes the records.\n"
    present = {s.split for s in facts.manifest.shards if s.source in facts.configs[config]}
    split = next(split for split in SPLITS if split in present)
    address = url or "PATH"
    own = {s.source for s in facts.manifest.shards if s.split == split}
    asked = f'"{split}"'
    if own <= set(evaluation_sources(facts.manifest)):
        asked += ', purpose="evaluation"'
    where = address.removeprefix("hf://datasets/").partition("@")[0]
    return (
        "## Load\n\n"
        "```python\n"
        "from datasets import load_dataset\n\n"
        f'ds = load_dataset("{where}", "{config}", split="{split}")\n'
        'print(ds[0]["question"], ds[0]["answer"])\n'
        "```\n\n"
        "or, with exact resume, mixing and boxes that follow the image:\n\n"
        "```python\n"
        "import qoqdata\n\n"
        f'for record in qoqdata.open("{address}").stream({asked}):\n'
        '    print(record["question"], record["answer"])\n'
        "    break\n"
        "```\n" + ("" if facts.manifest.release else _DROPPED)
    )


def _contents(facts: Facts, figures: tuple[str, ...]) -> str:
    rows = (
        (
            row["domain"],
            row["records"],
            row["studies"],
            row["patients"] or None,
            row["images"] or None,
            row["train"],
            row["validation"],
            row["test"],
        )
        for row in facts.domains.iter_rows(named=True)
    )
    heads = ("domain", "records", "studies", "patients", "images", "train", "validation", "test")
    image = _figure(figures, FIGURES[0], "Records by domain and split")
    return (
        f"## Contents\n\n{table(heads, rows)}\n"
        "train, validation and test count records. An image that several questions of a study "
        f"show counts once.\n\n{image}"
        f"{_configs(facts)}\n"
    )


def _configs(facts: Facts) -> str:
    """What a client names to load a part, and what it gets who names none."""
    named = ", ".join(f"`{name}` ({', '.join(slugs)})" for name, slugs in facts.configs.items())
    text = f"Configs: {named or 'none'}."
    if facts.manifest.release is not None:
        text += " No config mixes licences."
    if len(facts.configs) > 1:
        text += f" Without a name `{facts.default_config}` is loaded."
    return text


def _samples(facts: Facts, figures: tuple[str, ...]) -> str:
    """A record of each domain of which one may be shown."""
    if not facts.samples:
        return ""
    opening = (
        "## Samples\n\nThe first record by id of a source of each domain, which says nothing of "
        "what it holds. Images are made smaller; ECGs are drawn at 25 mm/s and 10 mm/mV.\n"
    )
    parts = [opening]
    for sample in facts.samples:
        title = f"{sample.domain.replace('_', ' ')}: {sample.source}, {sample.task}"
        image = _figure(figures, sample.name, escape(title))
        key = f"Drawn: {escape(', '.join(sample.labels))}.\n\n" if sample.labels else ""
        asked = " ".join(filter(None, (sample.question, sample.options)))
        said = f"{escape(asked)}\n\n**{escape(sample.answer)}**\n"
        parts.append(f"### {escape(title)}\n\n{image}{key}{said}")
    return "\n".join(parts)


def _labels(facts: Facts) -> str:
    """How labels are spread in each task."""
    if not facts.labels.height:
        return ""
    heads = ("source", "task", "questions", "labels", "commonest", "rarest", "never asserted")
    return (
        "## Labels\n\nHow many questions assert the commonest labels of each task, and the rarest "
        f"one.\n\n{table(heads, facts.labels.iter_rows())}"
    )


def _people(facts: Facts) -> str:
    """Age and sex by domain."""
    frame = facts.people
    if not frame.height:
        return ""
    shown = [name for name in STATED if frame[name].sum()]
    rows = [
        (
            row["domain"] or "all",
            row["studies"],
            row["aged"],
            row["median"],
            None if row["median"] is None else f"{row['low']:g} to {row['high']:g}",
            *(row[name] for name in shown),
        )
        for row in frame.iter_rows(named=True)
    ]
    heads = ("domain", "studies", "with an age", "median age", "quartiles", *shown)
    return (
        "## Age and sex\n\nCounts are studies; ages above 90 are given as 90.\n\n"
        f"{table(heads, rows)}"
    )


def _sources(facts: Facts) -> str:
    counts = {row["source"]: row for row in facts.sources.iter_rows(named=True)}
    rows = []
    for slug in facts.manifest.sources:
        card, row = facts.cards[slug], counts.get(slug, {})
        counted = (row.get("records", 0), row.get("studies", 0), row.get("patients") or None)
        rows.append((card.name, card.domain, *counted, card.licence.name))
    heads = ("source", "domain", "records", "studies", "patients", "licence")
    text = f"## Sources and their licences\n\n{table(heads, rows)}"
    open_ = [facts.terms[slug] for slug in facts.manifest.sources]
    if limited := [t.source for t in open_ if t.noncommercial]:
        text += f"\nNon-commercial use only: {', '.join(limited)}.\n"
    if shared := [t.source for t in open_ if t.share_alike]:
        text += f"\nShare alike, under the same licence: {', '.join(shared)}.\n"
    if facts.manifest.release is None:
        text += _staying(open_)
    return text


def _staying(terms: Sequence[Term]) -> str:
    """Of a set that stays: what would not leave with it."""
    text = ""
    for form, words in (
        ("recipe", "Would leave as annotations and recipe only"),
        ("withheld", "Would not leave at all"),
    ):
        if held := [f"{term.source} ({term.reason})" for term in terms if term.form == form]:
            text += f"\n{words}: {escape(', '.join(held))}.\n"
    return text


def _closed(facts: Facts) -> str:
    """What is not here as pixels, and how to get it."""
    release = facts.manifest.release
    if release is None or not (release.recipes or release.withheld):
        return ""
    text = "## What is not here\n"
    if release.recipes:
        rows = [
            (facts.cards[s].name, facts.terms[s].reason, facts.cards[s].get)
            for s in release.recipes
        ]
        text += (
            "\nThese sources are here as annotations with a recipe (`recipes/`). With the raw "
            "files, `qoqdata rebuild . --raw DIR --out SET` gives the same records, checked by "
            f"digest.\n\n{table(('source', 'why', 'how to get it'), rows)}"
        )
    if release.withheld:
        text += f"\nNothing of these left:\n\n{table(('source', 'why'), release.withheld.items())}"
    return text


def _statistics(facts: Facts, figures: tuple[str, ...]) -> str:
    if facts.stats is None:
        return ""
    heads = {
        "key": "domain",
        "n_records": "records",
        "n_studies": "studies",
        "share": "share",
        "rarity": "rarity",
        "label_entropy": "label bits",
        "imbalance_ratio": "imbalance",
        "success_rate": "success rate",
    }
    rows = facts.stats.domains.select(list(heads)).sort(
        "n_studies", "key", descending=[True, False]
    )
    policies = facts.stats.domains["policy"].drop_nulls().unique().sort().to_list()
    return (
        "## Rarity and difficulty\n\n"
        "Over training records. Share and rarity count studies, however many questions ask about "
        "one: rarity is sqrt(N / (D n)) for N studies in D domains, n of them in this one; the "
        "success rate is the mean reward of a policy, 0 for hard and 1 for easy, and difficulty 1 "
        "less it"
        f"{f' (from {escape(policies[0])})' if policies else ''}.\n\n"
        f"{table(tuple(heads.values()), rows.iter_rows())}\n"
        f"{_figure(figures, FIGURES[1], 'Rarity and difficulty by domain')}"
    )


def _prevalence(facts: Facts) -> str:
    """Labels against the counts that were published of a complete copy."""
    if not facts.prevalence.height:
        return ""
    heads = ("source", "task", "labels", "published", "verdict", "published counts from")
    rows = (
        (
            *(row["source"], row["task"], row["found"], row["published"], row["verdict"]),
            facts.cards[row["source"]].expected.labels[row["task"]].according_to,
        )
        for row in facts.prevalence.iter_rows(named=True)
    )
    return (
        "## Labels against published counts\n\n"
        "How often each label is right, in all records that were built, beside a complete copy.\n\n"
        f"{table(heads, rows)}"
    )


def _answerers(facts: Facts) -> str:
    """What is scored without looking at an image: what a policy must beat."""
    if facts.answerers is None or not facts.answerers.height:
        return ""
    heads = (
        *("source", "task", "split", "questions", "always the same", "text only", "file facts"),
        "why there is no score",
    )
    rows = facts.answerers.drop("kind", "commonest").iter_rows()
    return (
        "## Scores without an image\n\n"
        "Label F1 of three that see no image: one always gives the commonest answer, one reads "
        "the question and its context, one knows sizes, views, spacing, age and sex; fitted on "
        "other patients. Of quantities: within the tolerance. A policy that scores no more has "
        "learnt nothing from images.\n\n"
        f"{table(heads, rows)}"
    )


def _curation(facts: Facts) -> str:
    release = facts.manifest.release
    text = ""
    if release is not None:
        text += (
            "\nAll texts were searched for protected health information before release; no finding "
            "is open. Images were searched for text burned into them: open findings were looked at "
            "by a person.\n"
        )
        if sum(release.dropped.values()):
            rules = table(("rule", "records"), release.dropped.items())
            text += f"\nRecords left out, by rule:\n\n{rules}"
    if facts.corrected:
        text += (
            "\nRecords whose answer a person corrected, by source; the provenance of each says who "
            f"gave it which answer, and which it had:\n\n"
            f"{table(('source', 'records'), facts.corrected.items())}"
        )
    return f"## Curation\n{text}" if text else ""


def _leakage(facts: Facts) -> str:
    rows = [(key, total, split) for key, (total, split) in facts.overlap.items()]
    anonymous = facts.sources.filter(pl.col("patients") == 0)["source"].to_list()
    text = (
        "## Is any test patient in train?\n\n"
        f"{table(('key', 'distinct', 'in more than one split'), rows)}\n"
        "Official splits are kept; other groups are split as a whole by a public hash. The last "
        "column is counted over this release.\n"
    )
    text += _images(facts)
    if anonymous:
        text += (
            f"\nThese sources name no patient, so only their studies are told apart: "
            f"{', '.join(anonymous)}.\n"
        )
    return text


def _images(facts: Facts) -> str:
    """Whether splits share images, whoever they are said to be of."""
    release = facts.manifest.release
    if release is None:
        return ""
    if release.shared_images is None:
        return "\nThe images of the splits were not compared.\n"
    count = release.shared_images
    records = "No record shows" if count == 0 else f"{count:,} records show"
    return (
        "\nThe images of the splits were compared by fingerprint: copies that are encoded, sized, "
        "lit, flipped or turned otherwise are found; cropped ones are not. "
        f"{records} an image of a later split (train, validation, test).\n"
    )


def _limits(facts: Facts) -> str:
    lines = [
        f"- {escape(facts.cards[slug].name)}: {escape(issue)}"
        for slug in facts.manifest.sources
        for issue in facts.cards[slug].known_issues
    ]
    text = "## Known limits\n\nNot a medical device; not for decisions about patients.\n"
    return text + ("\n" + "\n".join(lines) + "\n" if lines else "")


def _citations(facts: Facts) -> str:
    references = "\n".join(_references(facts))
    return f"## Citations\n\nCite every source that you use.\n\n{references}\n"


def _references(facts: Facts) -> Iterator[str]:
    for slug, card in facts.cards.items():
        link = f" <{card.homepage}>" if card.homepage else ""
        yield f"- `{slug}`: {escape(card.citation)}{link}"


def _figure(figures: tuple[str, ...], name: str, title: str) -> str:
    path = next((path for path in figures if path.endswith(f"/{name}.svg")), None)
    return f"![{title}]({path})\n\n" if path else ""
