"""A stream over HTTP delivers what the stream over the folder does."""

from __future__ import annotations

import qoqdata
from qoqdata.dataset import Dataset
from tests.remote.servers import Site


def test_the_same_order_and_content(site: Site, local: Dataset) -> None:
    remote = qoqdata.open(f"{site.url}/set")
    wanted, found = (list(dataset.stream("train", seed=3, epochs=2)) for dataset in (local, remote))
    assert len(wanted) == 10  # five kept records, twice
    assert found == wanted
