"""The stream as a torch IterableDataset, and a loader whose state any number of workers can resume.

Threads of the stream do the reading, so worker processes are not needed for speed; with
`num_workers=0` nothing is copied between processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from qoqdata.errors import UsageError
from qoqdata.stream.plan import Share
from qoqdata.stream.record_stream import RecordStream


class TorchStream(IterableDataset[dict[str, Any]]):
    """Records of a stream with arrays as tensors (images uint8 [height, width, 3]).

    Rank and world are the stream's, or those of torch.distributed where that has begun and the
    stream was opened without. In a DataLoader each worker makes whole batches of `batch_size`,
    which must be the loader's, so that batches in turn keep the global order.

    A plain DataLoader with workers leaves this process' stream where it is, so each loop over it
    gives the same records; `StreamLoader` goes on.

    `state_dict` and `load_state_dict` are what torchdata's StatefulDataLoader calls, in each
    worker; such a state needs as many workers again. `StreamLoader` has a state without that bound.
    """

    def __init__(self, stream: RecordStream, *, batch_size: int = 1) -> None:
        if batch_size < 1:
            raise UsageError(f"is {batch_size}", where="batch_size", fix="give at least 1")
        self.stream, self.batch_size = _ranked(stream), batch_size
        self._worker: RecordStream | None = None

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for record in self._own():
            yield tensors(record)

    def state_dict(self) -> dict[str, Any]:
        """Where this process is in the stream."""
        own = self._own()
        share = own.share
        if share.workers == 1:
            return own.state_dict()
        state = {"begin": own.state_dict(deliveries=0), "done": own.deliveries}
        return state | {"workers": [share.worker, share.workers, share.batch]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to where a state was saved; raises as `Stream.load_state_dict`, and UsageError when
        the state is of a worker and this is another one."""
        own = self._own()
        if "workers" not in state:
            own.load_state_dict(state)
            return
        share = own.share
        if list(state["workers"]) != [share.worker, share.workers, share.batch]:
            what = f"is of worker {state['workers'][0]} of {state['workers'][1]}"
            fix = "use as many workers and the same batch size, or the state of a StreamLoader"
            raise UsageError(what, where="stream state", fix=fix)
        own.load_state_dict(state["begin"])
        own.advance(state["done"])

    def _own(self) -> RecordStream:
        info = get_worker_info()
        if info is None or info.num_workers == 1:
            return self.stream
        if self._worker is None:
            share = self.stream.share
            own = Share(share.rank, share.world, info.id, info.num_workers, self.batch_size)
            self._worker = self.stream.shared(own)
        return self._worker


class StreamLoader:
    """Batches of a stream through torch's DataLoader.

    `collate` makes a batch of a list of records (None: the list itself). `workers` are processes;
    the state is the stream's as of the last batch given out, for any number of processes and
    workers. Further `options` go to the DataLoader, such as pin_memory and multiprocessing_context.
    """

    def __init__(
        self,
        stream: RecordStream,
        *,
        batch_size: int,
        workers: int = 0,
        collate: Callable[[list[dict[str, Any]]], Any] | None = None,
        **options: Any,
    ) -> None:
        self.dataset = TorchStream(stream, batch_size=batch_size)
        self.stream, self._batch, self._workers = self.dataset.stream, batch_size, workers
        self._options = {"collate_fn": collate or _as_list} | options

    def __iter__(self) -> Iterator[Any]:
        loader: DataLoader[Any] = DataLoader(
            self.dataset, batch_size=self._batch, num_workers=self._workers, **self._options
        )
        for batch in loader:
            if self._workers:
                # The workers' copies went on; the stream here is told.
                self.stream.advance(self._batch)
            yield batch
        if self._workers:
            self.stream.end_loop()

    def state_dict(self) -> dict[str, Any]:
        """The state of the stream after the last batch; see `Stream.state_dict`."""
        return self.stream.state_dict()

    def load_state_dict(self, state: Mapping[str, Any], *, other_data: bool = False) -> None:
        """See `Stream.load_state_dict`; the next loop over the loader begins there."""
        self.stream.load_state_dict(state, other_data=other_data)


def tensors(value: Any) -> Any:
    """Arrays in a record as tensors that share their memory."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    if isinstance(value, dict):
        return {name: tensors(member) for name, member in value.items()}
    if isinstance(value, list):
        return [tensors(member) for member in value]
    return value


def _ranked(stream: RecordStream) -> RecordStream:
    if stream.share.world > 1 or not torch.distributed.is_available():
        return stream
    if not torch.distributed.is_initialized() or torch.distributed.get_world_size() == 1:
        return stream
    rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
    return stream.shared(Share(rank, world))


def _as_list(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return records
