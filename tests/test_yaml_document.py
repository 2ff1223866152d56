"""YAML as files, `--set` and `--option` are read: values written out by hand, and round trips."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.errors import UsageError
from qoqdata.yaml_document import dump_yaml, parse_scalar, parse_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1e-1\nb: {c: 1e5, d: [2e0, .5, 5., -0.25E+3]}",
         {"a": 0.1, "b": {"c": 1e5, "d": [2.0, 0.5, 5.0, -250.0]}}),
        ("a: 5\nb: -5\nc: +5\nd: 0", {"a": 5, "b": -5, "c": 5, "d": 0}),
        ("[True, FALSE, false, ~, null, Null]", [True, False, False, None, None, None]),
        ("a:\nb: 1", {"a": None, "b": 1}),
        ("a: .inf\nb: -.INF", {"a": math.inf, "b": -math.inf}),
        # What YAML 1.1 makes something else of.
        ("no: No finding\nyes: Opacity", {"no": "No finding", "yes": "Opacity"}),
        ("[no, yes, on, off, y, n]", ["no", "yes", "on", "off", "y", "n"]),
        ("[010, 007, -01, 00.5, 0x1F, 0o17, 1_000]",
         ["010", "007", "-01", "00.5", "0x1F", "0o17", "1_000"]),
        ("[12:30, 1:20:30.5, 2020-01-01, 2020-01-01 10:00:00, =]",
         ["12:30", "1:20:30.5", "2020-01-01", "2020-01-01 10:00:00", "="]),
        ("[nan, inf, 1e, e5, -, .]", ["nan", "inf", "1e", "e5", "-", "."]),
        # Keys are text, spelled as they are written.
        ("001: a\n1: b\n1.10: c\n1e5: d\ntrue: e\nnull: f",
         {"001": "a", "1": "b", "1.10": "c", "1e5": "d", "true": "e", "null": "f"}),
        ('"": a', {"": "a"}),
        ("a: &x {b: 1}\nc: *x", {"a": {"b": 1}, "c": {"b": 1}}),
        ("a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}", {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}}),
        ("<<: [{a: 1}, {a: 2, b: 3}]\nc: 4", {"a": 1, "b": 3, "c": 4}),
        ("a: !!str 5\nb: !!int '7'\nc: !!float 5", {"a": "5", "b": 7, "c": 5.0}),
        ("", None), ("# nothing", None), ("--- 5", 5), ("a: 1%", {"a": "1%"}),
    ],
)  # fmt: skip
def test_what_is_read(text: str, value: Any) -> None:
    found = parse_yaml(text, where="x")
    # repr tells 1, 1.0 and True apart.
    assert repr(found) == repr(value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3", "x.yaml, line 3: the key 'a' is written twice, in lines 1 and 3"),
        ("l:\n  clear: A\n  'clear': B", "line 3: the key 'clear' is written twice, in lines 2"),
        ("l: {1: A, \"1\": B}", "the key '1' is written twice"),
        ("- {no: A, no: B}", "the key 'no' is written twice"),
        ("<<: {a: 1}\n<<: {b: 1}", "the key '<<' is written twice"),
        ("a: b: c", "line 1: is not YAML"),
        ("a:\n\t- b", "line 2: is not YAML: a tab"),
        ("\ta: 1", "line 1: is not YAML: a tab"),
        ("a:\n  - \x07", "line 2: is not YAML: it holds the control character U\\+0007"),
        ("a: 1\n---\nb: 2", "line 2: is not YAML: expected a single document"),
        ("a: [1", "is not YAML"),
        ("? [a]\n: b", "a key is no text"),
        ("?\n: b", "a key is missing"),
        ("a: &a [*a]", "holds itself"),
        ("a: &a {b: &b [*a]}", "holds itself"),
        ("a: *none", "undefined alias"),
        ("<<: 5", "takes a mapping"),
        ("a: !!python/object/apply:os.system ['true']", "the tag !!python.* is not read"),
        ("a: !!timestamp 2020-01-01", "the tag !!timestamp is not read"),
        ("a: !!merge {b: 1}", "the tag !!merge is not read"),
        ("a: !!set {b}", "the tag !!set is not read"),
        ("a: !!int 010", "'010' is no int"),
        ("a: !!bool no", "'no' is no bool"),
        ("a: 1\nb: 1e999", "line 2: the number '1e999' is too large"),
        ("a: " + "9" * 5000, "is too large"),
        ("a: " + "[" * 3000, "nested more than 100 deep"),
        ("a: " + "{a: " * 3000, "nested more than 100 deep"),
    ],
)  # fmt: skip
def test_what_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_yaml(text, where="x.yaml")


@pytest.mark.parametrize("merge", ["[{}]", "{{<<: [{}]}}"])
def test_aliases_do_not_grow_without_measure(merge: str) -> None:
    lines = ["v0: &v0 [x, x]" if "<<" not in merge else "v0: &v0 {x: 1}"]
    for number in range(1, 30):
        tens = ", ".join([f"*v{number - 1}"] * 10)
        lines.append(f"v{number}: &v{number} {merge.format(tens)}")
    with pytest.raises(UsageError, match="more than 1,000,000 values"):
        parse_yaml("\n".join(lines), where="x")


TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12),
    st.sampled_from(["no", "1e5", "007", "1", "~", "", "true", "<<", "12:30", "-", "a: b", "# c"]),
)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | FINITE | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_what_is_written_reads_back(value: Any) -> None:
    assert repr(parse_yaml(dump_yaml(value), where="x")) == repr(value)


@given(st.dictionaries(TEXTS, st.integers() | TEXTS, max_size=4))
def test_readers_of_version_1_1_find_the_same(value: dict[str, Any]) -> None:
    assert yaml.safe_load(dump_yaml(value)) == value


@given(VALUES)
def test_json_is_yaml(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False)
    assert repr(parse_yaml(text, where="x")) == repr(value)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_yaml(text, where="x")
    except UsageError as error:
        assert str(error.where).startswith("x")


@pytest.mark.parametrize(
    ("text", "value"), [("1e-1", 0.1), ("007", "007"), ("yes", "yes"), ("true", True), ("", None),
                        ("a: b", "a: b"), ("<<", "<<"), ("[1", "[1"), ("-3", -3)],
)  # fmt: skip
def test_a_scalar_alone(text: str, value: Any) -> None:
    assert repr(parse_scalar(text)) == repr(value)
