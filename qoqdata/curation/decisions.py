"""What people decide about single records, and what becomes of it: into the log, and at once into
the verdicts.

A record that is relabelled has the wrong answer where it lies, so it is left out as a dropped one
is, and the verdict has the right one. A curation pass reads the log, so decisions outlive it;
between two passes they are in the verdicts at once, and the receipt of the texts, which is bound to
the verdicts, holds no longer: publication asks for `qoqdata curate` again.

Whoever keeps a record in which protected health information was found accepts these findings and no
others: the decision has their digest, the next pass releases the record if it finds the same, and
whatever is found later is held back again.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from qoqdata.atomic import canonical, digest, replacing
from qoqdata.contract.arrow import arrow_schema
from qoqdata.contract.side_tables import VERDICTS
from qoqdata.contract.vocabulary import ANSWER_JOIN
from qoqdata.curation.decision_log import (
    LogLine,
    PersonComment,
    PersonDecision,
    Said,
    TakenBack,
    append_line,
    deciding,
    not_taken_back,
    read_log,
    standing_by_id,
    standing_comments,
    standing_decisions,
)
from qoqdata.curation.phi.scan import FINDINGS
from qoqdata.dataset import Dataset
from qoqdata.errors import UsageError
from qoqdata.layout import Layout
from qoqdata.printable import printable
from qoqdata.side_table import read_findings_table, read_side_table
from qoqdata.verdicts import COMMENT, PERSON

#: Columns that tell a finding in a record.
_PLACE = ("column", "member", "rule", "start", "length")


class DecidedMeanwhile(UsageError):
    """Somebody decided on a record after it was shown to whoever decides now."""


def decide(
    dataset: Dataset,
    id_: str,
    keep: bool,
    why: str,
    author: str | None = None,
    *,
    known: bool = False,
    seen: int | None = None,
) -> PersonDecision:
    """Keep or drop one record, from now on and in every later curation pass.

    `author` is by default who is logged in; `known` says that the set has the record. `seen` is the
    order of the decision that stood on it when its author looked, 0 for none; None does not ask.
    Raises UsageError without a reason or author, DecidedMeanwhile where another decision stands,
    DatasetError for an id that the set does not hold and for a damaged log.
    """
    return _decided(dataset, id_, why, author, keep=keep, known=known, seen=seen)


def relabel(
    dataset: Dataset,
    record: Mapping[str, Any],
    answer: str,
    why: str,
    author: str | None = None,
    *,
    seen: int | None = None,
) -> PersonDecision:
    """Say that `answer` is the right one of a record: it is left out, and its verdict says so.

    `record` has its id, kind, options and answer. Raises as `decide`, and UsageError for an answer
    that its question does not have.
    """
    right = right_answer(record, answer)
    return _decided(dataset, record["id"], why, author, answer=right, known=True, seen=seen)


def right_answer(record: Mapping[str, Any], answer: str) -> str:
    """The answer as the record would hold it; raises UsageError for none that its question has."""
    kind, options = record["kind"], record["options"]
    parts = [part.strip() for part in answer.split(ANSWER_JOIN.strip())]
    given = parts if kind == "multi" else [answer.strip()]
    right = ANSWER_JOIN.join(dict.fromkeys(given))
    if options is None and kind != "open":
        fix = "drop it, and say in the reason what is right"
        raise UsageError(f"a question of kind {kind} cannot be relabelled", where="answer", fix=fix)
    if strange := [] if options is None else [one for one in given if one not in options]:
        what = f"{strange[0]!r} is none of the options"
        raise UsageError(what, where="answer", fix=f"one of {', '.join(options)}")
    if not right or right == record["answer"]:
        what = "says what the record says" if right else "is empty"
        raise UsageError(what, where="answer", fix="give the right one, or keep the record")
    return right


def comment(
    dataset: Dataset, id_: str, text: str, author: str | None = None, *, known: bool = False
) -> PersonComment:
    """Say something of a record that decides nothing; raises as `decide`."""
    if not text.strip():
        raise UsageError("a comment says something", where="--why", fix="say it in a few words")
    if not known:
        dataset.refuse_unknown([id_], of="record")
    with deciding(dataset.layout):
        order = len(read_log(dataset.layout)) + 1
        said = printable(text.strip())
        made = PersonComment(order=order, author=named(author), id=id_, comment=said)
        _write(dataset.layout, made)
    return made


def _decided(
    dataset: Dataset,
    id_: str,
    why: str,
    author: str | None,
    *,
    keep: bool = False,
    answer: str | None = None,
    known: bool,
    seen: int | None,
) -> PersonDecision:
    if not why.strip():
        raise UsageError("a decision needs a reason", where="--why", fix="say it in a few words")
    if not known:
        dataset.refuse_unknown([id_], of="record")
    with deciding(dataset.layout):
        lines = read_log(dataset.layout)
        stands = standing_by_id(lines).get(id_)
        if seen is not None and seen != (stands.order if stands else 0):
            who = "a decision was taken back" if stands is None else f"{stands.author} decided"
            fix = "look at it again, then decide"
            raise DecidedMeanwhile(f"{who} since it was shown", where=f"record {id_}", fix=fix)
        made = PersonDecision(
            order=len(lines) + 1,
            author=named(author),
            id=id_,
            keep=keep,
            why=printable(why.strip()),
            findings=_known_findings(dataset.layout).get(id_) if keep else None,
            answer=answer,
        )
        _write(dataset.layout, made)
    return made


def undo(dataset: Dataset, id_: str | None = None, author: str | None = None) -> Said:
    """Take back what was last decided or said on a record, or without `id_` what the author was
    the last to decide or say.

    Returns what was taken back; the decision before it on the record, if any, stands again. Raises
    UsageError where there is none.
    """
    with deciding(dataset.layout):
        lines = read_log(dataset.layout)
        who = named(author)
        candidates = [
            line
            for line in not_taken_back(lines)
            if (line.id == id_ if id_ is not None else line.author == who)
        ]
        if not candidates:
            where = f"record {id_}" if id_ is not None else f"decisions of {who}"
            raise UsageError("there is no decision to take back", where=where)
        last = candidates[-1]
        back = TakenBack(order=len(lines) + 1, author=who, undo=last.order)
        _write(dataset.layout, back)
    return last


def accepted_ids(standing: Iterable[PersonDecision], findings: pl.DataFrame) -> list[str]:
    """Ids of the records whose findings in texts, as they are now, people accepted.

    findings  as `qoqdata.curation.phi.scan_texts` gives them
    """
    accepted = {line.id: line.findings for line in standing if line.keep and line.findings}
    now = _digests(findings.filter(pl.col("id").is_in(list(accepted))))
    return [id_ for id_, seen in accepted.items() if now.get(id_) == seen]


def as_verdicts(said: Iterable[Said]) -> pl.DataFrame:
    """A verdict a decision and a comment, which keeps and overrules nothing; order and author are
    the evidence, of a relabelled record also the right answer."""
    rows = [
        (line.id, True, COMMENT, line.comment, f"comment {line.order} of {line.author}")
        if isinstance(line, PersonComment)
        else (line.id, line.keep, PERSON, line.why, _evidence(line))
        for line in said
    ]
    names = ("id", "keep", "rule", "reason", "evidence")
    schema = dict.fromkeys(names, pl.String) | {"keep": pl.Boolean}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _evidence(line: PersonDecision) -> str:
    right = "" if line.answer is None else f", right is: {line.answer}"
    return f"decision {line.order} of {line.author}{right}"


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


def _write(layout: Layout, line: LogLine) -> None:
    """The log first: verdicts that lack a decision get it from the next pass, and none is lost."""
    append_line(layout, line)
    own = as_verdicts([*standing_decisions(layout), *standing_comments(layout)])
    if layout.verdicts.is_file():
        fix = "run `qoqdata curate`, which writes them anew"
        others = read_side_table(layout.verdicts, VERDICTS, fix=fix)
        by_rules = others.filter(~pl.col("rule").is_in([PERSON, COMMENT]))
        own = pl.concat([by_rules.select(own.columns), own])
    with replacing(layout.verdicts) as draft:
        table = own.sort("id", "rule", maintain_order=True).to_arrow().cast(arrow_schema(VERDICTS))
        pq.write_table(table, draft, compression="zstd")
