"""Whether values are what the annotations of a dataclass say, and facts are plain JSON values.

A fault is a path and what is wrong there, in types: a value may be a patient's, and is never told.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import cache
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

Fault = tuple[str, str]
_Check = Callable[[Any], Fault | None]

#: Names that annotations may hold without an import at run time.
_NAMES: dict[str, Any] = {"Window": object}


def field_fault(value: Any) -> Fault | None:
    """The first field of a dataclass that is not what its annotation says; None when all are."""
    kind: Any = type(value)
    return _check(kind)(value)


def type_name(value: Any) -> str:
    """What a value is, in words: `an int`, `a numpy.int64`, `None`."""
    if value is None:
        return "None"
    kind = type(value)
    package = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    name = f"{package}{kind.__qualname__}"
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def is_text(value: Any) -> bool:
    """Whether it is a text that UTF-8 can hold: no lone surrogate."""
    if not isinstance(value, str):
        return False
    return value.isascii() or _is_utf8(value)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def plain_json(value: Any, path: str) -> Any:
    """`value` as plain JSON values, numpy's scalars as Python's; the same object where it is plain.

    Raises TypeError with the path of what is none: other types, keys that are no texts, numbers
    that are not finite, lone surrogates.
    """
    if _is_plain(value):
        return value
    match value:
        case float():
            raise TypeError(f"{path} is not finite")
        case str():
            raise TypeError(f"{path} is {_text_fault(value)}")
        case np.generic():
            if isinstance(item := value.item(), bool | int | float | str):
                return plain_json(item, path)
        case dict():
            if strays := [key for key in value if not is_text(key)]:
                raise TypeError(f"{path} has a key that is {_text_fault(strays[0])}")
            return {key: plain_json(member, f"{path}.{key}") for key, member in value.items()}
        case list() | tuple():
            return [plain_json(member, f"{path}[{n}]") for n, member in enumerate(value)]
    raise TypeError(f"{path} is {type_name(value)}, which is no plain JSON value")


def _is_plain(value: Any) -> bool:
    """Asked of every value of every unit: texts and None come first."""
    if value is None:
        return True
    if isinstance(value, str):
        return value.isascii() or _is_utf8(value)
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(map(is_text, value)) and all(map(_is_plain, value.values()))
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int)


def _text_fault(value: Any) -> str:
    if isinstance(value, str):
        return "a text with a lone surrogate, which UTF-8 cannot hold"
    return f"{type_name(value)}, not a text"


@cache
def _check(kind: Any) -> _Check:
    """What to ask of a value annotated with `kind`."""
    if kind is str:
        return lambda value: None if is_text(value) else ("", f"is {_text_fault(value)}")
    if kind is int:
        return _instance(Integral, "a whole number")
    if kind is float:
        return _instance(Real, "a number")
    if isinstance(kind, type) and is_dataclass(kind):
        return _dataclass_check(kind)
    match get_origin(kind):
        case x if x is tuple:
            return _tuple_check(_check(get_args(kind)[0]))
        case x if x is Literal:
            return _choice_check(get_args(kind))
        case x if x in (Union, UnionType):
            return _union_check(get_args(kind))
        case x if x is not None and isinstance(x, type):
            return _instance(x, f"a {x.__name__}")
    return _instance(kind, f"a {kind.__name__}") if isinstance(kind, type) else lambda value: None


def _instance(kind: type, name: str) -> _Check:
    def check(value: Any) -> Fault | None:
        # A truth value is an int to Python, and no number to anybody else.
        if isinstance(value, kind) and not (kind in (Integral, Real) and isinstance(value, bool)):
            return None
        return "", f"is {type_name(value)}, not {name}"

    return check


def _choice_check(choices: tuple[Any, ...]) -> _Check:
    names = ", ".join(map(str, choices))

    def check(value: Any) -> Fault | None:
        if isinstance(value, str) and value in choices:
            return None
        shown = "another text" if isinstance(value, str) else type_name(value)
        return "", f"is {shown}, none of {names}"

    return check


def _union_check(kinds: tuple[Any, ...]) -> _Check:
    """Of `X | None`, which is all that the annotations have."""
    (other,) = (kind for kind in kinds if kind is not NoneType)
    check = _check(other)
    return lambda value: None if value is None else check(value)


def _tuple_check(check: _Check) -> _Check:
    def check_all(value: Any) -> Fault | None:
        if not isinstance(value, tuple):
            return "", f"is {type_name(value)}, not a tuple"
        for n, member in enumerate(value):
            if (fault := check(member)) is not None:
                return f"[{n}]{fault[0]}", fault[1]
        return None

    return check_all


def _dataclass_check(kind: type) -> _Check:
    hints = get_type_hints(kind, localns=_NAMES)
    checks = tuple(
        (field.name, _always_sound(hints[field.name]), _check(hints[field.name]))
        for field in fields(kind)
    )

    def check(value: Any) -> Fault | None:
        if not isinstance(value, kind):
            return "", f"is {type_name(value)}, not {_article(kind.__name__)}"
        for name, sound, check_field in checks:
            member = getattr(value, name)
            if type(member) not in sound and (fault := check_field(member)) is not None:
                return f".{name}{fault[0]}", fault[1]
        return None

    return check


#: Types of which any value is what a plain annotation says.
_SOUND: dict[Any, frozenset[type]] = {
    int: frozenset({int}),
    float: frozenset({float, int}),
    NoneType: frozenset({NoneType}),
}


def _always_sound(kind: Any) -> frozenset[type]:
    """Types of which any value is what the annotation says: most fields hold None or a number."""
    if get_origin(kind) in (Union, UnionType):
        return frozenset().union(*map(_always_sound, get_args(kind)))
    return _SOUND.get(kind, frozenset())


def _article(name: str) -> str:
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"
