"""qoqdata build: raw sources into a data set."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import qoqdata
from qoqdata import command_line, console
from qoqdata.api.collecting import is_collection
from qoqdata.cli import collection
from qoqdata.contract.vocabulary import StoragePolicy
from qoqdata.errors import UsageError

if TYPE_CHECKING:
    from qoqdata.collection.survey import Survey
    from qoqdata.contract.manifest import Manifest, Outcome
    from qoqdata.pipeline.parts import PartCounts

#: The exit code of what a build came to.
CODES: dict[Outcome, int] = {
    "done": command_line.DONE,
    "findings": command_line.FINDINGS,
    "failed": command_line.FAILED,
}

EPILOG = f"""Example:  qoqdata build ptb_xl --raw /data/ptb-xl --out ./set

A published set, as far as it is there:  qoqdata build --config qoq_med --raw /data --out ./set

With your own files:  qoqdata build image_table --raw ./raw --mapping mapping.yaml --out ./set

A build that was interrupted or changed goes on where it stopped: run the same command again.

Shared over a cluster, see `qoqdata plan --help`:  qoqdata build --part 3/16 --out /shared/set

{command_line.EXIT_CODES}"""


def add(app: typer.Typer) -> None:
    app.command("build", epilog=EPILOG)(build_command)


#: What a build is of: options that `qoqdata plan` takes as well.
Slugs = Annotated[list[str] | None, typer.Argument(metavar="SLUG...", help="Sources.")]
Out = Annotated[str | None, typer.Option(help="The data set's folder, or its URL in a bucket.")]
Raw = Annotated[str | None, typer.Option(help="Raw folder or URL (of several: parent).")]
Config = Annotated[Path | None, typer.Option(help="build.yaml, or qoq_med.")]
MappingFile = Annotated[Path | None, typer.Option(help="For a bring-your-own source.")]
Options = Annotated[
    list[str] | None, typer.Option(metavar="NAME=VALUE", help="A source option; repeatable.")
]
Policy = Annotated[
    StoragePolicy | None,
    typer.Option(help="training (bounded, JPEG; the default) or native (lossless, full size)."),
]
PatientSplitsOf = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAMESPACE=FILE",
        help="Official splits of patients that sources share; NAMESPACE=hash: none.",
    ),
]
MaxQuarantine = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE",
        help="Of a source's units, as 0.01 or 1% (the default); more in quarantine: exit 1.",
    ),
]
Limit = Annotated[int | None, typer.Option(help="First N units of each source.")]
SaltFile = Annotated[
    Path | None, typer.Option(help="The site's secret salt (default: user configuration).")
]


def build_command(
    slugs: Slugs = None,
    out: Out = None,
    raw: Raw = None,
    config: Config = None,
    mapping: MappingFile = None,
    option: Options = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes; 0 means this one (default: one a core).")
    ] = None,
    engine: Annotated[str, typer.Option(help="local or ray.")] = "local",
    address: Annotated[
        str | None, typer.Option(help="Of a running Ray cluster; auto: the one around.")
    ] = None,
    storage: Policy = None,
    patient_splits: PatientSplitsOf = None,
    max_quarantine: MaxQuarantine = None,
    limit: Limit = None,
    resume: Annotated[bool, typer.Option(help="Reuse finished shards.")] = True,
    part: Annotated[
        str | None, typer.Option(metavar="I/N", help="This share of what `qoqdata plan` planned.")
    ] = None,
    salt_file: SaltFile = None,
    json: Annotated[bool, typer.Option("--json", help="Counts as JSON.")] = False,
) -> None:
    """Build a data set from raw sources.

    What cannot be used ends in quarantine, and the rest is built. Exit code 1 means that a source
    has more there than --max-quarantine allows, 3 that a source gave no record at all.

    With --part, of a set that `qoqdata plan` has planned, a share of its chunks is built.
    """
    from qoqdata.pipeline.process_resources import keep_memory

    if out is None:
        raise UsageError("--out is missing", fix="name the data set's folder")
    keep_memory()
    stock = None
    if config is not None and raw is not None and is_collection(config):
        stock = qoqdata.survey(str(config), raw=raw)
        if not json:
            collection.show(stock)
    asked = asked_of(raw, config, mapping, option, storage, patient_splits) | {
        "workers": workers,
        "engine": engine,
        "address": address,
        "max_quarantine": max_quarantine,
        "limit": limit,
        "resume": resume,
        "salt_file": salt_file,
    }
    with console.listener(quiet=json) as progress:
        if part is not None:
            built = qoqdata.build(slugs, out=out, part=part, progress=progress, **asked)
        else:
            manifest = qoqdata.build(slugs, out=out, progress=progress, **asked)
    if part is not None:
        _report_part(built, as_json=json)
        return
    report(manifest, out, as_json=json, stock=stock)
    command_line.leave(CODES[manifest.outcome])


def asked_of(
    raw: str | None,
    config: Path | None,
    mapping: Path | None,
    option: list[str] | None,
    storage: StoragePolicy | None,
    patient_splits: list[str] | None,
) -> dict[str, Any]:
    """What `build`, `plan` and `estimate` are asked alike, as the functions take it."""
    return {
        "raw": raw,
        "config": config,
        "mapping": mapping,
        "options": read_pairs(option, name="--option", form="NAME=VALUE", may_be_empty=True),
        "storage": storage,
        "patient_splits": read_pairs(
            patient_splits, name="--patient-splits", form="NAMESPACE=FILE"
        ),
    }


def report(
    manifest: Manifest, out: str | Path, *, as_json: bool, stock: Survey | None = None
) -> None:
    """The counts by source, labels that published counts do not allow, where the quarantine is."""
    unlikely = unlikely_labels(out, manifest)
    if as_json:
        content = manifest.model_dump(mode="json", exclude={"shards"})
        outcomes = {slug: entry.outcome for slug, entry in manifest.sources.items()}
        found = {} if stock is None else {"collection": collection.counts(stock)}
        labels = {"unlikely_labels": unlikely}
        console.emit_json({"out": str(out), "outcomes": outcomes, **found, **labels, **content})
        return
    columns = (
        "source",
        "units",
        "records",
        "train",
        "validation",
        "test",
        "quarantined",
        "filtered",
    )
    rows = []
    for slug, entry in manifest.sources.items():
        counts = entry.counts
        splits = [counts.by_split.get(split, 0) for split in columns[3:6]]
        rows.append(
            (slug, counts.units, counts.records, *splits, counts.quarantined, counts.filtered)
        )
    console.table(columns, rows)
    expectations(manifest)
    for row in unlikely:
        console.say(
            f"\n{row['source']}, {row['task']}: {row['label']} is right {row['found']:,} times,"
            f" where published counts have {row['expected']:,} ({row['verdict']});"
            f" more: qoqdata audit {out}"
        )
    console.say(f"\ndata set {out}  digest {manifest.digest[:16]}")
    if any(entry.counts.skipped for entry in manifest.sources.values()):
        skips(out, manifest)
    if any(entry.counts.quarantined for entry in manifest.sources.values()):
        quarantine(out, manifest)


def _report_part(counts: PartCounts, *, as_json: bool) -> None:
    if as_json:
        console.emit_json(asdict(counts))
        return
    there = f", {counts.reused} of them there before" if counts.reused else ""
    console.say(
        f"part {counts.part}: {counts.chunks} chunks{there}; {counts.records} records,"
        f" {counts.quarantined} units in quarantine"
    )


def expectations(manifest: Manifest) -> None:
    """Where counts are not those that the cards expect of a complete copy."""
    found = {slug: one.expected for slug, one in manifest.sources.items() if one.expected}
    rows = [
        (slug, one.name, one.expected, one.found if one.found is not None else "cannot be read")
        for slug, comparison in found.items()
        for one in comparison.differences
    ]
    if rows:
        console.say("\nother counts than the card expects of a complete copy")
        console.table(("source", "count", "expected", "found"), rows)
    whole = [slug for slug, one in found.items() if not one.skipped and not one.differences]
    if whole:
        console.say(f"\ncounts are as the card expects: {', '.join(whole)}")
    for slug, comparison in found.items():
        if comparison.skipped:
            console.say(f"\ncounts of {slug} are not compared: {comparison.skipped}")


def unlikely_labels(out: str | Path, manifest: Manifest) -> list[dict[str, Any]]:
    """Of each source that is there in full the label that is farthest from its card's published
    counts, where these do not allow what was found."""
    if not any(shard.rows for shard in manifest.shards):
        return []
    dataset = qoqdata.open(out)
    expected = {slug: card.expected for slug, card in dataset.cards.items()}
    if not any(
        one.labels and one.units in (None, manifest.sources[slug].counts.units)
        for slug, one in expected.items()
    ):
        return []
    from qoqdata.curation.audit import unlikely_in_whole

    return [
        {
            "source": row["source"],
            "task": row["task"],
            "label": row["most"],
            "expected": round(row["share_published"] * row["published"]),
            "found": round(row["share"] * row["found"]),
            "verdict": row["verdict"],
        }
        for row in unlikely_in_whole(dataset).iter_rows(named=True)
    ]


def skips(out: str | Path, manifest: Manifest) -> None:
    """Questions that could not be asked, by source, task and reason, with one example each."""
    from qoqdata.pipeline.source_summary import read_skips

    rows = [
        (slug, one.task, one.reason, one.questions, one.example)
        for slug, skips_ in read_skips(out, manifest.sources).items()
        for one in skips_
    ]
    console.say("\nskipped: these questions could not be asked")
    console.table(("source", "task", "reason", "questions", "for example"), rows)


def quarantine(out: str | Path, manifest: Manifest) -> None:
    """The reasons of quarantine with one example each."""
    import polars as pl

    from qoqdata.remote.opening import open_files

    layout = open_files(out)[0].layout("quarantine")
    paths = [layout.quarantine(slug) for slug in manifest.sources]
    rows = pl.concat([pl.read_parquet(path) for path in paths if path.is_file()])
    reasons = (
        rows.filter(pl.col("outcome") == "quarantined")
        .group_by("source", "reason")
        .agg(n=pl.len(), example=pl.col("message").first())
        .sort("source", "reason")
    )
    console.say("\nquarantined (all rows: quarantine/<source>.parquet)")
    console.table(("source", "reason", "units", "for example"), reasons.iter_rows())
    console.say()
    for slug, entry in manifest.sources.items():
        if entry.failure is not None:
            console.say(f"{slug} failed as a whole: {entry.failure}")
        elif entry.counts.quarantined:
            share, most = _per_cent(entry.quarantined_share), _per_cent(entry.max_quarantine)
            verdict = "within" if entry.outcome == "done" else "more than"
            console.say(f"{slug}: {share} of its units, {verdict} --max-quarantine {most}")


def _per_cent(share: float) -> str:
    return f"{100 * share:.3g} %"


def read_pairs(
    texts: list[str] | None, *, name: str, form: str, may_be_empty: bool = False
) -> dict[str, str]:
    """NAME=VALUE by name; UsageError for another form and for a name that is given twice."""
    pairs: dict[str, str] = {}
    for text in texts or []:
        key, equals, value = text.partition("=")
        if not equals or not key or not (value or may_be_empty):
            raise UsageError(f"{text!r} is not {form}", where=name)
        if key in pairs:
            raise UsageError(f"{key} is given twice", where=name, fix="leave one of them out")
        pairs[key] = value
    return pairs
