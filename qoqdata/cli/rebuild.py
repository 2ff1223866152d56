"""qoqdata rebuild: from a release and your own raw files to the whole set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import qoqdata
from qoqdata import command_line, console

if TYPE_CHECKING:
    from qoqdata.publication.rebuild import Rebuilt

EPILOG = """Example:  qoqdata rebuild ./release --raw /data --out ./set

RELEASE is downloaded or where it was published. With several recipes, --raw is the parent of
folders named after their sources; recipes without a folder are left out."""


def add(app: typer.Typer) -> None:
    app.command("rebuild", epilog=EPILOG)(rebuild_command)


def rebuild_command(
    release: Annotated[str, typer.Argument(help="The release: folder or URL.")],
    raw: Annotated[Path, typer.Option(help="Raw folder (of several sources: parent).")],
    out: Annotated[Path, typer.Option(help="Where the whole set goes.")],
    workers: Annotated[
        int | None, typer.Option(help="Processes; 0 means this one (default: one a core).")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The outcome as JSON.")] = False,
) -> None:
    """Rebuild what a release holds as recipe, and check every record against its digest.

    Exit code 1 means that records differ or are missing; their shard is left out; 3, that a source
    gave none of them.
    """
    with console.listener(quiet=json) as progress:
        manifest, outcomes = qoqdata.rebuild(
            release, raw=raw, out=out, workers=workers, progress=progress
        )
    if json:
        console.emit_json({"out": str(out), "digest": manifest.digest, "sources": _plain(outcomes)})
    else:
        rows = [(o.source, o.same, len(o.differ), len(o.missing)) for o in outcomes]
        console.table(("source", "as released", "differ", "missing"), rows)
        console.say(f"\ndata set {out}  digest {manifest.digest[:16]}")
    if any(not outcome.same and not outcome.differ for outcome in outcomes):
        command_line.leave(command_line.FAILED)
    whole = all(outcome.whole for outcome in outcomes)
    command_line.leave(command_line.DONE if whole else command_line.FINDINGS)


def _plain(outcomes: list[Rebuilt]) -> list[dict[str, Any]]:
    return [
        {"source": o.source, "same": o.same, "differ": o.differ, "missing": o.missing}
        for o in outcomes
    ]
