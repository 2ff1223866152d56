"""What the catalogue says of each source in a line: terms, size, questions, how far verified."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from statistics import median

from qoqdata.contract.card import Card, Verified
from qoqdata.contract.task import Task

#: Of a source that the user's mapping drives.
ANY_DOMAIN = "any"

_HEAD = """\
# Sources

<!-- made by `qoqdata sources --markdown`: change the cards, and write it anew -->

What can be built, by domain, as the cards say. `qoqdata sources SLUG` shows a card in full;
[new_source.md](new_source.md) says what holds for every source, and how one is written.

- **Units** are what planning finds in a complete copy, **records** the questions that it gives;
  a dash where the card expects no number. Every build compares what it finds.
- **Tasks and answers**: how many options a task has, or what is asked for.
- **Verified by**: where what the converter takes for granted was seen. *Tables* are names, columns,
  codes and values; *files* names and content of images, masks and signals; *counts* those that are
  expected. Real files are surer than real tables, these than documents and public code, and memory
  is last.
- **Lines** are those of source.py. Their median is {median:g} without the sources for your own
  files.

**Left out**: MedPix 2.0. The images of VQA-RAD are from MedPix, so that whoever trains on it can no
longer report that benchmark; its licence is not settled either. Kvasir: endoscopy is none of the
domains of a record.
"""
_COLUMNS = (
    *("source", "units", "records", "tasks and answers", "access; licence; redistribution"),
    *("verified by", "lines"),
)


@dataclass(frozen=True)
class SourceOverview:
    """One source in short.

    domain         "any" for a source that the user's mapping drives
    units, records of a complete copy; None where the card expects no number
    tasks          what may be the answer, by the name of the task
    lines          of source.py
    """

    slug: str
    name: str
    domain: str
    access: str
    licence: str
    redistribution: str
    units: int | None
    records: int | None
    tasks: dict[str, str]
    verified: str
    qoq_med: bool
    evaluation: bool
    simulated: bool
    lines: int


def overview(card: Card, folder: Path, *, simulated: bool) -> SourceOverview:
    """The source of `card`, whose source.py is in `folder`."""
    return SourceOverview(
        slug=card.slug,
        name=card.name,
        domain=domain_of(card),
        access=card.access,
        licence=card.licence.name,
        redistribution=card.redistribution,
        units=card.expected.units,
        records=card.expected.records,
        tasks={name: answers(task) for name, task in card.tasks.items()},
        verified=how_verified(card.verified),
        qoq_med=card.qoq_med,
        evaluation=card.role == "evaluation",
        simulated=simulated,
        lines=len((folder / "source.py").read_text(encoding="utf-8").splitlines()),
    )


def domain_of(card: Card) -> str:
    """Its domain; "any" where the user's mapping says which."""
    return ANY_DOMAIN if card.needs_mapping else str(card.domain)


def answers(task: Task) -> str:
    """What may be the answer: "one of 5", "any of 14", "grade, 1 of 5", "number in mm"."""
    count = len(task.options or ())
    match task.kind:
        case "single":
            return f"one of {count}"
        case "multi":
            return f"any of {count}"
        case "number" if task.ordinal:
            return f"grade, 1 of {count}"
        case "number":
            return "number" if task.unit in (None, "1") else f"number in {task.unit}"
        case "choice":
            return "one of the record's"
        case "boxes":
            return "boxes"
        case _:
            return "text"


def how_verified(verified: Verified) -> str:
    """ "tables: real tables; files: documents", or "not stated"."""
    facts = verified.model_dump(exclude_none=True)
    return "; ".join(f"{what}: {basis.replace('_', ' ')}" for what, basis in facts.items()) or (
        "not stated"
    )


def markdown(overviews: Iterable[SourceOverview]) -> str:
    """The page of the sources: a table of each domain."""
    rows = sorted(overviews, key=lambda row: (row.domain == ANY_DOMAIN, row.domain, row.slug))
    sizes = [row.lines for row in rows if row.domain != ANY_DOMAIN]
    lines = [_HEAD.format(median=median(sizes or [0]))]
    for domain, group in groupby(rows, key=lambda row: row.domain):
        title = "Your own files, of any domain" if domain == ANY_DOMAIN else domain
        lines += [f"## {title}", "", _line(_COLUMNS), "|---|---:|---:|---|---|---|---:|"]
        lines += [_line(_cells(row)) for row in group]
        lines.append("")
    return "\n".join(lines)


def _cells(row: SourceOverview) -> tuple[str, ...]:
    mark = ""
    if row.evaluation:
        mark = ", for evaluation only"
    elif not row.qoq_med and row.domain != ANY_DOMAIN:
        mark = ", not of the set of 2.61 million"
    return (
        f"**{row.slug}**: {row.name}{mark}",
        "-" if row.units is None else f"{row.units:,}",
        "-" if row.records is None else f"{row.records:,}",
        "<br>".join(f"{name}: {answer}" for name, answer in row.tasks.items()) or "by the mapping",
        f"{row.access}; {row.licence}; {row.redistribution}",
        "<br>".join(row.verified.split("; ")) if row.domain != ANY_DOMAIN else "-",
        str(row.lines),
    )


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
