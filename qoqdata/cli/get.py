"""qoqdata get: the raw files of a source."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import qoqdata
from qoqdata import command_line, console

EPILOG = """Example:  qoqdata get ptb_xl --out /data/ptb_xl

Then:  qoqdata check-raw ptb_xl --raw /data/ptb_xl"""


def add(app: typer.Typer) -> None:
    app.command("get", epilog=EPILOG)(get_command)


def get_command(
    source: Annotated[str, typer.Argument(help="Slug of the source.")],
    out: Annotated[Path, typer.Option(help="The raw folder, new or to be completed.")],
    json: Annotated[bool, typer.Option("--json", help="Files as JSON.")] = False,
) -> None:
    """Fetch the raw files of an open source from its publisher, with resume and checksums.

    For a source with terms to agree to it says what to do. Exit code 1 means that files could not
    be had; the same command goes on with them.
    """
    from qoqdata.fetching.channels import read_download

    with console.counter("files", quiet=json) as progress:
        fetched = qoqdata.get(source, out=out, progress=progress)
    failed = [str(error) for error in fetched.failed]
    if json:
        names = ("came", "kept", "unchecked")
        files = {name: list(getattr(fetched, name)) for name in names}
        console.emit_json({"source": source, "out": str(out), **files, "failed": failed})
    else:
        console.say(f"{out}: {len(fetched.came)} files came, {len(fetched.kept)} were there")
        if fetched.unchecked:
            console.say(f"{len(fetched.unchecked)} have no digest of their publisher")
        for fault in failed:
            console.complain(f"failed: {fault}")
        download = read_download(qoqdata.find_source(source))
        if download is not None and download.then is not None:
            console.say(f"then: {download.then}")
    command_line.leave(command_line.FINDINGS if failed else command_line.DONE)
