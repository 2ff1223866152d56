"""Settings that a person writes in YAML, read into a checked model."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from qoqdata.errors import UsageError
from qoqdata.yaml_document import line_of, parse_yaml

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

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


class WrittenSettings(dict[str, Any]):
    """Settings by name, and the file that they were read from, which `checked` names."""

    def __init__(self, content: Mapping[str, Any], file: Path) -> None:
        super().__init__(content)
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return WrittenSettings, (dict(self), self.file)


def load_mapping(path: Path, *, may_be_empty: bool = False) -> WrittenSettings:
    """Settings by name of the file at `path`; raises UsageError when it is no mapping of them."""
    content = load_yaml(path)
    if content is None and may_be_empty:
        content = {}
    if not isinstance(content, dict):
        raise UsageError("is no mapping of settings", where=str(path), fix="write name: value")
    return WrittenSettings(content, path)


def checked(
    model: type[M],
    content: Any,
    *,
    where: str,
    fix: str | None = None,
    error: type[UsageError] = UsageError,
) -> M:
    """`content` as a `model`; raises `error`, which names `where` and the first field at fault.

    A name that is mistyped goes before what then is missing. Of WrittenSettings the file and the
    line stand in place of `where`.
    """
    try:
        return model.model_validate(content)
    except ValidationError as invalid:
        faults = invalid.errors(include_url=False)
        near = [(_nearest(model, fault["loc"]), fault) for fault in faults if _is_unknown(fault)]
        name, fault = next((pair for pair in near if pair[0]), (near or [(None, faults[0])])[0][:2])
        # Where a field takes several types, pydantic names the one that it tried.
        parts = [part for part in fault["loc"] if not _TRIED.match(str(part))]
        field = ".".join(map(str, parts)) or "the document"
        what = fault["msg"].removeprefix("Value error, ").partition(" for <class")[0]
        if _is_unknown(fault):
            what = "there is no such setting"
            fix = f"did you mean {name}?" if name else fix or "leave it out"
        elif fault["type"] == "missing":
            what, fix = "is missing", fix or "add it"
        elif fault["type"] == "string_type" and isinstance(fault["input"], bool | int | float):
            what = f"{what}, and {str(fault['input']).lower()} unquoted is none"
            fix = "write it in quotes, as it should read"
        raise error(what, where=f"{_place(content, parts) or where}, {field}", fix=fix) from invalid


def _is_unknown(fault: ErrorDetails) -> bool:
    return fault["type"] == "extra_forbidden"


def _place(content: Any, parts: Sequence[str | int]) -> str | None:
    """The file and the line of the value that `parts` lead to, or of the last that is there."""
    if not isinstance(content, WrittenSettings):
        return None
    line = line_of(content.file.read_text(encoding="utf-8-sig"), parts)
    return f"{content.file}, line {line}" if line else str(content.file)


def _nearest(model: type[BaseModel], loc: Sequence[str | int]) -> str | None:
    """The name of a setting of the model at `loc` that its last part may be meant as."""
    known: list[type[BaseModel]] = [model]
    for part in loc[:-1]:
        inner = [_models(kind.model_fields[part].annotation) for kind in known
                 if isinstance(part, str) and part in kind.model_fields]  # fmt: skip
        known = [one for group in inner for one in group] or known
    names = [name for kind in known for name in kind.model_fields]
    near = difflib.get_close_matches(str(loc[-1]), names, n=1)
    return near[0] if near else None


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models that a field's type names, at any depth."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [one for inner in get_args(annotation) for one in _models(inner)]
