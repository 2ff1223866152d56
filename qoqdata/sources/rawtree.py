"""The raw files of a source: paths resolved inside the root or refused, tables read as text."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fnmatch import translate
from pathlib import Path
from time import perf_counter

import polars as pl
from blake3 import blake3

from qoqdata.errors import BadTable, MissingFile, OutsideRoot, UnreadableFile, UsageError
from qoqdata.readers.raw_file import RawDigests

#: Size of a file and its modification time in ns.
Stamp = tuple[int, int]
#: Seconds a look at a file takes where it pays to have many under way, as over a network; how many
#: files tell, and how many looks at a time.
_SLOW, _TRIED, _AT_A_TIME = 1e-4, 32, 16
#: What a look at a path that names nothing ends in.
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.EBADF, errno.ELOOP, errno.ENAMETOOLONG)


@dataclass(frozen=True)
class RawTree:
    """A raw root, and further roots that appear as top-level folders of it (`mounts`).

    All paths are relative, with forward slashes, in sorted order.
    """

    root: Path
    mounts: Mapping[str, Path] = field(default_factory=dict)
    _listings: dict[str, list[str]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def resolve(self, relative: str) -> Path:
        """The file or folder at `relative`.

        Raises OutsideRoot when it leaves the root, links included, and MissingFile.
        """
        path, status = self._trace(relative)
        if not _is_there(status, relative):
            raise MissingFile("no such file", where=relative, fix="fetch it, or drop the row")
        return Path(path)

    def exists(self, relative: str) -> bool:
        """Whether `relative` is there; raises OutsideRoot as `resolve` does."""
        return _is_there(self._trace(relative)[1], relative)

    def locate(self, relative: str) -> Path:
        """The path that `relative` names, whether or not it exists; raises OutsideRoot."""
        return Path(self._trace(relative)[0])

    def files(self, *patterns: str, under: str = "") -> list[str]:
        """Sorted relative paths of the files below `under` whose name matches a pattern.

        Patterns are shell patterns on the file name, case ignored; none means all. Linked folders
        are not followed, and hidden files are left out. Folders are listed once: later calls tell
        what was there at the first. Raises UnreadableFile for a folder that cannot be listed and
        for a name that is not UTF-8, which no record or table can hold.
        """
        if (listing := self._listings.get(under)) is None:
            listing = self._listings[under] = sorted(self._walk(under))
        shape = re.compile("|".join(translate(pattern.lower()) for pattern in patterns or ("*",)))
        return [_utf8(path) for path in listing if shape.match(path.rpartition("/")[2].lower())]

    def csv(
        self,
        relative: str,
        *,
        columns: Sequence[str] = (),
        separator: str = ",",
        empty: bool = False,
    ) -> pl.DataFrame:
        """A delimited table, gzipped or not, all columns as text; empty cells are null.

        Raises BadTable when one of `columns` is missing, occurs twice or is not UTF-8, when the
        table cannot be parsed, or when it has no row and `empty` is false.
        """
        path = self.resolve(relative)
        if path.is_dir():
            raise BadTable("is a folder", where=relative)
        try:
            table = pl.read_csv(
                path,
                separator=separator,
                infer_schema=False,
                encoding="utf8-lossy",
                glob=False,
            )
            table = table.rename({name: name.strip().lstrip("\ufeff") for name in table.columns})
            # Tables that quote every cell write an absent one as "".
            table = table.with_columns(pl.all().replace("", None))
        except pl.exceptions.NoDataError as error:
            raise BadTable("the table is empty", where=relative, fix="fetch it again") from error
        except (pl.exceptions.PolarsError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise BadTable(f"cannot be parsed: {reason}", where=relative) from error
        if absent := [name for name in columns if name not in table.columns]:
            raise BadTable(
                f"lacks the column {absent[0]!r}",
                where=relative,
                fix=f"it has: {', '.join(table.columns)}",
            )
        # polars keeps a repeated column under a name of its own.
        if repeated := [name for name in columns if f"{name}_duplicated_0" in table.columns]:
            raise BadTable(f"the column {repeated[0]!r} occurs twice", where=relative)
        if table.height == 0 and not empty:
            raise BadTable("the table has no rows", where=relative, fix="fetch it again")
        for name in columns:
            # What is not UTF-8 arrives as U+FFFD, which makes different keys and texts alike.
            if (places := table[name].str.contains("\ufffd", literal=True).arg_true()).len():
                where = f"{relative}, row {places[0] + 2}, column {name}"
                raise BadTable("is not UTF-8", where=where, fix="convert the table to UTF-8")
        return table

    def digest(self, relatives: Sequence[str], digests: RawDigests | None = None) -> str:
        """BLAKE3 over the BLAKE3 digests of the files, in the order given.

        `digests` are those of files that were read already. Raises as `resolve`, and
        UnreadableFile for a folder or a failing disk.
        """
        digests = digests or RawDigests()
        total = blake3()
        for relative in relatives:
            try:
                total.update(digests.of(self.resolve(relative)))
            except OSError as error:
                raise UnreadableFile(f"cannot be read: {error.strerror}", where=relative) from error
        return total.hexdigest()

    def stamps(self, relatives: Sequence[str]) -> list[Stamp | None]:
        """As `stamp`, for many files: several at a time where the file system answers slowly."""
        first, rest = relatives[:_TRIED], relatives[_TRIED:]
        begin = perf_counter()
        stamps = list(map(self.stamp, first))
        if perf_counter() - begin < _SLOW * len(first):
            return [*stamps, *map(self.stamp, rest)]
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            return [*stamps, *pool.map(self.stamp, rest)]

    def stamp(self, relative: str) -> Stamp | None:
        """Size and modification time in ns, or None when the file is not there."""
        try:
            _, status = self._trace(relative)
        except OutsideRoot:
            return None
        return None if isinstance(status, OSError) else (status.st_size, status.st_mtime_ns)

    def _trace(self, relative: str) -> tuple[str, os.stat_result | OSError]:
        """The path that `relative` names, and the state of what is there or why there is none.

        Every part of the path is looked at, and only one that is a link can lead outside.
        """
        base, parts = self.root, _parts(relative)
        if parts and parts[0] in self.mounts:
            base, parts = self.mounts[parts[0]], parts[1:]
        step = str(base).rstrip(os.sep)
        path = "/".join((step, *parts)) if parts else str(base)
        try:
            for part in parts:
                step = f"{step}/{part}"
                status = os.lstat(step)
                if _is_link(status):
                    _refuse_escape(path, base, relative)
                    return path, Path(path).stat()
            return path, status if parts else base.stat()
        except OSError as error:
            # Nothing lies below a part that is not there, so no link either.
            return path, error

    def _walk(self, under: str) -> Iterator[str]:
        for start in [under] if under else ["", *self.mounts]:
            folders = [(str(self.locate(start) if start else self.root), start)]
            while folders:
                folder, prefix = folders.pop()
                for entry in _entries(folder):
                    name = entry.name
                    # A mount hides what the root holds under its name.
                    if name.startswith(".") or (not prefix and name in self.mounts):
                        continue
                    path = f"{prefix}/{name}" if prefix else name
                    if not _is_folder(entry):
                        yield path
                    elif not entry.is_symlink():
                        folders.append((entry.path, path))

    def __reduce__(self) -> tuple[type[RawTree], tuple[Path, dict[str, Path]]]:
        # Listings stay behind: a worker has no use for them.
        return RawTree, (self.root, dict(self.mounts))


def open_raw(root: Path, mounts: Mapping[str, Path] | None = None) -> RawTree:
    """A raw tree on existing folders; raises UsageError for one that is missing."""
    for folder in (root, *(mounts or {}).values()):
        if not folder.is_dir():
            raise UsageError("there is no such raw folder", where=str(folder), fix="check --raw")
    return RawTree(root, dict(mounts or {}))


def _parts(relative: str) -> list[str]:
    """The parts of a path that names something below a root; raises OutsideRoot for any other."""
    path = relative.replace("\\", "/")
    parts = [part for part in path.split("/") if part and part != "."]
    if not relative or "\0" in relative or path.startswith("/") or ".." in parts:
        raise OutsideRoot(
            "does not stay inside the raw root", where=relative, fix="use a relative path"
        )
    return parts


def _is_link(status: os.stat_result) -> bool:
    """Whether it is a link, or what Windows has of the kind."""
    return stat.S_ISLNK(status.st_mode) or getattr(status, "st_reparse_tag", 0) != 0


def _refuse_escape(path: str, base: Path, relative: str) -> None:
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(base)):
        raise OutsideRoot(
            "is a link that leaves the raw root",
            where=relative,
            fix="name its target as a further root under `raw:` in build.yaml",
        )


def _is_there(status: os.stat_result | OSError, relative: str) -> bool:
    if not isinstance(status, OSError):
        return True
    if status.errno in _NOT_THERE:
        return False
    what = f"cannot be looked up: {status.strerror}"
    raise UnreadableFile(what, where=relative) from status


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        what = f"the folder cannot be listed: {error.strerror}"
        raise UnreadableFile(what, where=str(error.filename)) from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _utf8(path: str) -> str:
    try:
        path.encode()
    except UnicodeEncodeError as error:
        what = "the name of the file is not UTF-8"
        raise UnreadableFile(what, where=ascii(path), fix="rename the file") from error
    return path


def read_text(raw: RawTree, relative: str, *, limit: int = 64 * 2**20) -> str:
    """A text file in UTF-8 of at most `limit` bytes; raises UnreadableFile."""
    path = raw.resolve(relative)
    if path.stat().st_size > limit:
        raise UnreadableFile(f"is larger than {limit:,} bytes for a text file", where=relative)
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableFile(f"cannot be read as text: {error}", where=relative) from error
