"""Reading responses: boxes, think tags, fences, JSON and what passes for JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqtrain.rewards.final_answer import MAX_ANSWER, final_answer
from qoqtrain.rewards.object_list import (
    MAX_BOXES,
    MAX_DEPTH,
    NotJSON,
    as_strict,
    object_list,
    repaired_json,
    strict_json,
)

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-999, 999) | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("\\boxed{A}", "A"),
        ("\\boxed{ A }", "A"),
        ("\\boxed {A}", "A"),
        ("$\\boxed{\\text{Grade {2}}}$.", "\\text{Grade {2}}"),
        ("\\boxed{A} no, \\boxed{B}", "B"),
        ("\\boxed{outer \\boxed{A}}", "A"),
        ("<think>\\boxed{A}</think>\\boxed{B}", "B"),
        ("</think>\\boxed{B}", "B"),
        ("<THINK>x</THINK>\\boxed{B}", "B"),
        ("\\boxed{A} and \\boxed without braces", "A"),
        ("\\boxed{line\nbreak}", "line\nbreak"),
    ],
)
def test_the_last_box_behind_the_thinking_is_the_answer(response: str, answer: str) -> None:
    found = final_answer(response)
    assert (found.text, found.status, found.reason) == (answer, "ok", None)
    assert response[found.start :].startswith("\\boxed")


@pytest.mark.parametrize(
    ("response", "status", "reason"),
    [
        ("", "no_answer", "no \\boxed"),
        ("the answer is A", "no_answer", "no \\boxed"),
        ("\\boxed{}", "no_answer", "empty"),
        ("\\boxed{ \n }", "no_answer", "empty"),
        ("\\boxed{A", "no_answer", "not closed"),
        ("\\boxed{A} and \\boxed{B", "no_answer", "not closed"),
        ("\\boxed{{A}", "no_answer", "not closed"),
        ("<think>\\boxed{A}", "no_answer", "thinking is not closed"),
        ("<think>\\boxed{A}</think> so.", "no_answer", "behind the thinking"),
        ("<think>a</think> <think>\\boxed{A}", "no_answer", "thinking is not closed"),
        (f"\\boxed{{{'A' * (MAX_ANSWER + 1)}}}", "unparsable", "characters"),
    ],
)
def test_no_answer_has_its_reason(response: str, status: str, reason: str) -> None:
    found = final_answer(response)
    assert found.text is None and found.status == status
    assert found.reason and reason in found.reason


@pytest.mark.parametrize(
    ("response", "fault"),
    [
        ("<think>reasons</think>\\boxed{A}", None),
        ("reasons</think>\\boxed{A}", None),  # the prompt may end with the opening tag
        ("\\boxed{A}", "no <think></think>"),
        ("<think>reasons", "the thinking is not closed"),
        ("<think> \n</think>", "the thinking is empty"),
        ("</think>", "the thinking is empty"),
        ("</think><think>x", "more than one pair of think tags"),
        ("<think>a</think><think>b</think>", "more than one pair of think tags"),
        ("<think><think>a</think>", "more than one pair of think tags"),
    ],
)
def test_layout_of_the_thinking(response: str, fault: str | None) -> None:
    assert final_answer(response).think_fault == fault


@given(VALUES)
def test_strict_json_is_what_the_standard_library_reads(value: Any) -> None:
    assert strict_json(json.dumps(value)) == value
    assert repaired_json(json.dumps(value)) == value


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.none() | st.booleans() | st.integers())))
def test_python_literals_are_repaired(value: list[Any]) -> None:
    assert repaired_json(repr(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[1, 2,]", [1, 2]),
        ('{"a": (1, 2), }', {"a": [1, 2]}),
        ("['it's', 'x']", ["it's", "x"]),
        ("['say \"no\"']", ['say "no"']),
        ("['a\\'b']", ["a'b"]),
        ("[None, True, False, null, true, false]", [None, True, False, None, True, False]),
        ('["None, True,]"]', ["None, True,]"]),
    ],
)
def test_slips_that_leave_no_doubt_are_mended(text: str, value: Any) -> None:
    with pytest.raises(NotJSON):
        strict_json(text) if text != '["None, True,]"]' else strict_json("[")
    assert repaired_json(text) == value


@pytest.mark.parametrize(
    "text",
    ["[1, 2", '[{"a": 1]', "['a", "[1 2]", "[1,,]", "{a: 1}", "[1]]", "[NULL]", "", "[\x00]"],
)
def test_nothing_is_completed(text: str) -> None:
    for load in (strict_json, repaired_json):
        with pytest.raises(NotJSON):
            load(text)


@pytest.mark.parametrize("quote", ["", '"]]]]]]]]]]]]]]]]]]]]]]]]]]]]", '])
def test_nesting_is_bounded_whatever_strings_hold(quote: str) -> None:
    """Brackets inside of strings neither hide depth nor count as depth."""
    deep = "[" + quote + "[" * MAX_DEPTH + "]" * MAX_DEPTH + "]"
    with pytest.raises(NotJSON, match="nested deeper"):
        strict_json(deep)
    assert strict_json("[" + quote + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1) + "]")
    assert strict_json('["[[[[[[[[[[[[[[[[[[[[[[[["]') == ["[" * 24]


BOX = '{"bbox_2d": [1, 2, 3, 4], "label": "x"}'


@pytest.mark.parametrize(
    ("response", "count", "syntax"),
    [
        (f"```json\n[{BOX}]\n```", 1, "strict"),
        (f"```\n[{BOX}, {BOX}]\n```", 2, "strict"),
        (f"```python\n[{BOX}]\n```", 1, "strict"),
        (f"```json {BOX}```", 1, "strict"),
        (f'```json\n{{"objects_of_interest": [{BOX}, {BOX}]}}\n```', 2, "strict"),
        (f"```text\nno list\n```\n```json\n[{BOX}]\n```", 1, "strict"),
        (f"```json\n[{BOX},]\n```\n```json\n[{BOX}, {BOX}]\n```", 2, "strict"),
        (f"```json\n[{BOX}]\n```\n```json\n[{BOX}, {BOX}]\n```", 1, "strict"),
        (f"[{BOX}]", 1, "strict"),
        (f"as [1] says, {{see}}: [{BOX}] \\boxed{{A}}", 1, "strict"),
        (f"it's ]}} odd [{BOX}]", 1, "strict"),
        (f"```json\n[{BOX}]\n\\boxed{{A}}", 1, "strict"),  # fence never closed, list is
        ('[{"bbox_2d": [[1, 2, 3, 4], [5, 6, 7, 8]], "label": "x"}]', 2, "strict"),
        (f"[{BOX},]", 1, "repaired"),
        ("```json\n[]\n```", 0, "strict"),
        ("```json\n[1, 2, 3]\n```", 0, "strict"),
        ("no list at all", 0, None),
        ("[10, 20, 30, 40]", 0, None),
    ],
)
def test_lists_are_found(response: str, count: int, syntax: str | None) -> None:
    found = object_list(response)
    assert (len(found.mentions), found.syntax, found.reason) == (count, syntax, None)
    for mention in found.mentions[:1]:
        assert (mention.label, mention.image, mention.corners) == ("x", 0, (1.0, 2.0, 3.0, 4.0))
    if syntax:
        assert response[slice(*found.span)][0] in "[{"


@pytest.mark.parametrize(
    "response",
    [
        f"```json\n[{BOX}\n```",
        f"```json\n[{BOX}, {{'bbox_2d': [1, 2",
        f"[{BOX}, {{",
        f"```json\n[{BOX}, oops]\n```",
        "```json\n" + "[" * 100 + '"bbox_2d"' + "]" * 100 + "\n```",
        "[" + ", ".join([BOX] * (MAX_BOXES + 1)) + "]",
        "```json\n[" + " " * 200_000 + "]\n```",
    ],
)
def test_what_cannot_be_read_says_why(response: str) -> None:
    found = object_list(response)
    assert found.mentions == () and found.reason and found.reason.startswith("the object list")


@pytest.mark.parametrize(
    ("box", "corners", "complete"),
    [
        ([1, 2, 3, 4], (1, 2, 3, 4), True),
        ([1.5, -2, 3, 4], (1.5, -2, 3, 4), True),
        ([1, 2, 3, 4, 5], (1, 2, 3, 4), False),
        (["1", " 2.5", "3", "-4"], (1, 2.5, 3, -4), False),
        ([1, 2, 3], None, False),
        ([1, 2, 3, None], None, False),
        ([1, 2, 3, True], None, False),
        ([1, 2, 3, float("nan")], None, False),
        ([1, 2, 3, float("inf")], None, False),
        ([1, 2, 3, 10**300], None, False),
        (["0x1", 2, 3, 4], None, False),
        ("1, 2, 3, 4", None, False),
        ({}, None, False),
        (None, None, False),
        ([], None, False),
    ],
)
def test_corners_are_four_finite_numbers(box: Any, corners: Any, complete: bool) -> None:
    items = [{"bbox_2d": box, "label": "x"}, {"bbox_2d": box}, {"label": "x"}, "x"]
    found = object_list(f"```json\n{json.dumps(items)}\n```")
    assert [mention.corners for mention in found.mentions] == [corners] * 2
    assert (found.items, found.complete) == (4, int(complete))


def test_items_may_name_their_image() -> None:
    items = [{"bbox_2d": [1, 2, 3, 4], "image": image} for image in (0, 2, -1, "a", True)]
    found = object_list(json.dumps(items))
    assert [mention.image for mention in found.mentions] == [0, 2, -1, -1, -1]
    assert [mention.label for mention in found.mentions] == [None] * 5


@given(st.lists(st.tuples(TEXTS, st.lists(st.integers(-99, 999), min_size=4, max_size=4))), TEXTS)
def test_any_well_formed_list_is_read_back(boxes: list[Any], before: str) -> None:
    items = [{"bbox_2d": box, "label": label} for label, box in boxes]
    before = before.replace("`", "")
    found = object_list(f"{before}\n```json\n{json.dumps(items)}\n```\n\\boxed{{A}}")
    if "`" in "".join(label for label, _ in boxes):
        return
    assert [(m.label, list(m.corners or ())) for m in found.mentions] == boxes


@given(st.text(alphabet="[]{}()'\",:\\ aN1-\n`", max_size=60))
def test_reading_never_raises_and_repair_is_stable(text: str) -> None:
    object_list(text + "bbox_2d")
    final_answer(text)
    try:
        value = repaired_json(text)
    except NotJSON:
        return
    assert repr(strict_json(as_strict(text))) == repr(value)
