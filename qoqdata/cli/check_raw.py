"""qoqdata check-raw: whether a raw folder is what its publisher has."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import qoqdata
from qoqdata import command_line, console

if TYPE_CHECKING:
    from qoqdata.fetching.checking import RawCheck

EPILOG = """Example:  qoqdata check-raw ptb_xl --raw /data/ptb_xl

Without a server:  qoqdata check-raw ptb_xl --raw /data/ptb_xl --no-listing"""


def add(app: typer.Typer) -> None:
    app.command("check-raw", epilog=EPILOG)(check_raw_command)


def check_raw_command(
    source: Annotated[str, typer.Argument(help="Slug of the source.")],
    raw: Annotated[Path, typer.Option(help="Its raw folder.")],
    listing: Annotated[bool, typer.Option(help="Compare with the publisher's listing.")] = True,
    json: Annotated[bool, typer.Option("--json", help="What was found, as JSON.")] = False,
) -> None:
    """Check a raw folder before a build: digests where the publisher states them, and the plan.

    Planning reads tables and names of files, no pixels. Exit code 1 means that something is
    missing, altered, refused, or not counted as a complete copy is.
    """
    with console.counter("files", quiet=json) as progress:
        found = qoqdata.check_raw(source, raw=raw, listing=listing, progress=progress)
    if json:
        console.emit_json({"source": source, "sound": found.sound, **asdict(found)})
    else:
        show(found)
    command_line.leave(command_line.DONE if found.sound else command_line.FINDINGS)


def show(found: RawCheck) -> None:
    """What is wrong, by kind, with examples."""
    if found.listed is None:
        console.say("no listing of the publisher was compared")
    else:
        wrong = len(found.missing) + len(found.altered)
        console.say(f"{found.listed - wrong:,} of {found.listed:,} files are as published")
    for path in found.missing[:10]:
        console.say(f"missing: {path}")
    for path, fault in list(found.altered.items())[:10]:
        console.say(f"altered: {path} {fault}")
    for name, table in (("refused", found.refused), ("filtered", found.filtered)):
        if table:
            console.say()
            rows = [(reason, count, message) for reason, (count, message) in table.items()]
            console.table((name, "units", "for example"), rows)
    console.say(f"\nplanned: {found.units:,} units")
    if found.expected is not None and found.expected != found.units:
        console.say(f"the card expects {found.expected:,} of a complete copy")
    if found.failure is not None:
        console.say(f"cannot be planned: {found.failure}")
