"""qoqdata why: where a record comes from and what was decided about it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import qoqdata
from qoqdata import command_line, console
from qoqdata.cli.build import read_pairs
from qoqdata.errors import UsageError

if TYPE_CHECKING:
    from qoqdata.curation.lineage import Lineage
    from qoqdata.curation.replay import Replay

EPILOG = """Example:  qoqdata why ./set 0f3a...

Make it again and compare:  qoqdata why ./set 0f3a... --replay --raw /data/ptb-xl"""


def add(app: typer.Typer) -> None:
    app.command("why", epilog=EPILOG)(why_command)


def why_command(
    dataset: Annotated[str, typer.Argument(help="The data set: folder or URL.")],
    id: Annotated[str, typer.Argument(help="The record's id.")],
    rollouts: Annotated[
        Path | None, typer.Option(help="Rollouts of a policy: Parquet, a folder, or JSON lines.")
    ] = None,
    replay: Annotated[
        bool, typer.Option("--replay", help="Convert its files again and compare all bytes.")
    ] = False,
    raw: Annotated[
        str | None, typer.Option(help="With --replay: the source's folder or URL.")
    ] = None,
    mount: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=DIR", help="With --replay: a further root of the build."),
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(help="With --replay: the mapping of the build.")
    ] = None,
    salt_file: Annotated[
        Path | None, typer.Option(help="With --replay: the salt of the build.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Tell a record's way from raw files to training.

    Raw files and digests, converter, sizes and windows, verdicts, people's decisions, rarity and
    success rates; of dropped records too. Exit code 1 means that a replay gave another record.
    """
    if replay != (raw is not None):
        raise UsageError("--replay and --raw go together", fix="--replay --raw DIR")
    if mount and raw is None:
        raise UsageError("--mount goes with --replay", fix="--replay --raw DIR --mount NAME=DIR")
    made = qoqdata.why(dataset, id, rollouts=rollouts)
    again = None
    if raw is not None:
        again = qoqdata.replay(
            dataset, id, raw, mounts=_mounts(mount), mapping=mapping, salt_file=salt_file
        )
    if json:
        console.emit_json(_plain(made, again))
    else:
        show(made)
        if again is not None:
            console.say(_replayed(again))
    command_line.leave(command_line.DONE if again is None or again.same else command_line.FINDINGS)


def _mounts(texts: list[str] | None) -> dict[str, Path]:
    pairs = read_pairs(texts, name="--mount", form="NAME=DIR")
    return {name: Path(folder) for name, folder in pairs.items()}


def _plain(made: Lineage, again: Replay | None) -> dict[str, Any]:
    decisions = [line.model_dump() for line in made.decisions]
    findings = dict(made.findings)
    plain = {**made.__dict__, "decisions": decisions, "findings": findings}
    return plain | ({} if again is None else {"replay": asdict(again) | {"same": again.same}})


def show(made: Lineage) -> None:
    """From the raw files on, a block for each step that left something."""
    from qoqdata.description.lineage_steps import lineage_steps

    for title, rows in lineage_steps(made):
        console.say(title)
        console.facts([(f"  {name}", value) for name, value in rows])
        console.say()


def _replayed(again: Replay) -> str:
    changed = f" (the {' and the '.join(again.changed)} changed since)" if again.changed else ""
    if again.same:
        return f"made again: the same bytes{changed}"
    if again.failure is not None:
        return f"made again: no record: {again.failure}{changed}"
    return f"made again: other {', '.join(again.differ)}{changed}"
