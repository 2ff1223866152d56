"""Names of models, and what to say of one that cannot be loaded."""

from __future__ import annotations

from pathlib import Path

from qoqdata.errors import UsageError

_FIX = "give a folder or a hub name of a Qwen2.5-VL or Qwen3-VL model"


def check_name(name: str | Path) -> None:
    """Raise UsageError for a path at which there is no folder; a hub name is not looked up."""
    path = Path(name)
    # "owner/model" and "model" are hub names unless such a folder exists.
    is_path = isinstance(name, Path) or path.is_absolute() or len(path.parts) > 2
    if path.exists() and not path.is_dir():
        raise UsageError("is no folder of a model", where=str(name), fix=_FIX)
    if is_path and not path.exists():
        raise UsageError("no such folder", where=str(name), fix=_FIX)


def unloadable(error: BaseException, part: str, name: str | Path) -> UsageError:
    """The error to raise for a part of the model `name` that transformers cannot load."""
    first = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return UsageError(f"{part} cannot be loaded: {first.rstrip('.')}", where=str(name), fix=_FIX)


def stored_file(name: str | Path, file: str) -> Path | None:
    """The local path of `file` (relative, such as "ecg/config.json") of a model; None without it.

    Files of hub models are taken from the cache or fetched. Raises UsageError where that fails.
    """
    if Path(name).is_dir():
        path = Path(name) / file
        return path if path.is_file() else None
    from transformers.utils.hub import cached_file

    try:
        found = cached_file(str(name), file, _raise_exceptions_for_missing_entries=False)
    except (OSError, ValueError) as error:
        raise unloadable(error, file, name) from error
    return None if found is None else Path(found)
