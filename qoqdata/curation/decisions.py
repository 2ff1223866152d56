"""What people decided about single records: a log that only grows, joined into the verdicts.

The log, `curation/decisions.jsonl`, has a line a decision in the order in which they were made:

    {"author":"ana","id":"0f3a...","keep":false,"order":1,"why":"cut off at the apex"}
    {"author":"ana","order":2,"undo":1}

The last decision on a record that nobody took back stands. A curation pass reads the log, so
decisions outlive it; between two passes they are in the verdicts at once, and the receipt of the
texts, which is bound to the verdicts, holds no longer: publication asks for `qoqdata curate` again.

Whoever keeps a record in which protected health information was found accepts these findings and no
others: the decision has their digest, the next pass releases the record if it finds the same, and
whatever is found later is held back again.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import polars as pl
import pyarrow.parquet as pq
from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from qoqdata.atomic import canonical, digest, replacing
from qoqdata.contract.arrow import arrow_schema
from qoqdata.contract.side_tables import VERDICTS
from qoqdata.curation.phi.scan import FINDINGS
from qoqdata.dataset import Dataset
from qoqdata.errors import DatasetError, UsageError
from qoqdata.layout import Layout
from qoqdata.printable import printable
from qoqdata.side_table import read_findings_table, read_side_table
from qoqdata.verdicts import PERSON

#: Columns that tell a finding in a record.
_PLACE = ("column", "member", "rule", "start", "length")
#: Seconds that a decision waits for another one, or for the end of a curation pass.
PATIENCE = 30


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    order: int = Field(ge=1)
    author: str = Field(min_length=1)


class PersonDecision(_Line):
    """That `author` keeps or drops the record `id`, and why; `order` counts lines from 1.

    `findings` is the digest of what was found in the texts of a record that is kept; None where
    nothing was.
    """

    id: str = Field(min_length=1)
    keep: bool
    why: str = Field(min_length=1)
    findings: str | None = None


class TakenBack(_Line):
    """That `author` takes back the decision whose order is `undo`."""

    undo: int = Field(ge=1)


_LINES: TypeAdapter[PersonDecision | TakenBack] = TypeAdapter(PersonDecision | TakenBack)


def decide(
    dataset: Dataset,
    id_: str,
    keep: bool,
    why: str,
    author: str | None = None,
    *,
    known: bool = False,
) -> PersonDecision:
    """Keep or drop one record, from now on and in every later curation pass.

    `author` is by default who is logged in; `known` says that the set has the record. Raises
    UsageError without a reason or author, DatasetError for an id that the set does not hold and for
    a damaged log.
    """
    if not why.strip():
        raise UsageError("a decision needs a reason", where="--why", fix="say it in a few words")
    if not known:
        dataset.refuse_unknown([id_], of="decision")
    with deciding(dataset.layout):
        lines = read_log(dataset.layout)
        made = PersonDecision(
            order=len(lines) + 1,
            author=named(author),
            id=id_,
            keep=keep,
            why=printable(why.strip()),
            findings=_known_findings(dataset.layout).get(id_) if keep else None,
        )
        _write(dataset.layout, made)
    return made


def undo(dataset: Dataset, id_: str | None = None, author: str | None = None) -> PersonDecision:
    """Take back the decision that stands on a record, or without `id_` the author's last one.

    Returns what was taken back; the decision before it on the record, if any, stands again. Raises
    UsageError where there is none.
    """
    with deciding(dataset.layout):
        lines = read_log(dataset.layout)
        who = named(author)
        candidates = [
            line
            for line in _not_taken_back(lines)
            if (line.id == id_ if id_ is not None else line.author == who)
        ]
        if not candidates:
            where = f"record {id_}" if id_ is not None else f"decisions of {who}"
            raise UsageError("there is no decision to take back", where=where)
        last = candidates[-1]
        back = TakenBack(order=len(lines) + 1, author=who, undo=last.order)
        _write(dataset.layout, back)
    return last


def read_log(layout: Layout) -> list[PersonDecision | TakenBack]:
    """All lines of the log; empty where nobody decided. Raises DatasetError, which names the line,
    for a log that is not as it was written."""
    path = layout.decisions
    try:
        # Not splitlines(), which also cuts where a reason holds a separator of lines.
        texts = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"cannot be read: {error}", where=str(path)) from error
    lines: list[PersonDecision | TakenBack] = []
    for number, text in enumerate(texts, start=1):
        where, fix = f"{path}:{number}", "put the log there again as `qoqdata decide` wrote it"
        try:
            line = _LINES.validate_json(text)
        except ValidationError as error:
            raise DatasetError("is no decision", where=where, fix=fix) from error
        if line.order != number:
            what = f"is decision {line.order} and stands as number {number}"
            raise DatasetError(what, where=where, fix=fix)
        lines.append(line)
    return lines


def standing_decisions(layout: Layout) -> list[PersonDecision]:
    """The decision that stands on each record somebody decided on, by record id."""
    last = {line.id: line for line in _not_taken_back(read_log(layout))}
    return [last[id_] for id_ in sorted(last)]


def accepted_ids(standing: Iterable[PersonDecision], findings: pl.DataFrame) -> list[str]:
    """Ids of the records whose findings in texts, as they are now, people accepted.

    findings  as `qoqdata.curation.phi.scan_texts` gives them
    """
    accepted = {line.id: line.findings for line in standing if line.keep and line.findings}
    now = _digests(findings.filter(pl.col("id").is_in(list(accepted))))
    return [id_ for id_, seen in accepted.items() if now.get(id_) == seen]


def as_verdicts(standing: Iterable[PersonDecision]) -> pl.DataFrame:
    """A verdict a decision; order and author are the evidence."""
    rows = [
        (line.id, line.keep, PERSON, line.why, f"decision {line.order} of {line.author}")
        for line in standing
    ]
    names = ("id", "keep", "rule", "reason", "evidence")
    schema = dict.fromkeys(names, pl.String) | {"keep": pl.Boolean}
    return pl.DataFrame(rows, schema=schema, orient="row")


@contextmanager
def deciding(layout: Layout) -> Iterator[None]:
    """Hold log and verdicts against other processes. Raises DatasetError after PATIENCE seconds."""
    lock = layout.decisions_lock
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lock, timeout=PATIENCE):
            yield
    except Timeout as error:
        what = f"somebody else has been deciding for {PATIENCE} seconds"
        raise DatasetError(what, where=str(lock), fix="try again when they are done") from error


def named(author: str | None) -> str:
    """The author, by default who is logged in; raises UsageError where nobody is."""
    try:
        name = author if author is not None else getpass.getuser()
    except (KeyError, OSError, ImportError) as error:
        raise UsageError("who decides?", where="--author", fix="say --author NAME") from error
    if not name.strip():
        raise UsageError("who decides?", where="--author", fix="say --author NAME")
    return printable(name.strip())


def _known_findings(layout: Layout) -> dict[str, str]:
    """Of each record in whose texts the last pass found something, the digest of that."""
    path = layout.phi_findings
    if not path.is_file():
        return {}
    columns = {name: FINDINGS[name] for name in ("id", *_PLACE)}
    return _digests(read_findings_table(path, columns, fix="run `qoqdata curate` again"))


def _digests(findings: pl.DataFrame) -> dict[str, str]:
    """Digest of rule and place of all findings in a record, by id."""
    places = pl.struct(*_PLACE)
    by_id = findings.group_by("id").agg(places=places)
    return {
        id_: digest(sorted(canonical(list(place.values())) for place in own))
        for id_, own in by_id.iter_rows()
    }


def _not_taken_back(lines: Iterable[PersonDecision | TakenBack]) -> list[PersonDecision]:
    lines = list(lines)
    gone = {line.undo for line in lines if isinstance(line, TakenBack)}
    return [line for line in lines if isinstance(line, PersonDecision) and line.order not in gone]


def _write(layout: Layout, line: PersonDecision | TakenBack) -> None:
    """The log first: verdicts that lack a decision get it from the next pass, and none is lost."""
    path = layout.decisions
    before = path.read_bytes() if path.is_file() else b""
    with replacing(path) as draft:
        draft.write_bytes(before + f"{canonical(line.model_dump())}\n".encode())
    own = as_verdicts(standing_decisions(layout))
    if layout.verdicts.is_file():
        fix = "run `qoqdata curate`, which writes them anew"
        others = read_side_table(layout.verdicts, VERDICTS, fix=fix)
        own = pl.concat([others.filter(pl.col("rule") != PERSON).select(own.columns), own])
    with replacing(layout.verdicts) as draft:
        table = own.sort("id", "rule").to_arrow().cast(arrow_schema(VERDICTS))
        pq.write_table(table, draft, compression="zstd")
