"""A record's way from raw files to training, in words: for the command line and the viewer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qoqdata.curation.decision_log import LogLine
    from qoqdata.curation.lineage import Lineage


def lineage_steps(made: Lineage) -> list[tuple[str, list[tuple[str, Any]]]]:
    """Each step that left something: its title, and rows of name and value."""
    record = made.record
    return [
        ("record", list(_record(made))),
        ("raw files", list(_raw(record))),
        ("conversion", list(_conversion(made))),
        ("curation", list(_curation(made))),
        ("statistics", list(_statistics(made))),
    ]


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
    if window := more.pop("window", None):
        named = f"{window['name']} " if window["name"] else ""
        parts.append(f"window {named}{window['centre']:g} / {window['width']:g}")
    if spacing := more.pop("spacing", None):
        parts.append(f"spacing {' x '.join(f'{step:g}' for step in spacing)} mm")
    parts += [f"{name} {value}" for name, value in more.items()]
    return ", ".join(parts)


def _curation(made: Lineage) -> Iterator[tuple[str, Any]]:
    yield "kept", "yes" if made.kept else "no"
    for one in made.verdicts:
        evidence = f" ({one['evidence']})" if one["evidence"] else ""
        yield f"{one['verdict']}, {one['rule']}", f"{one['reason']}{evidence}"
    for line in made.decisions:
        yield _said(line)
    for name, rows in made.findings:
        for row in rows:
            yield name, ", ".join(f"{k} {v}" for k, v in row.items() if v is not None)


def _said(line: LogLine) -> tuple[str, str]:
    """A line of the log of decisions: its number, and what it says."""
    if hasattr(line, "undo"):
        return f"decision {line.order}", f"{line.author} took decision {line.undo} back"
    if hasattr(line, "comment"):
        return f"comment {line.order}", f"{line.author}: {line.comment}"
    right = "" if line.answer is None else f", right is {line.answer}"
    return f"decision {line.order}", f"{line.author}: {line.choice}{right}, {line.why}"


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
