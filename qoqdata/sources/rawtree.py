"""The raw files of a source: paths resolved inside the root or refused, tables read as text."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

import polars as pl
from blake3 import blake3

from qoqdata.errors import BadTable, MissingFile, OutsideRoot, UnreadableFile, UsageError
from qoqdata.readers.raw_file import RawDigests


@dataclass(frozen=True)
class RawTree:
    """A raw root, and further roots that appear as top-level folders of it (`mounts`).

    All paths are relative, with forward slashes, in sorted order.
    """

    root: Path
    mounts: Mapping[str, Path] = field(default_factory=dict)

    def resolve(self, relative: str) -> Path:
        """The file or folder at `relative`.

        Raises OutsideRoot when it leaves the root, links included, and MissingFile.
        """
        path = self.locate(relative)
        if not _exists(path, relative):
            raise MissingFile("no such file", where=relative, fix="fetch it, or drop the row")
        return path

    def exists(self, relative: str) -> bool:
        """Whether `relative` is there; raises OutsideRoot as `resolve` does."""
        return _exists(self.locate(relative), relative)

    def locate(self, relative: str) -> Path:
        """The path that `relative` names, whether or not it exists; raises OutsideRoot."""
        pure = PurePosixPath(relative.replace("\\", "/"))
        if not relative or "\0" in relative or pure.is_absolute() or ".." in pure.parts:
            raise OutsideRoot(
                "does not stay inside the raw root", where=relative, fix="use a relative path"
            )
        base, parts = self.root, pure.parts
        if parts and parts[0] in self.mounts:
            base, parts = self.mounts[parts[0]], parts[1:]
        path = base.joinpath(*parts)
        real = os.path.realpath(path)
        if not Path(real).is_relative_to(os.path.realpath(base)):
            raise OutsideRoot(
                "is a link that leaves the raw root",
                where=relative,
                fix="name its target as a further root under `raw:` in build.yaml",
            )
        return path

    def files(self, *patterns: str, under: str = "") -> list[str]:
        """Sorted relative paths of the files below `under` whose name matches a pattern.

        Patterns are shell patterns on the file name, case ignored; none means all. Linked folders
        are not followed, and hidden files are left out. Raises UnreadableFile for a folder that
        cannot be listed and for a name that is not UTF-8, which no record or table can hold.
        """
        names = [pattern.lower() for pattern in patterns]
        return sorted(
            _utf8(path)
            for path in self._walk(under)
            if not names or any(fnmatchcase(path.rpartition("/")[2].lower(), n) for n in names)
        )

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

    def stamp(self, relative: str) -> tuple[int, int] | None:
        """Size and modification time in ns, or None when the file is not there."""
        try:
            status = self.locate(relative).stat()
        except (OSError, OutsideRoot):
            return None
        return status.st_size, status.st_mtime_ns

    def _walk(self, under: str) -> Iterator[str]:
        starts = [under] if under else ["", *self.mounts]
        for start in starts:
            base = self.locate(start) if start else self.root
            for folder, names, files in os.walk(base, onerror=_refuse_unlistable):
                inside = Path(folder).relative_to(base).as_posix()
                prefix = "/".join(part for part in (start, inside) if part not in ("", "."))
                # A mount hides what the root holds under its name.
                hidden = self.mounts if not prefix else ()
                names[:] = [n for n in names if not n.startswith(".") and n not in hidden]
                for name in files:
                    if not name.startswith(".") and name not in hidden:
                        yield f"{prefix}/{name}" if prefix else name


def open_raw(root: Path, mounts: Mapping[str, Path] | None = None) -> RawTree:
    """A raw tree on existing folders; raises UsageError for one that is missing."""
    for folder in (root, *(mounts or {}).values()):
        if not folder.is_dir():
            raise UsageError("there is no such raw folder", where=str(folder), fix="check --raw")
    return RawTree(root, dict(mounts or {}))


def _exists(path: Path, relative: str) -> bool:
    try:
        return path.exists()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return False
        what = f"cannot be looked up: {error.strerror}"
        raise UnreadableFile(what, where=relative) from error


def _refuse_unlistable(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        what = f"the folder cannot be listed: {error.strerror}"
        raise UnreadableFile(what, where=str(error.filename)) from error


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
