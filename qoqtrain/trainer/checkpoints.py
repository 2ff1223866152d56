"""Checkpoints on disk: whole or not there, the last good one found again.

RUN/checkpoints/latest              name of the last one, written after it
RUN/checkpoints/step-00000010/      engine files, rng-00000.pt, run.json
RUN/checkpoints/.step-00000020.tmp  being written, or left by a save that was interrupted
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qoqdata.atomic import replacing, write_json
from qoqdata.errors import UsageError
from qoqtrain.trainer.ranks import Ranks

LATEST, RUN, SIZES = "latest", "run.json", "files.json"


def save(
    root: Path,
    step: int,
    write: Callable[[Path], None],
    run: dict[str, Any],
    *,
    keep: int,
    ranks: Ranks,
) -> Path:
    """Write the checkpoint of `step` below `root` and return its folder; all ranks call this.

    Every rank calls `write` with a temporary folder; rank 0 then adds `run` (JSON), lists the
    sizes, flushes to disk, renames, points `latest` at it, and removes all but the `keep` newest.
    A kill at any moment leaves the earlier checkpoint in force.
    """
    folder, draft = root / name_of(step), root / f".{name_of(step)}.tmp"
    if ranks.first:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
    ranks.wait()
    write(draft)
    ranks.wait()
    if ranks.first:
        write_json(draft / RUN, run)
        write_json(draft / SIZES, _sizes(draft))
        _flush(draft)
        if folder.exists():
            shutil.rmtree(folder)
        draft.rename(folder)
        _flush_folder(root)
        with replacing(root / LATEST) as pointer:
            pointer.write_text(folder.name + "\n", encoding="utf-8")
        _prune(root, keep)
    ranks.wait()
    return folder


def latest(root: Path) -> Path | None:
    """The checkpoint to go on from: the one that `latest` names, else the newest whole one.

    None when there is none. A folder counts as whole when every file that it lists is there with
    its size.
    """
    if not root.is_dir():
        return None
    pointer = root / LATEST
    named = [root / pointer.read_text(encoding="utf-8").strip()] if pointer.is_file() else []
    return next((folder for folder in [*named, *_newest_first(root)] if is_whole(folder)), None)


def is_whole(folder: Path) -> bool:
    """Whether every file that the checkpoint lists is there with its size."""
    try:
        sizes = json.loads((folder / SIZES).read_text(encoding="utf-8"))
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError):
        return False


def read_run(folder: Path) -> dict[str, Any]:
    """What `save` was given as `run`; raises UsageError when it is lost or damaged."""
    path = folder / RUN
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        fix = "remove this folder to go on from the checkpoint before it"
        raise UsageError(f"cannot be read ({error})", where=str(path), fix=fix) from error


def name_of(step: int) -> str:
    return f"step-{step:08d}"


def _newest_first(root: Path) -> list[Path]:
    return sorted(root.glob("step-*"), reverse=True)


def _prune(root: Path, keep: int) -> None:
    for old in _newest_first(root)[keep:]:
        # Renamed first: a folder half removed must not look like a checkpoint.
        doomed = root / f".{old.name}.old"
        shutil.rmtree(doomed, ignore_errors=True)
        old.rename(doomed)
        shutil.rmtree(doomed)


def _sizes(folder: Path) -> dict[str, int]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def _flush(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
        else:
            _flush_folder(path)
    _flush_folder(folder)


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
