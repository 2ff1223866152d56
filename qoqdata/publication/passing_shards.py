"""Shards of a release that only pass through: made of those in a store whenever they are asked for.

A set in a bucket may be larger than any disk here, so its outgoing tree holds no shard. Each is
made once to be searched and described, and again to be sent, with the same digest both times.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from qoqdata.contract.manifest import Shard
from qoqdata.dataset import Dataset
from qoqdata.errors import DatasetError
from qoqdata.manifest import is_as_built
from qoqdata.pipeline.shards import rewrite_shard
from qoqdata.publication.leaving_changes import Change
from qoqdata.remote.files import Bound, LocalFiles
from qoqdata.remote.remote_files import RemoteFiles

#: Shards under way at a time, at most.
_MOST = 4


@dataclass(frozen=True, eq=False)
class PassingShards:
    """Outgoing shards of `dataset` by path: `changes` of those in which something changes, and
    `after` how all of them leave. `work` is a folder for those that are written anew; `forget` is
    told of one that is another than it was."""

    dataset: Dataset
    changes: Mapping[str, Change]
    after: Mapping[str, Shard]
    work: Path
    forget: Callable[[], None] | None = None
    #: As many as the cache holds twice, so that no two wait for each other's room.
    _turns: threading.Semaphore = field(init=False, repr=False)

    def __post_init__(self) -> None:
        files = self.dataset.files
        room = files.cache.max_bytes if isinstance(files, RemoteFiles) else 0
        largest = max((shard.bytes for shard in self.dataset.manifest.shards), default=1)
        turns = max(1, min(_MOST, room // (2 * largest)))
        object.__setattr__(self, "_turns", threading.Semaphore(turns))

    @contextmanager
    def making(self, path: str) -> Iterator[Path]:
        """An outgoing shard while the block runs.

        Raises DatasetError where it cannot be fetched or is not what was searched.
        """
        (before,) = (shard for shard in self.dataset.manifest.shards if shard.path == path)
        with self._turns, self.dataset.files.holding(before, verify=True) as source:
            if path not in self.changes:
                yield self._checked(source, path)
                return
            with TemporaryDirectory(dir=self.work) as folder:
                made = Path(folder) / Path(path).name
                rewrite_shard(source, made, before, self.changes[path])
                yield self._checked(made, path)

    def _checked(self, made: Path, path: str) -> Path:
        if not is_as_built(made, self.after[path]):
            if self.forget is not None:
                self.forget()
            what = "is not what was searched for what must not leave"
            where = self.dataset.files.origin(path)
            raise DatasetError(what, where=where, fix="publish again")
        return made


@dataclass(frozen=True)
class PassingFiles(LocalFiles):
    """Files of an outgoing tree without its shards."""

    passing: PassingShards

    @contextmanager
    def holding(self, file: Bound, *, verify: bool = False, judged: bool = True) -> Iterator[Path]:
        if isinstance(file, Shard):
            with self.passing.making(file.path) as path:
                yield path
        else:
            with super().holding(file, verify=verify, judged=judged) as path:
                yield path
