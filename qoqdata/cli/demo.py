"""qoqdata demo: the whole path on files that ship with the installed packages."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import qoqdata
from qoqdata import command_line, console
from qoqdata.cli import build, stats, validate
from qoqdata.layout import Layout

if TYPE_CHECKING:
    from qoqdata.contract.manifest import Manifest
    from qoqdata.validation import Finding

#: Packages that consume statistics add a step to the demo here; qoqdata names none of them.
STEPS = "qoqdata.demo_steps"


def add(app: typer.Typer) -> None:
    app.command("demo", epilog="Example:  qoqdata demo --out ./demo")(demo_command)


def demo_command(
    out: Annotated[Path, typer.Option(help="Folder for raw files and data set.")] = Path("demo"),
    workers: Annotated[int, typer.Option(help="Processes (0: this one).")] = 2,
    json: Annotated[
        bool, typer.Option("--json", help="Where the set is, and its counts, as JSON.")
    ] = False,
) -> None:
    """Run the whole path on shipped test files.

    Builds, validates and describes a small multi-domain data set: no network, no data of yours.
    """
    from qoqdata.demo import stage, write_salt

    dataset, say = out / "dataset", _silent if json else console.say
    say("1. raw files: test data of the installed packages, and the sources' examples")
    config = stage(out / "raw")
    say(f"   staged in {out / 'raw'}\n\n2. build")
    salt_file = write_salt(out)
    with console.listener(quiet=json) as progress:
        manifest = qoqdata.build(
            config=config, out=dataset, workers=workers, salt_file=salt_file, progress=progress
        )
    if json:
        findings = qoqdata.validate(dataset)
        qoqdata.stats(dataset, prior=True)
        console.emit_json(_counts(manifest, dataset, salt_file, findings))
        command_line.leave(command_line.FINDINGS if findings else command_line.DONE)
        return
    build.report(manifest, dataset, as_json=False)
    console.say("(two rows of our_films are faulty on purpose: this is what quarantine looks like)")
    console.say("\n3. validate")
    findings = qoqdata.validate(dataset)
    validate.show(findings, manifest)
    console.say("\n4. statistics: rarity, and difficulty from label entropy")
    stats.show(qoqdata.stats(dataset, prior=True))
    for number, step in enumerate(sorted(entry_points(group=STEPS)), start=5):
        console.say(f"\n{number}. {step.name.replace('_', ' ')}")
        step.load()(dataset)
    _next_steps(dataset)
    command_line.leave(command_line.FINDINGS if findings else command_line.DONE)


def _silent(line: str) -> None:
    """Nothing is said beside a JSON document."""


def _counts(
    manifest: Manifest, dataset: Path, salt_file: Path, findings: Sequence[Finding]
) -> dict[str, Any]:
    """Where what was made is, and how much of it; the steps of other packages are for people."""
    kept = {"units", "converted", "quarantined", "filtered", "records", "by_split"}
    sources = {
        slug: entry.counts.model_dump(mode="json", include=kept)
        for slug, entry in manifest.sources.items()
    }
    return {
        "out": str(dataset),
        "manifest": str(Layout(dataset).manifest),
        "salt_file": str(salt_file),
        "digest": manifest.digest,
        "records": sum(counts["records"] for counts in sources.values()),
        "sources": sources,
        "findings": len(findings),
    }


def _next_steps(dataset: Path) -> None:
    console.say("\nnext")
    rows = [
        ("the records", f"python -c \"import qoqdata; print(qoqdata.open('{dataset}').records)\""),
        ("the sources", "qoqdata sources"),
        ("your own files", "qoqdata sources image_table"),
        ("a real source", "qoqdata build ptb_xl --raw /data/ptb-xl --out ./set"),
    ]
    console.facts(rows)
