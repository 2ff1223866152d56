"""qoqdata benchmark-index: what a benchmark's images are recognised by."""

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
    """Index the images of benchmarks, so that training sets can be checked against them.

    Image files, in archives too, and images in Parquet and TSV tables. A benchmark is called by its
    folder, or by NAME. The index holds small grey images: share it as you would share those. Exit
    code 1 means that files could not be read, and are not in it.
    """
    with console.counter("images", quiet=json) as progress:
        index = qoqdata.benchmark_index(_copies(raw), out=out, progress=progress)
    images = Counter(index.table["benchmark"].to_pylist())
    faults = [str(error) for error in index.unreadable]
    if json:
        console.emit_json({"out": str(out), "images": dict(images), "unreadable": faults})
    else:
        console.table(("benchmark", "images"), sorted(images.items()))
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
