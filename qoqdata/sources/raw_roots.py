"""Where the paths of a raw tree lie: below its root or a mount, never outside through a link."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from qoqdata.errors import OutsideRoot
from qoqdata.sources.raw_links import follow_link
from qoqdata.sources.raw_paths import is_link, path_parts


def is_gone(root: Path) -> bool:
    """Whether a raw root that was there is no more, as a mount that was lost: nothing is in it."""
    try:
        with os.scandir(root) as entries:
            return next(entries, None) is None
    except OSError:
        return True


@dataclass(frozen=True)
class RawRoots:
    """A raw root, and further roots that appear as top-level folders of it."""

    root: Path
    mounts: Mapping[str, Path]

    def split(self, relative: str) -> tuple[Path, list[str]]:
        """The root or mount that a path lies below, and its parts from there on."""
        parts = path_parts(relative)
        if parts and parts[0] in self.mounts:
            return self.mounts[parts[0]], parts[1:]
        return self.root, parts

    def trace(self, relative: str) -> tuple[str, os.stat_result | OSError]:
        """The path that `relative` names, and the state of what is there or why there is none.

        Every part of the path is looked at, and only one that is a link can lead outside: raises
        OutsideRoot.
        """
        base, parts = self.split(relative)
        step = str(base).rstrip(os.sep)
        path = "/".join((step, *parts)) if parts else str(base)
        try:
            for part in parts:
                step = f"{step}/{part}"
                status = os.lstat(step)
                if is_link(status):
                    return path, follow_link(path, *self._bounds(base), relative)
            return path, status if parts else base.stat()
        except OSError as error:
            # Nothing lies below a part that is not there, so no link either.
            return path, error

    def unlinked(self, folder: str) -> str | None:
        """The path of a folder below the root that no link leads to, or of the root itself (""),
        where no mount may be meant by a name in it; None for any other."""
        try:
            base, parts = self.split(folder) if folder else (self.root, [])
            if not parts and base is self.root and self.mounts:
                return None
            step = str(base).rstrip(os.sep)
            for part in parts:
                step = f"{step}/{part}"
                if is_link(os.lstat(step)):
                    return None
        except (OutsideRoot, OSError):
            return None
        return step

    def _bounds(self, base: Path) -> tuple[str, Sequence[str]]:
        """The real path of a root, and those that links of it may lead to as well."""
        if base is self.root:
            return self._homes[0], self._homes[1:]
        return os.path.realpath(base), ()

    @cached_property
    def _homes(self) -> list[str]:
        """The real paths of the root and the mounts."""
        return [os.path.realpath(folder) for folder in (self.root, *self.mounts.values())]
