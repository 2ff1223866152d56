"""A stream of records into training: exact order, exact resume."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import polars as pl

from qoqdata.contract.manifest import Manifest
from qoqdata.errors import UsageError
from qoqdata.remote.files import Files
from qoqdata.stream import mixing, state
from qoqdata.stream.bad_rows import BadRow, BadRows
from qoqdata.stream.draws import DrawSegment, units
from qoqdata.stream.measures import (
    DrawCounts,
    DrawShares,
    ShuffleQuality,
    draw_counts,
    draw_shares,
    shuffle_quality,
)
from qoqdata.stream.plan import ReadPlan, Share
from qoqdata.stream.reading import Reader, Record
from qoqdata.stream.sequence import RecordSequence, components
from qoqdata.stream.settings import StreamSettings


class RecordStream:
    """Records of a data set in a global order that a state of a few hundred bytes resumes.

    The order is a pure function of the data set's digest, the records selected, the seed and the
    weights. Process `rank` of `world` gets every `world`-th record; positions count over all
    processes and epochs. An epoch is as many draws as there are records.

    Iterating goes on where the stream is: a loop that was left and begun again misses nothing. A
    loop ends after `epochs` epochs, and the next one goes on with the epochs that follow.

    A record is a dict of the columns asked for and `position`; with on_bad="next" also
    `instead_of`, the id of the record that could not be read, or None.
    """

    def __init__(
        self,
        files: Files,
        manifest: Manifest,
        settings: StreamSettings,
        *,
        sequence: RecordSequence,
        segment: DrawSegment | None,
        bad: BadRows,
    ) -> None:
        self._files, self._manifest, self.settings = files, manifest, settings
        self._sequence, self._bad = sequence, bad
        self._initial = self._segment = segment
        self.share = Share(settings.rank, settings.world)
        # All processes were at `start` together; this one has had `done` records since.
        self._start, self._done = 0, 0
        self._end = self._loop_end(0)
        self._reader: Reader | None = None
        self._run: Generator[Record, None, None] | None = None

    def __iter__(self) -> Iterator[Record]:
        while (record := self._next()) is not None:
            yield record

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_reader": None, "_run": None}

    @property
    def left_out(self) -> dict[str, int]:
        """Records of evaluation sources that training does without, by source."""
        return dict(self._sequence.index.left_out)

    @property
    def n_records(self) -> int:
        """Records of the stream, which is also the number of draws in an epoch."""
        return len(self._sequence.index)

    @property
    def position(self) -> int:
        """The global position: draws of all processes, when all have had as many as this one."""
        here = int(self.share.positions(self._start, self._done, 1)[0]) - self.share.rank
        return here if self._end is None else min(here, self._end)

    @property
    def epoch(self) -> int:
        """The epoch of the next record, from 0."""
        return self.position // self.n_records

    @property
    def deliveries(self) -> int:
        """Records that this process has had since it began, loaded a state or ended a loop."""
        return self._done

    @property
    def bad(self) -> list[BadRow]:
        """The rows that this process could not read, each once."""
        return list(self._bad.rows)

    @property
    def component_records(self) -> dict[str, int]:
        """Records of each component, by name; a stream without a mix has the one "" ."""
        sizes = self._sequence.sizes.tolist()
        return dict(zip(self._sequence.members, sizes, strict=True))

    def state_dict(self, *, deliveries: int | None = None) -> dict[str, Any]:
        """Where the stream is, as a JSON value of less than 1,000 bytes.

        Every process that is as far has the same state, and any number of processes may load it.
        `deliveries`: the state after so many records of this process since it began or loaded a
        state, where a loader has taken more from it than training has used.
        """
        position = self.position
        if deliveries is not None:
            position = self._start + deliveries * self.settings.world
            position = position if self._end is None else min(position, self._end)
        if (step := self.settings.step) is not None and (position - self._start) % step:
            fix = f"save it after {step // self.settings.world} records, or a multiple"
            raise UsageError("is within a step", where=f"position {position}", fix=fix)
        return state.write_state(self._identity, state.Cursor(position, self._segment, self._end))

    def load_state_dict(self, snapshot: Mapping[str, Any], *, other_data: bool = False) -> None:
        """Go to where a state was saved.

        Raises DatasetError when it is of another data set or another selection of records, unless
        `other_data`; UsageError when its order was asked for differently.
        """
        cursor = state.read_state(
            snapshot, self._identity, initial=self._initial, other_data=other_data
        )
        self._go_to(cursor.position, cursor.segment)
        has_end = self.settings.epochs is not None and cursor.end is not None
        self._end = cursor.end if has_end else self._loop_end(cursor.position)

    def advance(self, records: int) -> None:
        """Count records of this process that copies of this stream have delivered."""
        self._stop()
        self._done += records

    def end_loop(self) -> None:
        """Go to the end of the present loop, from where the next one goes on.

        All processes are there together, though some had a record less (see `even`). A loop that
        ran to its end has done this.
        """
        if self._end is not None:
            self._go_to(self._end, self._segment)
            self._end = self._loop_end(self._end)

    def reweight(self, weights: Mapping[str, float]) -> None:
        """Change the weights of the mix from the next draw on; every process must, at one position.

        `weights`: one a component, of any scale. `max_repeats` holds as before. Raises UsageError
        for a stream without a mix, other components, and more components than a state can hold.
        """
        mix, segment = self.settings.mix, self._segment
        if mix is None or segment is None:
            raise UsageError("has no mix", where="stream", fix="open it with mix=")
        records = self.component_records
        by_name = mixing.checked_weights(weights, records)
        chances = mixing.probabilities(by_name, records, max_repeats=mix.max_repeats)
        here = self.position
        new = DrawSegment(segment.key, here, segment.counts(here), units(chances))
        state.write_state(self._identity, state.Cursor(here, new, self._end))
        self._go_to(here, new)

    def sampling(self) -> dict[str, DrawShares]:
        """How often each component is drawn now; without a mix, each domain."""
        return draw_shares(self._shares(), self._segment)

    def sampled(self, column: str) -> dict[str, float]:
        """The probability that a draw has each value of "domain" or "source", over all components.

        Within a component records are drawn alike, so this is exact over its passes.
        """
        values = self._sequence.index.frame[column].fill_null("")
        shares = dict.fromkeys(values.unique().sort().to_list(), 0.0)
        members = self._sequence.members
        chances = {name: one.probability for name, one in self.sampling().items()}
        if self._segment is None:
            members, chances = {"": np.arange(len(values))}, {"": 1.0}
        for name, records in members.items():
            for value, count in values.gather(records).value_counts().iter_rows():
                shares[value] += chances[name] * count / len(records)
        return shares

    def draw_counts(self) -> dict[str, DrawCounts]:
        """How often each component was drawn up to now; without a mix, each domain.

        With `sampling` this tells a run what its mix has come to: a component that lags behind its
        share, or one that has had more passes than planned.
        """
        return draw_counts(self._sequence, self._shares(), self._segment, self.position)

    def order(self, start: int, stop: int) -> pl.DataFrame:
        """The draws at global positions `start` to `stop`, without reading records.

        Columns: position, epoch, component, id, source, domain, shard, row_group, row. With a mix
        these are the draws under the present weights, and `start` must not lie before their last
        change.
        """
        if start < (self._segment.start if self._segment else 0):
            raise UsageError("the weights were others then", where=f"position {start}")
        columns = ["id", "source", "domain", "shard", "row_group", "row"]
        frame = self._sequence.index.frame
        if stop <= start:
            raise UsageError(f"{start} to {stop} holds no position", where="order")
        stretch = self._sequence.stretch(np.arange(start, stop), self._segment)
        names = pl.Series("component", list(self._sequence.members))
        rows = frame[stretch.records].select(columns)
        paths = pl.Series("shard", list(self._sequence.index.paths))
        rows = rows.with_columns(paths.gather(rows["shard"]))
        head = pl.DataFrame({"position": stretch.positions})
        head = head.with_columns(
            epoch=pl.col("position") // self.n_records, component=names.gather(stretch.components)
        )
        return pl.concat([head, rows], how="horizontal")

    def quality(self, epoch: int = 0) -> ShuffleQuality:
        """How well an epoch is shuffled, against a full shuffle; see `measures`."""
        return shuffle_quality(self._sequence, self._initial, epoch=epoch)

    def close(self) -> None:
        """End the threads and let go of what was read; iterating begins anew where it was."""
        self._stop()
        if self._reader is not None:
            self._reader.close()
        self._reader = None

    def shared(self, share: Share) -> Self:
        """A stream of its own over another share of the draws, from where this one is."""
        settings = replace(self.settings, rank=share.rank, world=share.world)
        other = type(self)(
            self._files,
            self._manifest,
            settings,
            # A copy has a lock of its own: a fork may find this one's held by a lost thread.
            sequence=copy(self._sequence),
            segment=self._segment,
            bad=BadRows(self._bad.log),
        )
        other._initial, other.share = self._initial, share
        other._start, other._end = self.position, self._end
        return other

    @cached_property
    def _identity(self) -> state.Identity:
        initial = self._initial
        return state.Identity(
            data=self._manifest.digest,
            records=self._sequence.index.fingerprint,
            order=self.settings.order(),
            weights=None if initial is None else state.weights_digest(initial),
            key=self._sequence.key,
            components=len(self._sequence.members),
        )

    def _loop_end(self, position: int) -> int | None:
        """Where a loop that begins at a position ends."""
        if self.settings.epochs is None:
            return None
        length = self.settings.epochs * self.n_records
        return (position // length + 1) * length

    def _last(self) -> int | None:
        """Where this loop stops reading: at its end, or where all processes have had as many."""
        if self._end is None or self.settings.even is None:
            return self._end
        more = (self._end - self._start) % self.settings.world
        if self.settings.even == "pad" and more:
            return self._end + self.settings.world - more
        return self._end - more

    def _next(self) -> Record | None:
        if self._run is None:
            self._run = self._begin()
        try:
            record = next(self._run, None)
        except BaseException:
            # A finished generator would look like the end of the loop.
            self._run = None
            raise
        if record is None:
            self.end_loop()
            return None
        self._done += 1
        return record

    def _begin(self) -> Generator[Record, None, None]:
        if self.settings.step is not None and self.share.workers > 1:
            fix = "let the stream's own threads read, with num_workers=0"
            raise UsageError("is not shared by workers of a loader", where="step", fix=fix)
        if self._reader is None:
            self._reader = Reader(
                self._files, self._manifest, self._sequence, self.settings, self._bad
            )
        size = self._reader.task_size()
        plan = ReadPlan(
            self._sequence,
            self._segment,
            self.share,
            self._start,
            self._done,
            self._last(),
            size,
            self.settings.step,
        )
        return self._reader.run(plan)

    def _go_to(self, position: int, segment: DrawSegment | None) -> None:
        self._stop()
        self._start, self._done, self._segment = position, 0, segment

    def _stop(self) -> None:
        if self._run is not None:
            self._run.close()
        self._run = None

    def _shares(self) -> dict[str, int]:
        if self._segment is not None:
            return self.component_records
        members = components(self._sequence.index.frame, "domain")
        return {name: len(records) for name, records in members.items()}
