"""What every function takes for a data set, and the two ways to open it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from qoqdata.dataset import Dataset

#: A folder, a URL, or what `qoqdata.open` gave.
DatasetLike: TypeAlias = "Dataset | str | Path"


def dataset_of(dataset: DatasetLike) -> Dataset:
    """The data set; raises as `qoqdata.open`."""
    from qoqdata.dataset import Dataset, open_dataset

    return dataset if isinstance(dataset, Dataset) else open_dataset(dataset)


@contextmanager
def dataset_to_write(
    dataset: DatasetLike, *, command: str, parts: Collection[str] = ()
) -> Iterator[Dataset]:
    """The data set, whose side files `command` writes while the block runs.

    Of one in a bucket they are a working copy, with `parts` (see `qoqdata.remote.working_copy`),
    and in the bucket once the block has ended well. Raises as `dataset_of` and, behind a URL, as
    `working_copy` does.
    """
    from qoqdata.dataset import Dataset
    from qoqdata.remote.remote_files import RemoteFiles
    from qoqdata.remote.urls import local_path
    from qoqdata.remote.working_copy import refuse_read_only, working_copy

    if not isinstance(dataset, Dataset) and local_path(dataset) is None:
        refuse_read_only(str(dataset), command)
    target = dataset_of(dataset)
    if target.in_folder or not isinstance(target.files, RemoteFiles):
        yield target
        return
    with working_copy(target.files, command, parts) as (files, manifest):
        yield Dataset(files.root, manifest, files)


@contextmanager
def dataset_to_read(dataset: DatasetLike, parts: Collection[str]) -> Iterator[Dataset]:
    """The data set, of one in a bucket with `parts` (see `qoqdata.remote.working_copy`) beside it
    while the block runs; a release has none of them. Nothing is written into a bucket."""
    from qoqdata.dataset import Dataset
    from qoqdata.remote.remote_files import RemoteFiles
    from qoqdata.remote.urls import READ_ONLY, scheme
    from qoqdata.remote.working_copy import reading_copy

    target = dataset_of(dataset)
    files = target.files
    if not isinstance(files, RemoteFiles) or target.in_folder:
        yield target
        return
    if target.manifest.release is not None or scheme(files.store.url) in READ_ONLY:
        yield target
        return
    with reading_copy(files, parts) as (own, manifest):
        yield Dataset(own.root, manifest, own)


def written_at(target: Dataset, path: Path) -> Path | str:
    """Where a file that was written lies: its path, or its URL where `target` is a working copy."""
    from qoqdata.remote.remote_files import RemoteFiles

    if not isinstance(target.files, RemoteFiles):
        return path
    return target.files.origin(path.relative_to(target.root).as_posix())
