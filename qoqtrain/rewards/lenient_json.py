"""Reading JSON as policies write it, in bounded time."""

from __future__ import annotations

import json
import re
from typing import Any

#: A block of this many characters holds thousands of boxes.
MAX_BLOCK = 131_072
#: The contract needs three levels: list, object, box.
MAX_DEPTH = 16

# A string, closed or not, or a bracket outside of strings; no position is read twice.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.?)*+(?:"|\Z)|[\[\]{}]', re.DOTALL)
_LEVELS = {"[": 1, "{": 1, "]": -1, "}": -1}
_WORD = re.compile(r"[A-Za-z_]+")
_CONSTANTS = {"None": "null", "True": "true", "False": "false"}
_BLANKS = " \t\r\n"


class NotJSON(ValueError):
    """Text that is no JSON, nor JSON but for the slips that `repaired` mends."""


def strict(text: str) -> Any:
    """The value of RFC 8259 JSON; raises NotJSON with the reason, also beyond the limits."""
    if len(text) > MAX_BLOCK:
        raise NotJSON(f"has {len(text)} characters, more than {MAX_BLOCK}")
    if text.count("[") + text.count("{") > MAX_DEPTH and _is_deep(text):
        raise NotJSON(f"is nested deeper than {MAX_DEPTH}")
    try:
        return json.loads(text)
    except ValueError as error:
        raise NotJSON(f"does not parse ({str(error)[:80]})") from error


def repaired(text: str) -> Any:
    """The value of JSON with slips that leave no doubt: see `as_strict`. Raises NotJSON."""
    if len(text) > MAX_BLOCK:
        raise NotJSON(f"has {len(text)} characters, more than {MAX_BLOCK}")
    return strict(as_strict(text))


def as_strict(text: str) -> str:
    """The text with Python's quotes, constants and tuples and trailing commas made JSON.

    A quote in single quotes ends the string only before a comma, colon, closing bracket or the
    end, so the apostrophe of 'patient's lung' belongs to the label. Nothing is completed: what is
    cut off or unbalanced stays so. One pass, linear time.
    """
    out: list[str] = []
    at = 0
    while at < len(text):
        mark = text[at]
        if mark in "\"'":
            string, at = _string(text, at)
            out.append(string)
        elif mark == ",":
            behind = _next(text, at + 1)
            if behind >= len(text) or text[behind] not in "]})":
                out.append(",")
            at = behind
        elif mark in "()":
            out.append("[" if mark == "(" else "]")
            at += 1
        elif word := _WORD.match(text, at):
            out.append(_CONSTANTS.get(word[0], word[0]))
            at = word.end()
        else:
            out.append(mark)
            at += 1
    return "".join(out)


def _is_deep(text: str) -> bool:
    depth = 0
    for token in _TOKEN.finditer(text):
        depth += _LEVELS.get(token[0], 0)
        if depth > MAX_DEPTH:
            return True
    return False


def _string(text: str, start: int) -> tuple[str, int]:
    """(the string literal at `start` in double quotes, the index behind it)."""
    quote = text[start]
    content: list[str] = []
    at = start + 1
    while at < len(text):
        mark = text[at]
        if mark == "\\" and at + 1 < len(text):
            content.append("'" if text[at + 1] == "'" else text[at : at + 2])
            at += 2
            continue
        if mark == quote:
            behind = _next(text, at + 1)
            if quote == '"' or behind >= len(text) or text[behind] in ",:]})":
                return f'"{"".join(content)}"', at + 1
        content.append('\\"' if mark == '"' else mark)
        at += 1
    return text[start:], len(text)


def _next(text: str, at: int) -> int:
    """Index of the first character at or behind `at` that is no blank."""
    while at < len(text) and text[at] in _BLANKS:
        at += 1
    return at
