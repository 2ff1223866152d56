"""qoqdata build: raw sources into a data set."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from qoqdata import console
from qoqdata.cli.progress import listener
from qoqdata.contract.manifest import Manifest
from qoqdata.errors import UsageError
from qoqdata.pipeline.config import BuildConfig, load_config, parse_config

EPILOG = """Example:  qoqdata build ptb_xl --raw /data/ptb-xl --out ./set

With your own files:  qoqdata build image_table --raw ./raw --mapping mapping.yaml --out ./set

A build that was interrupted or changed goes on where it stopped: run the same command again."""


def add(app: typer.Typer) -> None:
    app.command("build", epilog=EPILOG)(build_command)


def build_command(
    slugs: Annotated[list[str] | None, typer.Argument(metavar="SLUG...", help="Sources.")] = None,
    out: Annotated[Path | None, typer.Option(help="The data set's folder.")] = None,
    raw: Annotated[Path | None, typer.Option(help="Raw folder (of several: parent).")] = None,
    config: Annotated[Path | None, typer.Option(help="build.yaml, in place of SLUG.")] = None,
    mapping: Annotated[Path | None, typer.Option(help="For a bring-your-own source.")] = None,
    option: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A source option; repeatable.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes; 0 means this one.")] = os.cpu_count()
    or 1,
    engine: Annotated[str, typer.Option(help="local or ray.")] = "local",
    limit: Annotated[int | None, typer.Option(help="First N units of each source.")] = None,
    resume: Annotated[bool, typer.Option(help="Reuse finished shards.")] = True,
    salt_file: Annotated[
        Path | None, typer.Option(help="The site's secret salt (default: user configuration).")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Counts as JSON.")] = False,
) -> None:
    """Build a data set from raw sources.

    Exit code 1 means that something ended in quarantine; the rest is built.
    """
    from qoqdata.pipeline.build import build
    from qoqdata.pipeline.config import BuildSetting
    from qoqdata.records.identity import load_salt

    if out is None:
        raise UsageError("--out is missing", fix="name the data set's folder")
    request = _config(slugs or [], raw, config, mapping, option or [], limit)
    salt = load_salt(salt_file, create=salt_file is None)
    with listener(quiet=json) as listen:
        setting = BuildSetting(salt, workers=workers, engine=engine, resume=resume, listen=listen)
        manifest = build(request, out, setting)
    report(manifest, out, as_json=json)
    failed = any(e.counts.quarantined or e.refused for e in manifest.sources.values())
    console.leave(console.FINDINGS if failed else console.DONE)


def report(manifest: Manifest, out: Path, *, as_json: bool) -> None:
    """The counts by source, and where the quarantine is."""
    if as_json:
        content = manifest.model_dump(mode="json", exclude={"shards"})
        console.emit_json({"out": str(out), **content})
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
    console.say(f"\ndata set {out}  digest {manifest.digest[:16]}")
    if any(entry.counts.quarantined for entry in manifest.sources.values()):
        quarantine(out, manifest)


def quarantine(out: Path, manifest: Manifest) -> None:
    """The reasons of quarantine with one example each."""
    import polars as pl

    from qoqdata.layout import Layout

    paths = [Layout(out).quarantine(slug) for slug in manifest.sources]
    rows = pl.concat([pl.read_parquet(path) for path in paths if path.is_file()])
    reasons = (
        rows.filter(pl.col("outcome") == "quarantined")
        .group_by("source", "reason")
        .agg(n=pl.len(), example=pl.col("message").first())
        .sort("source", "reason")
    )
    console.say("\nquarantined (all rows: quarantine/<source>.parquet)")
    console.table(("source", "reason", "units", "for example"), reasons.iter_rows())


def _config(
    slugs: list[str],
    raw: Path | None,
    config: Path | None,
    mapping: Path | None,
    options: list[str],
    limit: int | None,
) -> BuildConfig:
    if config is not None:
        if slugs or raw or mapping or options:
            raise UsageError("--config stands alone", fix="put sources and options into the file")
        loaded = load_config(config)
        return loaded if limit is None else loaded.model_copy(update={"limit": limit})
    if not slugs or raw is None:
        raise UsageError("no source to build", fix="give SLUG and --raw, or --config build.yaml")
    if len(slugs) > 1 and (mapping or options):
        fix = "use --config build.yaml for several sources"
        raise UsageError("--mapping and --option go with one source", fix=fix)
    requests: list[dict[str, Any]] = [
        {"source": slug, "raw": raw if len(slugs) == 1 else raw / slug} for slug in slugs
    ]
    requests[0] |= {"mapping": mapping, "options": dict(map(_option, options))}
    return parse_config({"sources": requests, "limit": limit}, where="command line")


def _option(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"{text!r} is not NAME=VALUE", where="--option")
    return name, yaml.safe_load(value)
