"""Files that are either whole or not there: write aside, fsync, rename, fsync the folder."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from qoqdata.system_faults import error_number

#: The name of a draft, with the machine and the process that writes it.
_DRAFT = re.compile(r"\..+\.(?:([0-9a-f]{8})-)?([1-9][0-9]*)\.tmp")
_BOOT = re.compile(r"^btime (\d+)$", re.MULTILINE)
#: Seconds that the clock of a file server may be behind.
_SKEW = 60
#: Seconds after which nobody on another machine still writes at a draft.
_LONGEST = 86_400


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well.

    Readers see the old file or the new one, also after a crash at any moment.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{machine()}-{os.getpid()}.tmp")
    try:
        with naming(path, draft):
            yield draft
            with draft.open("rb+") as stream:
                os.fsync(stream.fileno())
            draft.replace(path)
            _sync_folder(path.parent)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def naming(path: Path, draft: Path | None = None) -> Iterator[None]:
    """An OSError that names no file, as that of a full disk, or only the draft, names `path`; so
    does what another library makes of one."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(draft)):
            error.filename = str(path)
        raise
    except Exception as error:
        if type(error).__module__.startswith("polars") and (number := error_number(error)):
            raise OSError(number, os.strerror(number), str(path)) from error
        raise


def remove_tree(folder: Path) -> None:
    """Remove a folder with all that is in it; an OSError names the folder.

    What `shutil` raises may name a file without the folder that it is in.
    """
    try:
        shutil.rmtree(folder)
    except OSError as error:
        error.filename = str(folder)
        raise


def remove_drafts(folder: Path) -> None:
    """Remove the drafts below a folder that processes of this machine left behind which are no
    more, and those of other machines that are older than a day."""
    for parent, _, names in os.walk(folder):
        for name in names:
            if draft := _DRAFT.fullmatch(name):
                path = Path(parent, name)
                with suppress(FileNotFoundError):
                    written = path.stat().st_mtime
                    if draft[1] in (None, machine()):
                        in_work = _may_write(int(draft[2]), written)
                    else:
                        in_work = time.time() - written < _LONGEST
                    if not in_work:
                        path.unlink()


@cache
def machine() -> str:
    """8 hex digits of this machine, or of the container that has process numbers of its own."""
    try:
        numbers = Path("/proc/self/ns/pid").readlink().name
    except OSError:
        numbers = ""
    return hashlib.sha256(f"{platform.node()} {numbers}".encode()).hexdigest()[:8]


def _may_write(process: int, written: float) -> bool:
    """Whether a process of this machine is running that may have written something at that time."""
    if (ticks := _started(process)) is None:
        return False
    try:
        boot = _BOOT.search(Path("/proc/stat").read_text())
    except OSError:  # No Linux.
        return True
    # Numbers come again.
    began = int(boot[1]) + ticks / os.sysconf("SC_CLK_TCK") if boot else 0
    return written > began - _SKEW


def this_process() -> str:
    """What tells this process from all others of this machine since it was started, whatever its
    clock says."""
    return f"{os.getpid()}-{_started(os.getpid())}"


def is_running(process: str) -> bool:
    """Whether the process that `this_process` named on this machine is running."""
    number, _, started = process.partition("-")
    ticks = _started(int(number)) if number.isdecimal() else None
    return ticks is not None and str(ticks) == started


def _started(process: int) -> int | None:
    """Clock ticks from the start of the machine to that of a process; None where it is no more,
    and 0 where that cannot be told."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return None
    except (PermissionError, OverflowError):
        pass
    try:
        status = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # No Linux, or it has just ended.
        return 0
    # An orphan that nobody waits for stays in the table of processes.
    return None if status[0] in "ZX" else int(status[19])


def linked(source: Path, target: Path) -> None:
    """The file `source` at `target` too: as a hard link, or a copy where there can be none."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:
        # Another file system, or one without links.
        shutil.copyfile(source, target)


def write_json(path: Path, content: Any) -> None:
    """Write canonical JSON: sorted keys, two blanks, one newline at the end."""
    with replacing(path) as draft:
        draft.write_text(canonical(content, indent=2) + "\n", encoding="utf-8")


def canonical(content: Any, *, indent: int | None = None) -> str:
    """The one JSON text of a value, which holds no circle: sorted keys, no NaN."""
    separators = (",", ":") if indent is None else (",", ": ")
    return json.dumps(
        content,
        sort_keys=True,
        ensure_ascii=False,
        check_circular=False,
        allow_nan=False,
        indent=indent,
        separators=separators,
    )


def digest(content: Any) -> str:
    """sha256 of the canonical JSON of a value."""
    return hashlib.sha256(canonical(content).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
