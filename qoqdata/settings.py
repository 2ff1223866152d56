"""Settings that a person writes in YAML, read into a checked model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from qoqdata.errors import UsageError
from qoqdata.yaml_document import parse_yaml

M = TypeVar("M", bound=BaseModel)

_TRIED = re.compile(r"(?:lax-or-strict|function-\w+|json-or-python|literal|tuple|list|dict)\[.+\]$")

#: Far above any file that a person writes; a raw file named by mistake is not parsed for hours.
LARGEST_FILE = 16 * 2**20


def load_yaml(path: Path) -> Any:
    """The YAML of a file in UTF-8, as `qoqdata.yaml_document` reads it.

    Raises UsageError, with the line where there is one, when it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
    except FileNotFoundError as error:
        raise UsageError("there is no such file", where=str(path), fix="check its path") from error
    except OSError as error:
        what = f"cannot be read: {(error.strerror or str(error)).lower()}"
        raise UsageError(what, where=str(path), fix="name a YAML file") from error
    if len(content) > LARGEST_FILE:
        what = f"is not YAML of ours: it is larger than {LARGEST_FILE // 2**20} MiB"
        raise UsageError(what, where=str(path), fix="name a YAML file")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        what = f"is not YAML in UTF-8: the byte 0x{content[error.start]:02x} is none of it"
        raise UsageError(what, where=f"{path}, line {line}", fix="save it as UTF-8") from error
    return parse_yaml(text, where=str(path))


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
        # Where a field takes several types, pydantic names the one that it tried.
        parts = [str(part) for part in fault["loc"] if not _TRIED.match(str(part))]
        field = ".".join(parts) or "the document"
        what = fault["msg"].removeprefix("Value error, ").partition(" for <class")[0]
        if fault["type"] == "string_type" and isinstance(fault["input"], bool | int | float):
            what = f"{what}, and {str(fault['input']).lower()} unquoted is none"
            fix = "write it in quotes, as it should read"
        raise error(what, where=f"{where}, {field}", fix=fix) from invalid
