"""The log of what people decided and said of records: `curation/decisions.jsonl`, which only grows.

It has a line a decision in the order in which they were made:

    {"author":"ana","id":"0f3a...","keep":false,"order":1,"why":"cut off at the apex"}
    {"author":"ana","order":2,"undo":1}
    {"answer":"Clear","author":"ben","id":"0f3a...","keep":false,"order":3,"why":"no effusion"}
    {"author":"ben","comment":"rotated","id":"0f3a...","order":4}

The last decision on a record that nobody took back stands; comments stand beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Self

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from qoqdata.atomic import canonical, replacing
from qoqdata.errors import DatasetError
from qoqdata.layout import Layout

#: Seconds that a decision waits for another one, or for the end of a curation pass.
PATIENCE = 30


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    order: int = Field(ge=1)
    author: str = Field(min_length=1)


class PersonDecision(_Line):
    """That `author` keeps or drops the record `id`, and why; `order` counts lines from 1.

    `findings` is the digest of what was found in the texts of a record that is kept; None where
    nothing was. `answer` is the right one of a record that is relabelled, which is not kept.
    """

    id: str = Field(min_length=1)
    keep: bool
    why: str = Field(min_length=1)
    findings: str | None = None
    answer: str | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _kept_as_it_is(self) -> Self:
        if self.keep and self.answer is not None:
            raise ValueError("a record that is kept has its answer")
        return self

    @property
    def choice(self) -> str:
        """keep, drop or relabel."""
        return "keep" if self.keep else "drop" if self.answer is None else "relabel"


class PersonComment(_Line):
    """What `author` says of the record `id`, which decides nothing."""

    id: str = Field(min_length=1)
    comment: str = Field(min_length=1)


class TakenBack(_Line):
    """That `author` takes back the decision whose order is `undo`."""

    undo: int = Field(ge=1)


#: What can be taken back, and every line of the log.
Said = PersonDecision | PersonComment
LogLine = PersonDecision | PersonComment | TakenBack
_LINES: TypeAdapter[LogLine] = TypeAdapter(LogLine)


def read_log(layout: Layout) -> list[LogLine]:
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
    lines: list[LogLine] = []
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
    last = standing_by_id(read_log(layout))
    return [last[id_] for id_ in sorted(last)]


def standing_comments(layout: Layout) -> list[PersonComment]:
    """Comments that nobody took back, in the order of the log."""
    lines = not_taken_back(read_log(layout))
    return [line for line in lines if isinstance(line, PersonComment)]


def not_taken_back(lines: Iterable[LogLine]) -> list[Said]:
    lines = list(lines)
    gone = {line.undo for line in lines if isinstance(line, TakenBack)}
    return [line for line in lines if not isinstance(line, TakenBack) and line.order not in gone]


def standing_by_id(lines: Iterable[LogLine]) -> dict[str, PersonDecision]:
    """The decision that stands, by record id."""
    said = not_taken_back(lines)
    return {line.id: line for line in said if isinstance(line, PersonDecision)}


def append_line(layout: Layout, line: LogLine) -> None:
    """Add a line to the log, whose lock is held."""
    path = layout.decisions
    before = path.read_bytes() if path.is_file() else b""
    with replacing(path) as draft:
        # A field that a line does not use is not in it, so logs of earlier versions stay theirs.
        content = line.model_dump()
        if content.get("answer", "") is None:
            del content["answer"]
        draft.write_bytes(before + f"{canonical(content)}\n".encode())


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
