"""The optional packages: which extra of ours brings one, by our own metadata."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, requires

_OPTIONAL = re.compile(r"([A-Za-z0-9._-]+).*;\s*extra == ['\"]([a-z0-9-]+)['\"]")
#: Holds what developers need: whoever lacks a package for a command needs its own extra.
_NOT_FOR_USERS = "dev"


def install_command(module: str) -> str | None:
    """`pip install 'qoqdata[train]'` for the module `torch`; None for one that no extra brings."""
    wanted = _plain(module.partition(".")[0])
    try:
        lines = requires("qoqdata") or []
    except PackageNotFoundError:
        return None
    for match in filter(None, map(_OPTIONAL.match, lines)):
        if _plain(match[1]) == wanted and match[2] != _NOT_FOR_USERS:
            return f"pip install 'qoqdata[{match[2]}]'"
    return None


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
