"""qoqdata finish: the parts of a planned build, joined."""

from __future__ import annotations

from typing import Annotated

import typer

import qoqdata
from qoqdata import command_line, console
from qoqdata.cli.build import CODES, Out, SaltFile, report
from qoqdata.errors import UsageError

EPILOG = f"""Example:  qoqdata finish --out /shared/set

{command_line.EXIT_CODES}"""


def add(app: typer.Typer) -> None:
    app.command("finish", epilog=EPILOG)(finish_command)


def finish_command(
    out: Out = None,
    salt_file: SaltFile = None,
    json: Annotated[bool, typer.Option("--json", help="Counts as JSON.")] = False,
) -> None:
    """Join the parts of what `qoqdata plan` planned: the same set as from one build.

    Exit codes are those of build; 3 also means that chunks are missing, and the parts that build
    them are named.
    """
    if out is None:
        raise UsageError("--out is missing", fix="name the data set's folder")
    with console.listener(quiet=json) as progress:
        manifest = qoqdata.finish(out, salt_file=salt_file, progress=progress)
    report(manifest, out, as_json=json)
    command_line.leave(CODES[manifest.outcome])
