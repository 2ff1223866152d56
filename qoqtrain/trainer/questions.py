"""The questions of a run: which records, in which stream, and those of a step made ready."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

import polars as pl

from qoqdata.atomic import digest
from qoqdata.errors import InputError, QoqdataError, UsageError
from qoqtrain.drpo import DRPO
from qoqtrain.trainer.engine.ranks import Ranks
from qoqtrain.trainer.plan.budget import mix_of
from qoqtrain.trainer.plan.settings import TrainSettings

if TYPE_CHECKING:
    from qoqdata.dataset import Dataset
    from qoqtrain.data.batch import Row
    from qoqtrain.data.collate import Collator
    from qoqtrain.data.ecg import EcgWindows

#: A file system in memory, where there is one.
MEMORY = Path("/dev/shm")

#: The columns that prompts, truths and logs are made of.
COLUMNS = (
    *("id", "source", "domain", "modality", "task", "kind", "split", "images", "image_info"),
    *("ecg", "regions", "context", "question", "options", "answer", "number", "labels"),
    "reasoning",
)


def train_records(dataset: Dataset) -> pl.DataFrame:
    """The kept training records, a light row each; raises UsageError when there are none.

    Records of evaluation sources are none, whatever their split.
    """
    records = dataset.for_training().filter(pl.col("split") == "train")
    if records.height == 0:
        splits = ", ".join(dataset.metadata(["split"])["split"].unique().sort().to_list())
        raise UsageError(
            f"has no training record to show (splits: {splits})",
            where=str(dataset.root),
            fix="train on a data set with a train split; `qoqdata curate` tells what it dropped",
        )
    return records


def traced_ids(dataset: Dataset) -> list[str]:
    """Ids of the records whose reasoning a policy wrote."""
    frame = pl.DataFrame(dataset.files.leaves(["id", "reasoning_policy"]))
    return frame.drop_nulls("reasoning_policy")["id"].to_list()


def ecg_ids(dataset: Dataset) -> list[str]:
    """Ids of the records that hold an ECG; signals stay on disk."""
    frame = pl.DataFrame(dataset.files.leaves(["id", "ecg.fs"]))
    return frame.filter(pl.col("ecg").struct.field("fs").is_not_null())["id"].to_list()


def estimator(dataset: Dataset, settings: TrainSettings) -> DRPO:
    """The DRPO estimator from the data set's statistics.

    Raises DatasetError, with the command that makes them, when there are none or they are stale.
    """
    stats, key = dataset.stats, settings.drpo.domain_key
    return DRPO.from_stats(stats, key, settings.drpo.preset, **settings.drpo.settings)


def shared_folder(settings: TrainSettings, ranks: Ranks) -> Path | None:
    """A folder in memory in which the ranks of this machine share row groups; None where one is
    alone, or there is no memory to see."""
    together = int(os.environ.get("LOCAL_WORLD_SIZE", ranks.world))
    if together < 2 or not os.access(MEMORY, os.W_OK):
        return None
    # Named after the run: what a killed one left serves the next, which removes it.
    return MEMORY / f"qoqdata-{os.getuid()}-{digest(str(settings.out.resolve()))[:16]}"


def open_stream(
    dataset: Dataset,
    settings: TrainSettings,
    ranks: Ranks,
    *,
    ecg: Sequence[str] | None,
    unfit: Iterable[str] = (),
    shared: Path | None = None,
) -> Any:
    """The endless stream of this rank's questions.

    `ecg` are the ids of ECG records, to take alone (alignment) or to leave out (no ECG branch);
    `unfit` those of others to leave out; `shared` as in `shared_folder`.
    """
    conditions = []
    if ecg is not None:
        has_ecg = pl.col("id").is_in(list(ecg))
        conditions.append(has_ecg if settings.stage == "align" else ~has_ecg)
    if settings.learn_from == "traces":
        conditions.append(pl.col("reasoning_policy").is_not_null())
    if lost := list(unfit):
        conditions.append(~pl.col("id").is_in(lost))
    return dataset.stream(
        "train",
        seed=settings.seed,
        mix=mix_of(settings),
        where=pl.all_horizontal(conditions) if conditions else None,
        columns=COLUMNS,
        images="bytes",
        rank=ranks.rank,
        world=ranks.world,
        step=settings.questions if settings.own_row_groups else None,
        shared=shared,
    )


class QuestionStream(Protocol):
    """What the feed asks of `qoqdata.stream.Stream`."""

    def __iter__(self) -> Iterator[dict[str, Any]]: ...
    def state_dict(self) -> dict[str, Any]: ...


@dataclass(frozen=True, eq=False)
class StepQuestions:
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

    @property
    def ecgs(self) -> list[EcgWindows]:
        """The ECGs that are shown."""
        return [row.ecg for row in self.rows if row is not None and row.ecg is not None]

    @property
    def short_ecgs(self) -> int:
        """How many of them are shorter than the policy's window, the rest of which is masked."""
        return sum(ecg.short for ecg in self.ecgs)


class Draws:
    """The questions of one step as they are drawn from a feed, and what the ranks say of them.

    `latest` are those drawn last, whose state a checkpoint holds.
    """

    def __init__(self, feed: Feed, check: Callable[[StepQuestions], None], *, last: bool) -> None:
        self._feed, self._check, self._last = feed, check, last
        self.latest = self()

    def __call__(self) -> StepQuestions:
        """The next draw; raises what stops the run, on every rank."""
        self.latest = self._feed.take(last=self._last)
        self._check(self.latest)
        return self.latest


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
        self._next: Future[StepQuestions] = self._pool.submit(self._take)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def take(self, *, last: bool = False) -> StepQuestions:
        """The next step's questions; after `last` nothing more is read ahead."""
        questions = self._next.result()
        if not last and questions.failure is None:
            self._next = self._pool.submit(self._take)
        return questions

    def _take(self) -> StepQuestions:
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
        return StepQuestions(records, rows, left_out, self.stream.state_dict(), failure)

    def _row(self, record: Mapping[str, Any], left_out: list[str]) -> Row | None:
        from qoqtrain.data.collate import TooLong

        try:
            return self.collator.row(record)
        except (InputError, TooLong) as error:
            if not self.leave_out:
                raise
            left_out.append(str(error))
            return None
