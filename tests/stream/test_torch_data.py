"""The stream through torch's loaders: the global order, with any number of workers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from qoqdata.dataset import Dataset
from qoqdata.errors import UsageError
from qoqdata.stream import Stream
from qoqdata.stream.plan import Share
from qoqdata.stream.torch_data import TorchStream

N = 143

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")


def opened(dataset: Dataset, **asked: Any) -> Stream:
    return dataset.stream(**{"columns": ["id"], "workers": 1} | asked)


def truth(dataset: Dataset, start: int, stop: int) -> list[str]:
    return opened(dataset).order(start, stop)["id"].to_list()


def as_list(records: list[dict[str, Any]]) -> list[str]:
    return [record["id"] for record in records]


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
def test_a_plain_data_loader_keeps_the_order(mixed: Dataset, workers: int) -> None:
    view = opened(mixed, epochs=1, rank=1, world=2).torch(batch_size=4)
    loader = DataLoader(view, batch_size=4, num_workers=workers, collate_fn=as_list)
    got = [name for batch in loader for name in batch]
    assert got == truth(mixed, 0, N)[1::2]


def test_the_loader_resumes_with_other_workers(mixed: Dataset) -> None:
    """Prefetched batches are not lost: the state is that of the last batch given out."""
    got: list[str] = []
    state = None
    for workers in (2, 0, 3):
        loader = opened(mixed, columns=["id", "images"]).loader(
            batch_size=5, workers=workers, collate=as_list
        )
        if state is not None:
            loader.load_state_dict(json.loads(state))
        got += [name for batch in islice(loader, 4) for name in batch]
        state = json.dumps(loader.state_dict())
    assert got == truth(mixed, 0, 60)


@pytest.mark.parametrize("workers", [0, 2])
def test_loops_over_the_loader_are_epochs(mixed: Dataset, workers: int) -> None:
    loader = opened(mixed, epochs=1).loader(batch_size=9, workers=workers, collate=as_list)
    first, second = ([name for batch in loader for name in batch] for _ in range(2))
    assert first == truth(mixed, 0, N) and second == truth(mixed, N, 2 * N)


def test_state_of_a_worker(mixed: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """What torchdata's StatefulDataLoader asks of a data set, as it asks it in a worker."""

    class Info:
        id, num_workers = 1, 2

    monkeypatch.setattr("qoqdata.stream.torch_data.get_worker_info", Info)
    want = opened(mixed).shared(Share(0, 1, 1, 2, 3))
    want_ids = [r["id"] for r in islice(want, 12)]
    view = opened(mixed).torch(batch_size=3)
    got = [r["id"] for r in islice(view, 5)]
    state = json.loads(json.dumps(view.state_dict()))
    other = opened(mixed).torch(batch_size=3)
    other.load_state_dict(state)
    assert got + [r["id"] for r in islice(other, 7)] == want_ids
    with pytest.raises(UsageError, match="worker 1 of 2"):
        opened(mixed).torch(batch_size=4).load_state_dict(state)


class WithState(TorchStream):
    """Gives the state after each record beside it, from within the worker."""

    def __iter__(self) -> Iterator[Any]:
        for record in super().__iter__():
            yield record["id"], self.state_dict()


def test_workers_have_states(mixed: Dataset) -> None:
    """In forked workers, as StatefulDataLoader asks for them."""
    view = WithState(opened(mixed), batch_size=2)
    loader = DataLoader(view, batch_size=2, num_workers=2, collate_fn=list)
    batches = list(islice(loader, 4))
    assert [name for batch in batches for name, _ in batch] == truth(mixed, 0, 8)
    states = [batch[-1][1] for batch in batches]
    assert [state["workers"][0] for state in states] == [0, 1, 0, 1]
    assert [state["done"] for state in states] == [2, 2, 4, 4]


def test_arrays_are_tensors(mixed: Dataset) -> None:
    stream = mixed.stream(columns=["id", "images"], images="array", workers=1)
    record = next(iter(stream.torch()))
    (image,) = record["images"]
    assert image.dtype == torch.uint8 and image.shape == (4, 6, 3)
    assert image[..., 0].tolist() == [[0, 1, 2, 3, 4, 5]] * 4
    stream.close()


def test_batches_of_none(mixed: Dataset) -> None:
    with pytest.raises(UsageError, match="batch_size"):
        opened(mixed).torch(batch_size=0)
