"""The list of objects of interest in a response: finding its JSON and reading its boxes.

JSON is read as policies write it, strict or with slips that leave no doubt, in bounded time.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from qoqdata.boxes import Corners

#: A block of this many characters holds thousands of boxes.
MAX_BLOCK = 131_072
#: The contract needs three levels: list, object, box.
MAX_DEPTH = 16
#: More boxes than this are no reading of an image.
MAX_BOXES = 256

# A string, closed or not, or a bracket outside of strings; no position is read twice.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.?)*+(?:"|\Z)|[\[\]{}]', re.DOTALL)
_LEVELS = {"[": 1, "{": 1, "]": -1, "}": -1}
_WORD = re.compile(r"[A-Za-z_]+")
_CONSTANTS = {"None": "null", "True": "true", "False": "false"}
_BLANKS = " \t\r\n"
_MARK = re.compile("```")
# Behind an opening fence: blanks, a language name, blanks. It matches wherever it is tried.
_LANGUAGE = re.compile(r"[ \t]{0,16}([A-Za-z0-9_+-]{0,16})\s*+")
_BRACKET = re.compile(r"[\[\]{}]")
_LIST = re.compile(r"\[\s{0,64}\{")
_NUMBER = re.compile(r"\s*[+-]?\d{1,9}(?:\.\d{1,9})?\s*")
_WRAPPER = "objects_of_interest"
_FAR = 1e9


class Mention(NamedTuple):
    """One box that a response claims.

    label    what it shows, or None
    image    index of the image, 0 where the item does not say
    corners  x1, y1, x2, y2 as written (frame and order unchecked), None when not four numbers
    """

    label: str | None
    image: int
    corners: Corners | None


class ObjectList(NamedTuple):
    """The objects of a response, parsed once for grounding and for format.

    mentions  the boxes claimed
    fenced    the response holds a code fence; `tagged`: one that says json
    syntax    "strict", "repaired", or None when nothing was read
    is_list   the JSON is a list of items, `items` of them, `complete` of which have a label and a
              box of exactly four numbers
    reason    why nothing could be read; None also where there is nothing to read
    span      (start, end) of the JSON in the response
    """

    mentions: tuple[Mention, ...] = ()
    fenced: bool = False
    tagged: bool = False
    syntax: str | None = None
    is_list: bool = False
    items: int = 0
    complete: int = 0
    reason: str | None = None
    span: tuple[int, int] = (0, 0)


def object_list(response: str) -> ObjectList:
    """The first JSON list or object of the response, read as objects of interest.

    Code fences come first, with any or no language name, wherever they stand; strict JSON in any
    of them is preferred to repaired JSON (as in the published reward of QoQ-Med, which however
    reads fences in two ways that disagree). Where no fence holds boxes, bare JSON is looked for.
    Items are {"bbox_2d": [x1, y1, x2, y2], "label": ...}, one such object, or a list of them under
    "objects_of_interest"; a list of boxes in one "bbox_2d" is taken too, as the prompt's wording
    invites. Linear time.
    """
    marks = [mark.start() for mark in _MARK.finditer(response)]
    tagged = has_boxes = False
    bodies: list[tuple[int, int]] = []
    for index in range(0, len(marks), 2):
        end = marks[index + 1] if index + 1 < len(marks) else None
        language = _LANGUAGE.match(response, marks[index] + 3, end or len(response))
        assert language is not None  # every part of the pattern may be empty
        tagged = tagged or language[1].lower() == "json"
        if end is not None and response[language.end() : language.end() + 1] in ("[", "{"):
            bodies.append((language.end(), end))
            has_boxes = has_boxes or _names_boxes(response, *bodies[-1])
    if not has_boxes and _names_boxes(response):
        bare = (body for body in _bare_spans(response) if _names_boxes(response, *body))
        bodies = [*bare, *bodies]
    fenced = bool(marks)
    reason = None
    for syntax, load in (("strict", strict_json), ("repaired", repaired_json)):
        for start, end in bodies:
            try:
                value = load(response[start:end])
            except NotJSON as error:
                reason = reason or f"the object list {error}"
                continue
            return _read(value, fenced, tagged, syntax, (start, end))
    return ObjectList(fenced=fenced, tagged=tagged, reason=reason)


def _read(value: Any, fenced: bool, tagged: bool, syntax: str, span: tuple[int, int]) -> ObjectList:
    is_list = isinstance(value, list)
    items = value if is_list else [value]
    if not is_list and isinstance(inner := value.get(_WRAPPER), list):
        items = inner
    mentions: list[Mention] = []
    complete = sum(_take(item, mentions) for item in items)
    reason = None
    if len(mentions) > MAX_BOXES:
        reason = f"the object list has {len(mentions)} boxes, more than {MAX_BOXES}"
        mentions = []
    count = len(items) if is_list else 0
    return ObjectList(
        tuple(mentions), fenced, tagged, syntax, is_list, count, complete, reason, span
    )


def _take(item: Any, mentions: list[Mention]) -> bool:
    """Append the boxes of an item; whether it has a label and one box of exactly four numbers."""
    if not isinstance(item, dict) or "bbox_2d" not in item:
        return False
    box, label, image = item["bbox_2d"], item.get("label"), item.get("image", 0)
    label = label if isinstance(label, str) else None
    image = image if isinstance(image, int) and not isinstance(image, bool) else -1
    if isinstance(box, list) and box and isinstance(box[0], list):
        mentions += [Mention(label, image, _corners(corners)) for corners in box]
        return False
    mentions.append(Mention(label, image, corners := _corners(box)))
    if corners is None or len(box) != 4 or "label" not in item:
        return False
    return str not in map(type, box)


def _corners(box: Any) -> Corners | None:
    if not isinstance(box, list) or len(box) < 4:
        return None
    x1, y1, x2, y2 = map(_number, box[:4])
    if x1 is None or y1 is None or x2 is None or y2 is None:
        return None
    return x1, y1, x2, y2


def _number(value: Any) -> float | None:
    kind = type(value)
    if kind is int or kind is float:
        return float(value) if -_FAR < value < _FAR else None
    return float(value) if kind is str and _NUMBER.fullmatch(value) else None


def _names_boxes(response: str, start: int = 0, end: int | None = None) -> bool:
    return response.find("bbox_2d", start, end) >= 0 or response.find(_WRAPPER, start, end) >= 0


def _bare_spans(response: str) -> list[tuple[int, int]]:
    """Spans of balanced brackets that no other balanced pair encloses, in order; one pass.

    Objects of a list that never closes are not taken out of it: from its start to the end of the
    response it is one span, which then does not parse.
    """
    stack: list[tuple[str, int]] = []
    spans: list[tuple[int, int]] = []
    for mark in _BRACKET.finditer(response):
        bracket, at = mark[0], mark.start()
        if bracket in "[{":
            stack.append((bracket, at))
        elif stack and stack[-1][0] == ("[" if bracket == "]" else "{"):
            start = stack.pop()[1]
            while spans and spans[-1][0] > start:
                spans.pop()
            spans.append((start, at + 1))
        else:
            stack.clear()
    lists = (at for bracket, at in stack if bracket == "[" and _LIST.match(response, at))
    if (last := next(lists, None)) is None:
        return spans
    return [*(span for span in spans if span[1] <= last), (last, len(response))]


class NotJSON(ValueError):
    """Text that is no JSON, nor JSON but for the slips that `repaired` mends."""


def strict_json(text: str) -> Any:
    """The value of RFC 8259 JSON; raises NotJSON with the reason, also beyond the limits."""
    if len(text) > MAX_BLOCK:
        raise NotJSON(f"has {len(text)} characters, more than {MAX_BLOCK}")
    if text.count("[") + text.count("{") > MAX_DEPTH and _is_deep(text):
        raise NotJSON(f"is nested deeper than {MAX_DEPTH}")
    try:
        return json.loads(text)
    except ValueError as error:
        raise NotJSON(f"does not parse ({str(error)[:80]})") from error


def repaired_json(text: str) -> Any:
    """The value of JSON with slips that leave no doubt: see `as_strict`. Raises NotJSON."""
    if len(text) > MAX_BLOCK:
        raise NotJSON(f"has {len(text)} characters, more than {MAX_BLOCK}")
    return strict_json(as_strict(text))


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
