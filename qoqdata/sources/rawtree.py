"""The raw files of a source: paths resolved inside the root or refused, tables read as text."""

from __future__ import annotations

import os
import re
import stat
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from fnmatch import translate
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from qoqdata.errors import (
    BadTable,
    MissingFile,
    MissingKey,
    OutsideRoot,
    UnreadableFile,
    UsageError,
)
from qoqdata.readers.container.address import MARK, Address, container_state
from qoqdata.readers.container.opened import file_state, open_container
from qoqdata.readers.limits import DEFAULT_LIMITS, Limits
from qoqdata.readers.raw_file import (
    RangedFile,
    RawDigests,
    joint_digest,
    local_file,
    raw_state,
    read_bounded_file,
    read_raw_array,
    read_raw_file,
)
from qoqdata.remote.urls import local_path, shown
from qoqdata.sources.raw_listing import Listing, left_out_of, list_tree
from qoqdata.sources.raw_members import (
    looked_at_once,
    marked_names,
    members_matching,
    named_member,
)
from qoqdata.sources.raw_paths import is_there, path_parts, present, utf8_path
from qoqdata.sources.raw_roots import RawRoots
from qoqdata.sources.raw_stamps import Stamp, looker, many_at_a_time, stamp_of
from qoqdata.sources.raw_store import RawStore, mirrored_size, open_store
from qoqdata.sources.raw_tables import read_delimited, read_parquet, read_sheet
from qoqdata.system_faults import OF_THE_MACHINE


@dataclass(frozen=True)
class RawTree:
    """A raw root, and further roots that appear as top-level folders of it (`mounts`).

    All paths are relative, with forward slashes, in sorted order. `ignore` are patterns of what is
    not listed, see `raw_listing.ignored_by`. Where the root is the mirror of a `store`, files come
    here when they are resolved.
    """

    root: Path
    mounts: Mapping[str, Path] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    store: RawStore | None = field(default=None, compare=False)
    _listings: dict[str, Listing] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    #: By path as it was first met, in a tree that is watched.
    _met: dict[str, Stamp | None] | None = field(
        default=None, init=False, repr=False, compare=False
    )

    def watched(self) -> RawTree:
        """The same tree, which notes the stamps of what is looked at: see `met`."""
        watched = replace(self)
        object.__setattr__(watched, "_met", {})
        return watched

    def met(self) -> dict[str, Stamp | None]:
        """Of a watched tree, by path, the stamps of the files that were looked at, as they were at
        the first look; None for what was not there. Folders are left out."""
        return dict(self._met or {})

    def planning(self) -> AbstractContextManager[None]:
        """While the block runs, a store that fails is waited for, see `RawStore.planning`."""
        return nullcontext() if self.store is None else self.store.planning()

    def ignoring(self, patterns: Sequence[str]) -> RawTree:
        """The same tree without what the patterns match in its listings."""
        return replace(self, ignore=tuple(patterns))

    def resolve(self, relative: str) -> Path:
        """The file or folder at `relative`, or the member of a container, which readers can open.

        Raises OutsideRoot when it leaves the root, links included (see `raw_links`), MissingFile,
        and UnreadableFile for a pipe, a socket or a device; for a member also why it cannot be
        read.
        """
        if (member := self._member(relative)) is not None:
            container = relative.removesuffix(f"{MARK}{member.member}")
            member = Address(self._container(container, member.path), member.member)
            open_container(member.path).check(member.member)
            return Path(str(member))
        return self._brought(relative, present(*self._trace(relative), relative))

    def header_of(self, relative: str) -> Path | RangedFile:
        """As `resolve`, for who reads the beginning of a file: one in a store is not brought, and
        readers that take a RangedFile fetch what they look at. Raises as `resolve`."""
        if self.store is None or not self._in_store(relative) or self._member(relative) is not None:
            return self.resolve(relative)
        status = self._trace(relative)[1]
        if isinstance(status, OSError) or not stat.S_ISREG(status.st_mode):
            return self.resolve(relative)
        return self.store.ranged("/".join(path_parts(relative)))

    def holding(self, relatives: Sequence[str]) -> AbstractContextManager[None]:
        """Files and containers of members that stay here while the block runs, where they come
        from a store: several come at a time. What is not there is left to whoever reads it."""
        if self.store is None:
            return nullcontext()
        containers = [self._container_of(one) for one in relatives]
        names = [one or name for one, name in zip(containers, relatives, strict=True)]
        files = [one for one in names if self._in_store(one) and self.locate(one).is_file()]
        away = {one for one in containers if one in files and self.store.reads_in_place(one)}
        return self.store.holding([one for one in files if one not in away])

    def exists(self, relative: str) -> bool:
        """Whether `relative` is there; raises OutsideRoot as `resolve` does."""
        if self._member(relative) is not None:
            try:
                self.resolve(relative)
            except (MissingFile, MissingKey):
                return False
            return True
        return is_there(self._trace(relative)[1], relative)

    def locate(self, relative: str) -> Path:
        """The path that `relative` names, whether or not it exists; raises OutsideRoot."""
        return Path(self._trace(relative)[0])

    def files(self, *patterns: str, under: str = "") -> list[str]:
        """Sorted relative paths of the files below `under` whose name matches a pattern.

        Patterns are shell patterns on the file name, case ignored; none means all. `*.zip#*.png`
        lists the members that match of the containers that match, as `members` does. Left out are
        linked folders, hidden files and litter, what is no regular file, and names that are not
        UTF-8: `left_out` tells. Folders are listed once: later calls tell what was there at the
        first. Raises UnreadableFile for a folder that cannot be listed.
        """
        listing = self._listed(under)
        files = listing
        if patterns:
            shape = re.compile("|".join(translate(pattern.lower()) for pattern in patterns))
            files = [path for path in listing if shape.match(path.rpartition("/")[2].lower())]
        members = members_matching(listing, patterns, self.members)
        return sorted({*files, *members}) if members else list(files)

    def left_out(self) -> Listing:
        """What the listings so far left out; its `files` are empty."""
        return left_out_of(self._listings.values())

    def csv(
        self,
        relative: str,
        *,
        columns: Sequence[str] = (),
        separator: str = ",",
        empty: bool = False,
        full: bool = False,
    ) -> pl.DataFrame:
        """A delimited table, gzipped or not, all columns as text; empty cells are null, and so are
        those that a row of fewer cells lacks.

        Raises BadTable when one of `columns` is missing, occurs twice or is not UTF-8, when the
        table cannot be parsed, when it has no row and `empty` is false, or when a row has fewer
        cells and `full` is true: the text of one that holds a line break would be cut there.
        """
        source = self._table(relative)
        return read_delimited(
            source, columns=columns, separator=separator, empty=empty, full=full, where=relative
        )

    def sheet(self, relative: str, *, columns: Sequence[str], empty: bool = False) -> pl.DataFrame:
        """The first sheet of a workbook (.xlsx), all columns as text; empty cells are null.

        Numbers come in the shortest form that reads back (57, 3.5), dates in ISO 8601. Raises
        BadTable as `csv` does, and UsageError where the library for it is not installed.
        """
        return read_sheet(self._table(relative), columns=columns, empty=empty, where=relative)

    def parquet(
        self, relative: str, *, columns: Sequence[str], empty: bool = False
    ) -> pl.DataFrame:
        """Columns of a Parquet table in their own types; no others are read.

        Raises BadTable when one is missing, when the table cannot be parsed, or when it has no row
        and `empty` is false.
        """
        return read_parquet(self._table(relative), columns=columns, empty=empty, where=relative)

    def members(self, container: str, pattern: str = "*") -> list[str]:
        """Sorted `container#member` of the members whose name matches a shell pattern.

        Of archives and HDF5 the last part of the name counts, or all of it where the pattern has a
        slash; of a table `column[*]` lists rows by number, `column[key=*]` by key. Folders are left
        out. Members at fault are listed, and refused when they are read. Raises MissingFile,
        UnreadableFile for a container that is damaged or cut short, and UsageError where the
        library for it is not installed.
        """
        path = self._container(container, present(*self._trace(container), container))
        names = open_container(path).names(pattern)
        return [utf8_path(f"{container}{MARK}{name}") for name in names]

    def read_bytes(self, relative: str, *, limits: Limits = DEFAULT_LIMITS) -> bytes:
        """The content of a file or member. Raises as `resolve`, UnreadableFile and TooLarge."""
        path = self.resolve(relative)
        try:
            return read_bounded_file(path, limits, where=relative)
        except OSError as error:
            raise UnreadableFile(f"cannot be read: {error.strerror}", where=relative) from error

    def read_array(self, relative: str, *, limits: Limits = DEFAULT_LIMITS) -> np.ndarray:
        """The values of an HDF5 dataset or item, in their own dtype and shape; not writable.

        Raises as `read_bytes`, and UnsupportedFormat for a member of another container.
        """
        return read_raw_array(self.resolve(relative), limits=limits)

    @contextmanager
    def local_file(self, relative: str, *, limits: Limits = DEFAULT_LIMITS) -> Iterator[Path]:
        """A path for libraries that open files themselves: a member lies there for the while."""
        with local_file(self.resolve(relative), limits=limits) as path:
            yield path

    def digest(
        self,
        relatives: Sequence[str],
        digests: RawDigests | None = None,
        *,
        limits: Limits = DEFAULT_LIMITS,
    ) -> str:
        """BLAKE3 over the BLAKE3 digests of the files, in the order given.

        A member counts as the file that it would be unpacked. `digests` are those of files that
        were read already. Raises as `resolve`, and UnreadableFile for a folder or a failing disk.
        """
        noted = digests or RawDigests()
        return joint_digest(relatives, lambda one: self._digest_of(one, noted, limits))

    def _digest_of(self, relative: str, digests: RawDigests, limits: Limits) -> bytes:
        """The digest of a file, which most often was read just now and is as it was then."""
        status = None if self.store else self._look(relative)
        known = status and digests.of_state(file_state(status))
        return known or digests.of(self.resolve(relative), limits=limits)

    def stamps(self, relatives: Sequence[str]) -> list[Stamp | None]:
        """As `stamp`, for many files: several at a time where the file system answers slowly, each
        container and each folder that leads to files once."""
        if MARK in "\n".join(relatives):
            looked_at = looked_at_once(relatives, self._marked_names)
            stamps = {one: self.stamp(one) for one in dict.fromkeys(looked_at.values())}
            return [stamps[looked_at[relative]] for relative in relatives]
        return many_at_a_time(self.stamper(), relatives)

    def stamper(self) -> Callable[[str], Stamp | None]:
        """As `stamp`, for file after file: the folders that lead to them are looked at once."""
        look, is_mirror = looker(self._roots), self.store is not None

        def stamp(relative: str) -> Stamp | None:
            if (status := look(relative)) is None:
                return self.stamp(relative)
            return self._stamp_of(relative, status) if is_mirror else stamp_of(status)

        return stamp

    def stamp(self, relative: str) -> Stamp | None:
        """Size and modification time in ns, of a member its container's; None where it is not.

        Raises OSError where a disk or mount fails: then nothing is known of the file.
        """
        if (member := self._member(relative)) is not None:
            state = container_state(member.path)
            return None if state is None else self._stamp_of(relative, state)
        try:
            _, status = self._trace(relative)
        except OutsideRoot:
            return None
        if isinstance(status, OSError):
            if status.errno in OF_THE_MACHINE:
                raise status
            return None
        return self._stamp_of(relative, status)

    def _stamp_of(self, relative: str, status: os.stat_result) -> Stamp:
        """The stamp of a file by its state; that of a mirror's file is the store's."""
        if self.store is None or not self._in_store(relative):
            return stamp_of(status)
        return mirrored_size(status), status.st_mtime_ns

    def _trace(self, relative: str) -> tuple[str, os.stat_result | OSError]:
        path, status = self._roots.trace(relative)
        if self._met is not None and relative not in self._met:
            if isinstance(status, OSError):
                if status.errno not in OF_THE_MACHINE:
                    self._met[relative] = None
            elif not stat.S_ISDIR(status.st_mode):
                self._met[relative] = self._stamp_of(relative, status)
        return path, status

    def _brought(self, relative: str, path: Path) -> Path:
        """Where the content of a file or folder is, which a store brings."""
        if self.store is None or not self._in_store(relative):
            return path
        if not path.is_dir():
            return self.store.bring("/".join(path_parts(relative)))
        self.store.bring_all(self._listed(relative))
        return self.store.stage / "/".join(path_parts(relative))

    def _container(self, relative: str, path: Path) -> Path:
        """Where a container is read, which a store may bring."""
        if self.store is None or not self._in_store(relative) or path.is_dir():
            return self._brought(relative, path)
        return self.store.container("/".join(path_parts(relative)))

    def _in_store(self, relative: str) -> bool:
        """Whether a path lies below the root, and not below a mount."""
        return path_parts(relative)[0] not in self.mounts

    def _container_of(self, relative: str) -> str | None:
        member = self._member(relative)
        return None if member is None else relative.removesuffix(f"{MARK}{member.member}")

    @cached_property
    def _roots(self) -> RawRoots:
        return RawRoots(self.root, self.mounts)

    @cached_property
    def _look(self) -> Callable[[str], os.stat_result | None]:
        return looker(self._roots)

    def _listed(self, under: str) -> list[str]:
        """The sorted files below a folder, from a listing of all files where there is one."""
        under = "/".join(path_parts(under)) if under else ""
        if (listing := self._listings.get(under)) is not None:
            return listing.files
        if (everything := self._listings.get("")) is not None:
            begin = bisect_left(everything.files, f"{under}/")
            # The character after the slash is the 0.
            if found := everything.files[begin : bisect_left(everything.files, f"{under}0")]:
                return found
        starts = [under] if under else ["", *self.mounts]
        listing = self._listings[under] = list_tree(
            [(str(self.locate(start) if start else self.root), start) for start in starts],
            mounts=self.mounts if not under else (),
            ignore=self.ignore,
            follow=self._trace,
        )
        return listing.files

    def containers(self, relatives: Sequence[str]) -> dict[str, Path]:
        """The containers, by relative path, of those `relatives` that are members."""
        found = {}
        for one in looked_at_once(relatives, self._marked_names).values():
            if (member := self._member(one)) is not None:
                container = one.removesuffix(f"{MARK}{member.member}")
                found[container] = self._container(container, member.path)
        return found

    def _marked_names(self, folder: str) -> list[str]:
        try:
            return marked_names(self.locate(folder) if folder else self.root)
        except OutsideRoot:
            return []

    def _member(self, relative: str) -> Address | None:
        """The member that `relative` names; None for a file, also one that is not there."""
        return named_member(relative, self._trace)

    def _table(self, relative: str) -> Path | bytes:
        path = self.resolve(relative)
        if path.is_dir():
            raise BadTable("is a folder", where=relative)
        return path if self._member(relative) is None else self.read_bytes(relative)

    @property
    def origin(self) -> str:
        """The raw folder or URL, for messages."""
        return str(self.root) if self.store is None else shown(self.store.url)

    def __reduce__(self) -> tuple[type[RawTree], tuple[Any, ...]]:
        # Listings stay behind: a worker has no use for them.
        return RawTree, (self.root, dict(self.mounts), self.ignore, self.store)


def open_raw(
    root: Path | str, mounts: Mapping[str, Path] | None = None, inventory: Path | None = None
) -> RawTree:
    """A raw tree on existing folders, or on a URL and folders beside it; see `raw_store`.

    Raises UsageError for a folder that is missing and a URL that cannot be listed.
    """
    place = local_path(root)
    if place is not None and inventory is not None:
        raise UsageError("an inventory is of a URL", where=str(root), fix="leave it out")
    for folder in (*([place] if place else []), *(mounts or {}).values()):
        if not folder.is_dir():
            raise UsageError("there is no such raw folder", where=str(folder), fix="check --raw")
    if place is not None:
        return RawTree(place, dict(mounts or {}))
    store = open_store(str(root), inventory)
    return RawTree(store.mirror, dict(mounts or {}), store=store)


def read_text(raw: RawTree, relative: str, *, limit: int = 64 * 2**20) -> str:
    """A text file in UTF-8 of at most `limit` bytes; raises UnreadableFile."""
    path = raw.resolve(relative)
    if raw_state(path)[1] > limit:
        raise UnreadableFile(f"is larger than {limit:,} bytes for a text file", where=relative)
    try:
        return read_raw_file(path).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableFile(f"cannot be read as text: {error}", where=relative) from error
