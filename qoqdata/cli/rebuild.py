"""qoqdata rebuild: from a release and your own raw files to the whole set."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qoqdata import console
from qoqdata.errors import UsageError

if TYPE_CHECKING:
    from qoqdata.publication.rebuild import Rebuilt

EPILOG = """Example:  qoqdata rebuild ./release --raw /data --out ./set

RELEASE is a downloaded release. With several recipes, --raw is the parent of folders named after
their sources; recipes without a folder are left out."""


def add(app: typer.Typer) -> None:
    app.command("rebuild", epilog=EPILOG)(rebuild_command)


def rebuild_command(
    release: Annotated[Path, typer.Argument(help="The release's folder.")],
    raw: Annotated[Path, typer.Option(help="Raw folder (of several sources: parent).")],
    out: Annotated[Path, typer.Option(help="Where the whole set goes.")],
    workers: Annotated[int, typer.Option(help="Processes; 0 means this one.")] = os.cpu_count()
    or 1,
    json: Annotated[bool, typer.Option("--json", help="The outcome as JSON.")] = False,
) -> None:
    """Rebuild what a release holds as recipe, and check every record against its digest.

    Exit code 1 means that records differ or are missing; their shard is left out.
    """
    from qoqdata.cli.progress import listener
    from qoqdata.dataset import open_dataset
    from qoqdata.pipeline.config import BuildSetting
    from qoqdata.publication.rebuild import rebuild
    from qoqdata.records.identity import load_salt

    opened = open_dataset(release)
    slugs = opened.manifest.release.recipes if opened.manifest.release else ()
    folders = _folders(slugs, raw)
    with listener(quiet=json) as listen:
        setting = BuildSetting(load_salt(), workers=workers, listen=listen)
        manifest, outcomes = rebuild(opened, folders, out, setting)
    if json:
        console.emit_json({"out": str(out), "digest": manifest.digest, "sources": _plain(outcomes)})
    else:
        rows = [(o.source, o.same, len(o.differ), len(o.missing)) for o in outcomes]
        console.table(("source", "as released", "differ", "missing"), rows)
        console.say(f"\ndata set {out}  digest {manifest.digest[:16]}")
    whole = all(outcome.whole for outcome in outcomes)
    console.leave(console.DONE if whole else console.FINDINGS)


def _folders(slugs: tuple[str, ...], raw: Path) -> dict[str, Path]:
    if not slugs:
        raise UsageError("the release holds no recipe", fix="qoqdata.open reads it as it is")
    found = {slug: raw / slug for slug in slugs if (raw / slug).is_dir()}
    if not found and len(slugs) == 1 and raw.is_dir():
        return {slugs[0]: raw}
    if not found:
        fix = f"expected are folders called {', '.join(slugs)}"
        raise UsageError("holds no raw folder of a recipe", where=str(raw), fix=fix)
    return found


def _plain(outcomes: list[Rebuilt]) -> list[dict]:
    return [
        {"source": o.source, "same": o.same, "differ": o.differ, "missing": o.missing}
        for o in outcomes
    ]
