"""qoqdata demo: the whole path on files that ship with the installed packages."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import typer

import qoqdata
from qoqdata import command_line, console
from qoqdata.cli import build, stats, validate

#: Packages that consume statistics add a step to the demo here; qoqdata names none of them.
STEPS = "qoqdata.demo_steps"


def add(app: typer.Typer) -> None:
    app.command("demo", epilog="Example:  qoqdata demo --out ./demo")(demo_command)


def demo_command(
    out: Annotated[Path, typer.Option(help="Folder for raw files and data set.")] = Path("demo"),
    workers: Annotated[int, typer.Option(help="Processes (0: this one).")] = 2,
) -> None:
    """Run the whole path on shipped test files.

    Builds, validates and describes a small multi-domain data set: no network, no data of yours.
    """
    from qoqdata.demo import stage, write_salt

    dataset = out / "dataset"
    console.say("1. raw files: test data of the installed packages, and the sources' examples")
    config = stage(out / "raw")
    console.say(f"   staged in {out / 'raw'}\n\n2. build")
    salt_file = write_salt(out)
    with console.listener() as progress:
        manifest = qoqdata.build(
            config=config, out=dataset, workers=workers, salt_file=salt_file, progress=progress
        )
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


def _next_steps(dataset: Path) -> None:
    console.say("\nnext")
    rows = [
        ("the records", f"python -c \"import qoqdata; print(qoqdata.open('{dataset}').records)\""),
        ("the sources", "qoqdata sources"),
        ("your own files", "qoqdata sources image_table"),
        ("a real source", "qoqdata build ptb_xl --raw /data/ptb-xl --out ./set"),
    ]
    console.facts(rows)
