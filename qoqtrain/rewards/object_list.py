"""The list of objects of interest in a response: finding its JSON and reading its boxes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from qoqtrain.rewards.lenient_json import NotJSON, repaired, strict

#: More boxes than this are no reading of an image.
MAX_BOXES = 256

_MARK = re.compile("```")
# Behind an opening fence: blanks, a language name, blanks. It matches wherever it is tried.
_LANGUAGE = re.compile(r"[ \t]{0,16}([A-Za-z0-9_+-]{0,16})\s*+")
_BRACKET = re.compile(r"[\[\]{}]")
_LIST = re.compile(r"\[\s{0,64}\{")
_NUMBER = re.compile(r"\s*[+-]?\d{1,9}(?:\.\d{1,9})?\s*")
_WRAPPER = "objects_of_interest"
_FAR = 1e9

Corners = tuple[float, float, float, float]


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
    marks = [found.start() for found in _MARK.finditer(response)]
    tagged = named = False
    bodies: list[tuple[int, int]] = []
    for index in range(0, len(marks), 2):
        end = marks[index + 1] if index + 1 < len(marks) else None
        language = _LANGUAGE.match(response, marks[index] + 3, end or len(response))
        assert language is not None  # every part of the pattern may be empty
        tagged = tagged or language[1].lower() == "json"
        if end is not None and response[language.end() : language.end() + 1] in ("[", "{"):
            bodies.append((language.end(), end))
            named = named or _names_boxes(response, *bodies[-1])
    if not named and _names_boxes(response):
        bare = (body for body in _bare_spans(response) if _names_boxes(response, *body))
        bodies = [*bare, *bodies]
    fenced = bool(marks)
    reason = None
    for syntax, load in _SYNTAXES:
        for start, end in bodies:
            try:
                value = load(response[start:end])
            except NotJSON as error:
                reason = reason or f"the object list {error}"
                continue
            return _read(value, fenced, tagged, syntax, (start, end))
    return ObjectList(fenced=fenced, tagged=tagged, reason=reason)


_SYNTAXES: tuple[tuple[str, Callable[[str], Any]], ...] = (
    ("strict", strict),
    ("repaired", repaired),
)


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
    opened: list[tuple[str, int]] = []
    spans: list[tuple[int, int]] = []
    for found in _BRACKET.finditer(response):
        bracket, at = found[0], found.start()
        if bracket in "[{":
            opened.append((bracket, at))
        elif opened and opened[-1][0] == ("[" if bracket == "]" else "{"):
            start = opened.pop()[1]
            while spans and spans[-1][0] > start:
                spans.pop()
            spans.append((start, at + 1))
        else:
            opened.clear()
    lists = (at for bracket, at in opened if bracket == "[" and _LIST.match(response, at))
    if (cut := next(lists, None)) is None:
        return spans
    return [*(span for span in spans if span[1] <= cut), (cut, len(response))]
