"""What every function takes for a data set, and the two ways to open it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from qoqdata.errors import UsageError

if TYPE_CHECKING:
    from qoqdata.dataset import Dataset

#: A folder, a URL, or what `qoqdata.open` gave.
DatasetLike: TypeAlias = "Dataset | str | Path"


def dataset_of(dataset: DatasetLike) -> Dataset:
    """The data set; raises as `qoqdata.open`."""
    from qoqdata.dataset import Dataset, open_dataset

    return dataset if isinstance(dataset, Dataset) else open_dataset(dataset)


def dataset_in_folder(dataset: DatasetLike, *, command: str) -> Dataset:
    """The data set, which `command` writes into; raises UsageError when it is behind a URL."""
    from qoqdata.dataset import Dataset
    from qoqdata.remote.urls import local_path, shown

    if isinstance(dataset, Dataset):
        where = None if dataset.in_folder else dataset.where
    else:
        where = shown(str(dataset)) if local_path(dataset) is None else None
    if where is not None:
        fix = "work on the folder where the set was built, and publish it again"
        raise UsageError(f"`qoqdata {command}` writes into the set", where=where, fix=fix)
    return dataset_of(dataset)
