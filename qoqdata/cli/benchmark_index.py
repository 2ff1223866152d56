"""qoqdata benchmark-index: what a benchmark's images and ECGs are recognised by."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

import qoqdata
from qoqdata import command_line, console
from qoqdata.errors import UsageError

EPILOG = """Example:  qoqdata benchmark-index /data/slake vqa_rad=/data/rad --out index.parquet

Then:  qoqdata curate ./set --against index.parquet"""


def add(app: typer.Typer) -> None:
    app.command("benchmark-index", epilog=EPILOG)(benchmark_index_command)


def benchmark_index_command(
    raw: Annotated[
        list[str], typer.Argument(metavar="[NAME=]RAW...", help="Folders of your copies.")
    ],
    out: Annotated[Path, typer.Option(help="The index, a Parquet file.")],
    json: Annotated[bool, typer.Option("--json", help="Counts as JSON.")] = False,
) -> None:
    """Index the images and ECGs of benchmarks, so that training sets can be checked against them.

    Image files, in archives too, images in Parquet and TSV tables, and ECGs as files (WFDB). A
    benchmark is called by its folder, or by NAME. The index holds small grey images: share it as
    you would share those. Exit code 1 means that files could not be read, and are not in it.
    """
    with console.counter("images and ECGs", quiet=json) as progress:
        index = qoqdata.benchmark_index(_copies(raw), out=out, progress=progress)
    names, media = (index.table[column].to_pylist() for column in ("benchmark", "medium"))
    counts = Counter(zip(names, media, strict=True))
    benchmarks = sorted(set(names))
    images, ecgs = (
        {name: counts[name, medium] for name in benchmarks} for medium in ("image", "ecg")
    )
    faults = [str(error) for error in index.unreadable]
    if json:
        row = {"out": str(out), "images": images, "ecgs": ecgs, "unreadable": faults}
        console.emit_json(row)
    else:
        rows = [(name, images[name], ecgs[name]) for name in benchmarks]
        console.table(("benchmark", "images", "ECGs"), rows)
        console.say(f"\nindex {out}")
        for fault in faults:
            console.complain(f"not in it: {fault}")
    command_line.leave(command_line.FINDINGS if faults else command_line.DONE)


def _copies(texts: list[str]) -> dict[str, Path]:
    copies: dict[str, Path] = {}
    for text in texts:
        name, equals, folder = text.partition("=")
        path = Path(folder if equals and not Path(text).is_dir() else text)
        name = name if path != Path(text) else path.resolve().name
        if name in copies:
            fix = "write NAME=FOLDER"
            raise UsageError(f"two copies are called {name!r}", where=text, fix=fix)
        copies[name] = path
    return copies
