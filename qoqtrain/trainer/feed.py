"""The questions of each step, made ready while the step before is trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from qoqdata.errors import InputError, QoqdataError

if TYPE_CHECKING:
    from qoqtrain.data.collate import Collator
    from qoqtrain.data.row import Row


class QuestionStream(Protocol):
    """What the feed asks of `qoqdata.stream.Stream`."""

    def __iter__(self) -> Iterator[dict[str, Any]]: ...
    def state_dict(self) -> dict[str, Any]: ...


@dataclass(frozen=True, eq=False)
class Taken:
    """The questions of one step on this rank.

    `records` without images, unless they were asked for; `rows` what the policy is shown of
    each, None for one that was left out (its reason in `left_out`); `state` the stream's after
    them; `failure` what stops the run.
    """

    records: list[Mapping[str, Any]]
    rows: list[Row | None]
    left_out: list[str]
    state: dict[str, Any]
    failure: QoqdataError | None = None


class Feed:
    """Takes `count` records a step from `stream`, one step ahead in a thread of its own.

    The state that comes with a step is that before the next step's records were taken, so a
    checkpoint never skips what was only read ahead. `leave_out`: records that cannot be shown are
    left out and named, instead of stopping the run; `images`: keep them in the records.
    """

    def __init__(
        self,
        stream: QuestionStream,
        collator: Collator,
        count: int,
        *,
        leave_out: bool,
        images: bool = False,
    ) -> None:
        self.stream, self.collator = stream, collator
        self.count, self.leave_out = count, leave_out
        self.dropped = () if images else ("images",)
        self._records = iter(stream)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="feed")
        self._next: Future[Taken] = self._pool.submit(self._take)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def take(self, *, last: bool = False) -> Taken:
        """The next step's questions; after `last` nothing more is read ahead."""
        taken = self._next.result()
        if not last and taken.failure is None:
            self._next = self._pool.submit(self._take)
        return taken

    def _take(self) -> Taken:
        records: list[Mapping[str, Any]] = []
        rows: list[Row | None] = []
        left_out: list[str] = []
        failure: QoqdataError | None = None
        try:
            for _ in range(self.count):
                record = next(self._records)
                rows.append(self._row(record, left_out))
                records.append({n: v for n, v in record.items() if n not in self.dropped})
        except StopIteration:
            failure = QoqdataError("the stream ended before the step was full")
        except QoqdataError as error:
            failure = error
        return Taken(records, rows, left_out, self.stream.state_dict(), failure)

    def _row(self, record: Mapping[str, Any], left_out: list[str]) -> Row | None:
        from qoqtrain.data.collate import TooLong

        try:
            return self.collator.row(record)
        except (InputError, TooLong) as error:
            if not self.leave_out:
                raise
            left_out.append(str(error))
            return None
