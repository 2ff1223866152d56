"""Datasets of HDF5 files, whole or one item along their first axis.

Bytes (opaque, strings without their padding, variable-length or one-dimensional uint8) are a file's
content. Numbers of another shape are their values as stored, in C order; `layout` tells the shape.
Links to other files, and data outside of the file, are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qoqdata.errors import (
    MissingFile,
    OutsideRoot,
    UnreadableFile,
    UnsupportedFormat,
    UsageError,
)
from qoqdata.readers.container.contents import archive_name, name_pattern
from qoqdata.readers.limits import Limits

_NUMBERS = "biufc"
_ITEM = re.compile(r"(?P<name>.+)\[(?P<item>\d{1,18})\]", re.DOTALL)


def index_hdf5(path: Path) -> Hdf5Datasets:
    """The file at `path`. Raises UnreadableFile for a damaged one, UsageError without h5py."""
    try:
        import h5py  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "reading HDF5 needs h5py", where=str(path), fix="pip install 'qoqdata[hdf5]'"
        ) from error
    datasets = Hdf5Datasets(path)
    with datasets.opened(str(path)):
        return datasets


@dataclass(frozen=True)
class Hdf5Datasets:
    path: Path
    weight: int = 1

    def names(self, pattern: str) -> list[str]:
        """As every container; a pattern that ends in `[*]` lists the items of datasets."""
        shape = name_pattern(pattern.removesuffix("[*]"))
        with self.opened(str(self.path)) as file:
            names = [(name, len_) for name, len_ in _walk(file, "") if shape(name)]
        if pattern.endswith("[*]"):
            return [f"{name}[{item}]" for name, count in names for item in range(count)]
        return sorted(name for name, _ in names)

    def check(self, member: str) -> None:
        self.size(member)

    def size(self, member: str) -> int | None:
        where = f"{self.path}#{member}"
        with self.opened(where) as file:
            dataset, item = _find(file, member, where)
            is_fixed = dataset.dtype.kind in _NUMBERS
            return _declared_bytes(dataset, item) if is_fixed else None

    def read(self, member: str, limits: Limits) -> bytes:
        where = f"{self.path}#{member}"
        with self.opened(where) as file:
            value = _value(*_find(file, member, where), limits, where)
        content = value if isinstance(value, bytes) else value.tobytes()
        limits.check("inflated_bytes", len(content), where=where)
        return content

    def layout(self, member: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
        """Dtype and shape of a member's values."""
        where = f"{self.path}#{member}"
        with self.opened(where) as file:
            dataset, item = _find(file, member, where)
            return dataset.dtype, dataset.shape if item is None else dataset.shape[1:]

    @contextmanager
    def opened(self, where: str) -> Iterator[Any]:
        """The open file; what h5py says of damage becomes UnreadableFile."""
        import h5py

        try:
            with h5py.File(self.path, "r", locking=False) as file:
                yield file
        except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
            what = f"is no sound HDF5 file: {error}"
            raise UnreadableFile(what, where=where, fix="fetch it again") from error


def _walk(group: Any, prefix: str) -> Iterator[tuple[str, int]]:
    """Name and length of every dataset that hard links lead to; a group is entered once."""
    import h5py

    seen, groups = {h5py.h5o.get_info(group.id).addr}, [(prefix, group)]
    while groups:
        prefix, group = groups.pop()
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                yield f"{prefix}{name}", 0
                continue
            child = group[name]
            if isinstance(child, h5py.Dataset):
                yield f"{prefix}{name}", child.shape[0] if child.shape else 0
            elif (
                isinstance(child, h5py.Group)
                and (address := h5py.h5o.get_info(child.id).addr) not in seen
            ):
                seen.add(address)
                groups.append((f"{prefix}{name}/", child))


def _find(file: Any, member: str, where: str) -> tuple[Any, int | None]:
    """The dataset that a member names, and the item: a dataset of that very name comes first."""
    if (dataset := _dataset(file, member, where)) is not None:
        return dataset, None
    match = _ITEM.fullmatch(member)
    if match is None or (dataset := _dataset(file, match["name"], where)) is None:
        raise MissingFile("the file holds no such dataset", where=where)
    item, count = int(match["item"]), dataset.shape[0] if dataset.shape else 0
    if item >= count:
        raise MissingFile(f"the dataset has {count:,} items", where=where)
    return dataset, item


def _dataset(file: Any, name: str, where: str) -> Any:
    import h5py

    place = file
    for part in archive_name(name).strip("/").split("/"):
        link = place.get(part, getlink=True) if isinstance(place, h5py.Group) and part else None
        if link is None:
            return None
        if isinstance(link, h5py.ExternalLink):
            raise OutsideRoot("is a link to another file", where=where, fix="name that file")
        if not isinstance(link, h5py.HardLink):
            fix = "name the dataset that it leads to"
            raise UnsupportedFormat("is a link in the file", where=where, fix=fix)
        place = place[part]
    if not isinstance(place, h5py.Dataset):
        raise UnreadableFile("is no dataset", where=where, fix="name one of its datasets")
    if place.external or place.is_virtual:
        raise OutsideRoot("its values lie in another file", where=where)
    return place


def _declared_bytes(dataset: Any, item: int | None) -> int:
    """Bytes of fixed-length values; those of variable length count as their references."""
    count = dataset.size if item is None else dataset.size // max(1, dataset.shape[0])
    return int(count) * int(dataset.dtype.itemsize)


def _value(dataset: Any, item: int | None, limits: Limits, where: str) -> bytes | np.ndarray:
    limits.check("inflated_bytes", _declared_bytes(dataset, item), where=where)
    if dataset.shape is None or dataset.size == 0:
        raise MissingFile("the dataset is empty", where=where)
    value = dataset[()] if item is None else dataset[item]
    if isinstance(value, bytes):
        return bytes(value)
    if isinstance(value, np.void) and value.dtype.names is None:
        return value.tobytes()
    value = np.asarray(value)
    if value.dtype.kind == "O" and value.size == 1:
        value = np.asarray(value.reshape(-1)[0])
    if value.dtype.kind not in _NUMBERS or value.size == 0:
        raise UnsupportedFormat(f"holds {dataset.dtype}, no bytes or numbers", where=where)
    return value
