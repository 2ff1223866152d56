"""qoqdata demo: the whole path on files that ship with the installed packages."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import typer

from qoqdata import console

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
    from qoqdata.cli.build import report
    from qoqdata.cli.progress import listener
    from qoqdata.cli.stats import show
    from qoqdata.cli.validate import check
    from qoqdata.dataset import open_dataset
    from qoqdata.demo import SALT, stage
    from qoqdata.pipeline.build import build
    from qoqdata.pipeline.config import BuildSetting
    from qoqdata.statistics import difficulty, tables
    from qoqdata.statistics.prior import write_prior

    dataset = out / "dataset"
    console.say("1. raw files: test data of the installed packages, and the sources' examples")
    config = stage(out / "raw")
    console.say(f"   staged in {out / 'raw'}\n\n2. build")
    with listener() as listen:
        manifest = build(config, dataset, BuildSetting(SALT, workers=workers, listen=listen))
    report(manifest, dataset, as_json=False)
    console.say("(two rows of our_films are faulty on purpose: this is what quarantine looks like)")
    console.say("\n3. validate")
    opened = open_dataset(dataset)
    findings = check(opened)
    console.say("\n4. statistics: rarity, and success rates from label entropy")
    write_prior(opened)
    success = difficulty.choose(opened.layout)
    show(tables.write_statistics(opened.layout, tables.compute(opened.kept(), success)))
    for number, step in enumerate(sorted(entry_points(group=STEPS)), start=5):
        console.say(f"\n{number}. {step.name.replace('_', ' ')}")
        step.load()(dataset)
    _next_steps(dataset)
    console.leave(console.FINDINGS if findings else console.DONE)


def _next_steps(dataset: Path) -> None:
    console.say("\nnext")
    rows = [
        ("the records", f"python -c \"import qoqdata; print(qoqdata.open('{dataset}').records)\""),
        ("the sources", "qoqdata sources"),
        ("your own files", "qoqdata sources image_table"),
        ("a real source", "qoqdata build ptb_xl --raw /data/ptb-xl --out ./set"),
    ]
    console.facts(rows)
