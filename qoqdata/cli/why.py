"""qoqdata why: where a record comes from and what was decided about it."""

from __future__ import annotations

from collections.abc import Iterator
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
    raw: Annotated[Path | None, typer.Option(help="With --replay: the source's folder.")] = None,
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
    record = made.record
    for title, rows in (
        ("record", _record(made)),
        ("raw files", _raw(record)),
        ("conversion", _conversion(made)),
        ("curation", _curation(made)),
        ("statistics", _statistics(made)),
    ):
        console.say(title)
        console.facts([(f"  {name}", value) for name, value in rows])
        console.say()


def _record(made: Lineage) -> Iterator[tuple[str, Any]]:
    for name in ("id", "source", "domain", "task", "item", "split", "patient", "study"):
        if made.record[name] is not None:
            yield name, made.record[name]
    yield "question", made.record["question"]
    yield "answer", made.record["answer"]
    yield "in", f"{made.shard['path']}, sha256 {made.shard['sha256']}"


def _raw(record: Any) -> Iterator[tuple[str, Any]]:
    made = record["provenance"]
    for number, path in enumerate(made["raw"], start=1):
        yield f"file {number}", path
    yield f"digest ({made['algorithm']})", made["digest"]


def _conversion(made: Lineage) -> Iterator[tuple[str, Any]]:
    origin = made.origin
    yield "converter", f"{origin['converter']} {origin['version']}, code {origin['code_digest']}"
    yield "card", origin["card_digest"]
    yield "qoqdata", origin["qoqdata_version"]
    if origin["options"]:
        yield "options", ", ".join(f"{k}={v}" for k, v in sorted(origin["options"].items()))
    for number, info in enumerate(made.record["image_info"] or (), start=1):
        yield f"image {number}", _image(info)
    for note in made.record["provenance"]["notes"]:
        yield "note", note


def _image(info: Any) -> str:
    size = f"{info['original_width']} x {info['original_height']}"
    stored = f"{info['width']} x {info['height']}"
    parts = [size if size == stored else f"{size}, stored as {stored}", f"{info['stored_as']}"]
    skip = ("width", "height", "original_width", "original_height", "stored_as")
    more = {name: value for name, value in info.items() if value is not None and name not in skip}
    parts += [f"{name} {value}" for name, value in more.items()]
    return ", ".join(parts)


def _curation(made: Lineage) -> Iterator[tuple[str, Any]]:
    yield "kept", "yes" if made.kept else "no"
    for one in made.verdicts:
        evidence = f" ({one['evidence']})" if one["evidence"] else ""
        yield f"{one['verdict']}, {one['rule']}", f"{one['reason']}{evidence}"
    for line in made.decisions:
        undone = getattr(line, "undo", None)
        if undone is not None:
            yield f"decision {line.order}", f"{line.author} took decision {undone} back"
        else:
            word = "keep" if getattr(line, "keep", False) else "drop"
            yield f"decision {line.order}", f"{line.author}: {word}, {getattr(line, 'why', '')}"
    for name, rows in made.findings:
        for row in rows:
            yield name, ", ".join(f"{k} {v}" for k, v in row.items() if v is not None)


def _statistics(made: Lineage) -> Iterator[tuple[str, Any]]:
    if made.stale is not None:
        yield "none", made.stale
    for row in made.statistics:
        counts = (
            f"{row['n_studies']:,} studies, share {row['share']:.4f}, rarity {row['rarity']:.2f}"
        )
        rate = row["success_rate"]
        success = "" if rate is None else f", success rate {rate:.3f} ({row['policy']})"
        yield f"{row['level']} {row['key']}", counts + success
    for row in made.rates:
        rollouts = f" of {row['n_rollouts']} rollouts" if row["n_rollouts"] else ""
        yield f"success of {row['policy']}", f"{row['success_rate']:.3f}{rollouts}, {row['scorer']}"
    if made.rollouts is not None:
        rewards = ", ".join(f"{reward:g}" for reward in made.rollouts)
        yield "rollouts", rewards or "none of this record"


def _replayed(again: Replay) -> str:
    changed = f" (the {' and the '.join(again.changed)} changed since)" if again.changed else ""
    if again.same:
        return f"made again: the same bytes{changed}"
    if again.failure is not None:
        return f"made again: no record: {again.failure}{changed}"
    return f"made again: other {', '.join(again.differ)}{changed}"
