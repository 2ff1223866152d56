"""Settings that a person writes in YAML, read into a checked model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from qoqdata.errors import UsageError

M = TypeVar("M", bound=BaseModel)


def load_yaml(path: Path) -> Any:
    """Parsed YAML; raises UsageError with the line when it cannot be read."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError("there is no such file", where=str(path), fix="check its path") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"is not YAML: {error}", where=str(path)) from error


def load_mapping(path: Path, *, may_be_empty: bool = False) -> dict[str, Any]:
    """Settings by name of the file at `path`; raises UsageError when it is no mapping of them."""
    content = load_yaml(path)
    if content is None and may_be_empty:
        return {}
    if not isinstance(content, dict):
        raise UsageError("is no mapping of settings", where=str(path), fix="write name: value")
    return content


def checked(
    model: type[M],
    content: Any,
    *,
    where: str,
    fix: str | None = None,
    error: type[UsageError] = UsageError,
) -> M:
    """`content` as a `model`; raises `error`, which names `where` and the first field at fault."""
    try:
        return model.model_validate(content)
    except ValidationError as invalid:
        fault = invalid.errors(include_url=False)[0]
        field = ".".join(str(part) for part in fault["loc"]) or "the document"
        what = fault["msg"].removeprefix("Value error, ")
        raise error(what, where=f"{where}, {field}", fix=fix) from invalid
