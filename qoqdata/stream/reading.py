"""Reading ahead: row groups and decoding on threads, records in the order of the plan.

Threads are enough, since Parquet, zstd, OpenCV and Pillow work without the interpreter's lock, and
no record has to be copied between processes. Memory is bounded by the open row groups (see
`order`) plus the records made ahead: `StreamSettings.ahead` of them, and where images are decoded
no further task of at most 8 records beyond 2**29 stored pixels.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from qoqdata.contract.manifest import Manifest
from qoqdata.errors import DatasetError, QoqdataError
from qoqdata.remote.files import Files
from qoqdata.stream.bad_rows import BadRow, BadRows
from qoqdata.stream.plan import ReadPlan, ReadTask
from qoqdata.stream.row_groups import FAULTS, Columns, RowGroups
from qoqdata.stream.sequence import RecordSequence
from qoqdata.stream.settings import StreamSettings
from qoqdata.stream.shared_tables import shared_tables

Record = dict[str, Any]

#: Stored pixels that are decoded ahead before no further task is begun (1.5 GB as RGB).
_PIXELS_AHEAD = 2**29

#: Row groups that a substitute is looked for in before the data set is given up.
_TRIES = 64


@dataclass(frozen=True)
class TaskRecords:
    """Records of a task up to the first that stops the run."""

    records: list[Record]
    error: DatasetError | None = None


class Reader:
    """Makes the records of plans, one plan at a time, on `settings.workers` threads."""

    def __init__(
        self,
        files: Files,
        manifest: Manifest,
        sequence: RecordSequence,
        settings: StreamSettings,
        bad: BadRows,
    ) -> None:
        self._sequence, self._settings, self._bad = sequence, settings, bad
        self._pool = (
            ThreadPoolExecutor(settings.workers, "qoqdata-stream") if settings.workers else None
        )
        self._decode, self._change = _decoder(settings), settings.change
        self._groups = RowGroups(
            files,
            manifest.shards,
            settings.read_columns,
            self._submit,
            verify=settings.verify,
            shared=None
            if settings.shared is None
            else shared_tables(settings.shared, settings.memory),
        )

    def task_size(self) -> int:
        """Records of a task: few enough that all threads have some of those made ahead."""
        most = 32 if self._settings.images == "bytes" else 8
        return max(1, min(most, self._settings.ahead // (2 * max(1, self._settings.workers))))

    def run(self, plan: ReadPlan) -> Generator[Record, None, None]:
        """The records of a plan; raises DatasetError at a bad row when those stop the run."""
        left_over = self._groups.held()
        ahead = self._settings.ahead if self._pool else 0
        waiting: deque[tuple[ReadTask, Future[TaskRecords] | None]] = deque()
        records_ahead = pixels_ahead = 0
        tasks = plan.tasks()
        try:
            while True:
                while records_ahead <= ahead and (pixels_ahead < _PIXELS_AHEAD or not waiting):
                    if (task := next(tasks, None)) is None:
                        break
                    self._groups.open(task.opens)
                    # Undecoded records are Python objects alone: threads would only fight for
                    # the interpreter's lock, so they are made where they are wanted.
                    decodes = self._decode is not None
                    waiting.append((task, self._submit(self._make, task) if decodes else None))
                    records_ahead += len(task)
                    pixels_ahead += self._pixels(task)
                if not waiting:
                    return
                task, future = waiting.popleft()
                task_records = self._make(task) if future is None else future.result()
                yield from task_records.records
                if task_records.error is not None:
                    raise task_records.error
                records_ahead -= len(task)
                pixels_ahead -= self._pixels(task)
                self._groups.close(task.closes)
                if task.closes and left_over:
                    self._groups.close(left_over)
                    left_over = []
        finally:
            for _, future in waiting:
                if future is not None:
                    future.cancel()

    def close(self) -> None:
        """End the threads."""
        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _submit(self, call: Callable[..., Any], *arguments: Any) -> Future[Any]:
        if self._pool:
            return self._pool.submit(call, *arguments)
        future: Future[Any] = Future()
        try:
            future.set_result(call(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future

    def _pixels(self, task: ReadTask) -> int:
        if self._settings.images == "bytes":
            return 0
        return int(self._sequence.index.pixels[task.stretch.records[task.first : task.stop]].sum())

    def _make(self, task: ReadTask) -> TaskRecords:
        stretch, part = task.stretch, slice(task.first, task.stop)
        records: list[Record] = []
        rows = zip(
            range(task.first, task.stop),
            stretch.positions[part].tolist(),
            self._sequence.index.groups.group[stretch.records[part]].tolist(),
            self._sequence.index.row[stretch.records[part]].tolist(),
            strict=True,
        )
        substitutes = self._settings.on_bad == "next"
        for at, position, group, row in rows:
            try:
                record = self._record(self._groups.get(group), row)
                if substitutes:
                    record["instead_of"] = None
            except FAULTS as error:
                bad = self._named(int(stretch.records[at]), position, error)
                if not substitutes:
                    return TaskRecords(records, _caused(bad.error(), error))
                try:
                    record = self._instead(task, at, bad)
                except DatasetError as none_left:
                    return TaskRecords(records, none_left)
            record["position"] = position
            records.append(record)
        return TaskRecords(records)

    def _record(self, columns: Columns, row: int) -> Record:
        record = {name: value(row) for name, value in columns}
        if self._change is not None:
            record = self._change(record)
        return record if self._decode is None else self._decode(record)

    def _named(self, record: int, position: int, error: BaseException) -> BadRow:
        shard, group, row = self._sequence.index.place(record)
        name = self._sequence.index.frame["id"][record]
        return BadRow(shard, group, row, name, _reason(error), position)

    def _instead(self, task: ReadTask, at: int, bad: BadRow) -> Record:
        """The next good record of the same component's pass, which wraps round at its end.

        What it is depends on the data alone, so every process and every resumed run agrees.
        """
        component, turn = int(task.stretch.components[at]), int(task.stretch.turns[at])
        size = int(self._sequence.sizes[component])
        one = self._sequence.pass_of(component, turn // size)
        faulty: set[int] = set()
        for step in range(1, size):
            record = int(one.records[(turn + step) % size])
            group = int(self._sequence.index.groups.group[record])
            if group in faulty:
                continue
            try:
                columns = self._groups.get_any(group)
            except FAULTS:
                faulty.add(group)
                if len(faulty) == _TRIES:
                    break
                continue
            try:
                substitute = self._record(columns, int(self._sequence.index.row[record]))
            except FAULTS:
                continue
            name = self._sequence.index.frame["id"][record]
            self._bad.add(BadRow(**{**bad.__dict__, "instead": name}))
            substitute["instead_of"] = (
                bad.id or f"{bad.shard}, row group {bad.row_group}, row {bad.row}"
            )
            return substitute
        self._bad.add(bad)
        raise _caused(bad.error(), DatasetError("no other record of its component can be read"))


def _decoder(settings: StreamSettings) -> Callable[[Record], Record] | None:
    if settings.images == "bytes" and "ecg" not in settings.read_columns:
        return None
    from qoqdata.stream.decode import Decoder

    return Decoder(images=settings.images, budget=settings.budget)


def _reason(error: BaseException) -> str:
    text = error.what if isinstance(error, QoqdataError) else str(error)
    return (text.splitlines() or [type(error).__name__])[0]


def _caused(error: DatasetError, cause: BaseException) -> DatasetError:
    error.__cause__ = cause
    return error
