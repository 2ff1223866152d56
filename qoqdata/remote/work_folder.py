"""Folders on this machine for what a command has in work of a set in a store.

HOME/<key of the URL>/<process>/<name of the set>/...     gone when the command ends
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qoqdata.atomic import is_running, machine, this_process


@contextmanager
def work_folder(home: Path, url: str) -> Iterator[Path]:
    """A new folder below `home`, for its owner alone, called as the set at `url` is.

    What processes of this machine that died have left there of the same set goes first.
    """
    own = folder_of(home, url)
    _sweep(own)
    work = own / f"{machine()}-{this_process()}-{secrets.token_hex(4)}"
    folder = work / (url.rpartition("/")[2] or "set")
    try:
        folder.mkdir(parents=True)
        own.chmod(0o700)  # Plans, receipts and findings name raw files and what is in them.
        yield folder
    finally:
        shutil.rmtree(work, ignore_errors=True)


def folder_of(home: Path, url: str) -> Path:
    """The folder below `home` that is the set's at `url`."""
    return home / hashlib.sha256(url.encode()).hexdigest()[:24]


def _sweep(own: Path) -> None:
    for folder in own.glob(f"{machine()}-*"):
        if not is_running(folder.name.partition("-")[2].rpartition("-")[0]):
            shutil.rmtree(folder, ignore_errors=True)
