"""YAML as this project reads it: one reading for every file, `--set` and `--option`.

PyYAML reads YAML 1.1, in which a repeated key silently counts by its last value, a finding `no` is
False, `010` is 8, `12:30` is 750, and `1e-1` is a text. Labels and codes are what our files hold,
so each of these is a wrong label. Here, after the core schema of YAML 1.2 (yaml.org/spec/1.2.2):

- Keys are text, spelled as they are written: `001`, `1.10`, `no`. A repeated key is an error.
- Of values, true and false are booleans; null, ~ and nothing are None; both in three spellings.
- Numbers are decimal: 5, -0.5, 1e-1, .inf. What begins with a further zero, as codes do, is text,
  and so are 0x1F, 0o17, 1_000, 12:30 and dates.
- Everything else is text. `yes`, `no`, `on` and `off` are not refused: as labels they mean what
  they say, and a setting that is declared a boolean takes these words too.
- Tags other than those of JSON's types and second documents are errors. An alias stands for a
  value, and a merge key (`<<: *name`, of YAML 1.1) for keys that the mapping does not have itself,
  unless the document grows by them without measure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from qoqdata.errors import UsageError

#: Values within values.
DEEPEST = 100
#: Values of a document once its aliases stand for what they name.
LARGEST = 1_000_000

_TAG = "tag:yaml.org,2002:"
_DECIMAL = r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)"
_NO_NUMBER = r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
#: By kind of plain scalar: its spellings, and what they begin with.
_PATTERNS = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?(?:0|[1-9][0-9]*)", list("-+0123456789")),
    "float": (f"{_DECIMAL}(?:[eE][-+]?[0-9]+)?|{_NO_NUMBER}", list("-+.0123456789")),
    "merge": ("<<", ["<"]),
}


class _Loader(yaml.SafeLoader):
    """PyYAML's grammar with the scalars above."""

    depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        self.depth += 1
        if self.depth > DEEPEST:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            what = f"values are nested more than {DEEPEST} deep"
            raise yaml.composer.ComposerError(None, None, what, mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Dumper(yaml.SafeDumper):
    """Quotes what either version of YAML would not read as text."""


# None of those that PyYAML's own have.
_Loader.yaml_implicit_resolvers = {}
for _name, (_pattern, _first) in _PATTERNS.items():
    _regex = re.compile(f"^(?:{_pattern})$")
    _Loader.add_implicit_resolver(_TAG + _name, _regex, _first)
    _Dumper.add_implicit_resolver(_TAG + _name, _regex, _first)


def parse_yaml(text: str, *, where: str) -> Any:
    """The one document in `text` as dict, list, str, int, float, bool and None; None for none.

    Raises UsageError, which names `where` and the line.
    """
    try:
        root = _compose(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _fault(_problem(error, text), where, mark) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        what = f"is not YAML: it holds the control character U+{int(error.character):04X}"
        raise UsageError(what, where=f"{where}, line {line}") from error
    if root is None:
        return None
    _refuse_growth(root, where)
    return _value(root, where)


def line_of(text: str, path: Sequence[str | int]) -> int | None:
    """The line of the value in `text` that keys and numbers lead to: of its key, where it has one.

    Parts that are not there are left out; None where none of them is.
    """
    node, line = _compose(text), None
    for part in path:
        if isinstance(node, MappingNode):
            pairs = {key.value: (key, value) for key, value in node.value}
            if str(part) in pairs:
                key, node = pairs[str(part)]
                line = key.start_mark.line + 1
        elif isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line


def dump_yaml(content: Any, *, width: int = 100, short: bool = False) -> str:
    """Plain values as YAML that `parse_yaml` reads back, and a reader of YAML 1.1 likewise; `short`
    writes lists and mappings that hold only scalars on one line."""
    return yaml.dump(
        content,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=width,
        default_flow_style=None if short else False,
    )


def parse_scalar(text: str) -> str | int | float | bool | None:
    """The value of `text` as a plain scalar; ValueError for a number that is too large."""
    tag = _Loader("").resolve(ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    return _scalar(tag, text)


def _compose(text: str) -> Node | None:
    loader = _Loader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


def _problem(error: yaml.MarkedYAMLError, text: str) -> str:
    mark = error.problem_mark
    if mark is not None and text[mark.index : mark.index + 1] == "\t":
        return "is not YAML: a tab stands where only spaces may"
    parts = (error.context, error.problem)
    return f"is not YAML: {', '.join(part for part in parts if part)}"


def _fault(what: str, where: str, mark: yaml.Mark | None, fix: str | None = None) -> UsageError:
    place = where if mark is None else f"{where}, line {mark.line + 1}"
    return UsageError(what, where=place, fix=fix)


def _refuse_growth(root: Node, where: str) -> None:
    """Raise where a node holds itself, or the document grows beyond `LARGEST` by its aliases."""
    sizes: dict[int, int] = {}
    open_: set[int] = set()

    def size(node: Node) -> int:
        if isinstance(node, ScalarNode):
            return 1
        if id(node) in open_:
            raise _fault("a value holds itself by an alias", where, node.start_mark)
        if id(node) not in sizes:
            open_.add(id(node))
            children = node.value
            if isinstance(node, MappingNode):
                children = [part for pair in node.value for part in pair]
            sizes[id(node)] = 1 + sum(map(size, children))
            open_.remove(id(node))
        return sizes[id(node)]

    if size(root) > LARGEST:
        what = f"holds more than {LARGEST:,} values once its aliases are filled in"
        raise UsageError(what, where=where, fix="write fewer aliases")


def _value(node: Node, where: str) -> Any:
    kind = node.tag.removeprefix(_TAG)
    if isinstance(node, MappingNode) and kind == "map":
        return _mapping(node, where)
    if isinstance(node, SequenceNode) and kind == "seq":
        return [_value(part, where) for part in node.value]
    if isinstance(node, ScalarNode) and kind in ("str", "null", "bool", "int", "float"):
        # A tag that is written out must fit what it stands before.
        if kind != "str" and not re.fullmatch(_PATTERNS[kind][0], node.value):
            raise _fault(f"{node.value!r} is no {kind}", where, node.start_mark)
        try:
            return _scalar(node.tag, node.value)
        except ValueError as error:
            what = f"the number {_short(node.value)} is too large"
            raise _fault(what, where, node.start_mark) from error
    if isinstance(node, ScalarNode) and kind == "merge":
        return node.value
    tag = node.tag.replace(_TAG, "!!")
    raise _fault(f"is not YAML: the tag {tag} is not read here", where, node.start_mark)


def _mapping(node: MappingNode, where: str) -> dict[str, Any]:
    """A mapping with its own keys after those that it takes in."""
    found: dict[str, Any] = {}
    merged: dict[str, Any] = {}
    lines: dict[str, int] = {}
    for key, value in node.value:
        name, line = _key(key, where), key.start_mark.line + 1
        if name in lines:
            what = f"the key {_short(name)} is written twice, in lines {lines[name]} and {line}"
            raise _fault(what, where, key.start_mark, "keep one of them")
        lines[name] = line
        if key.tag == f"{_TAG}merge":
            merged = _merged(value, where)
        else:
            found[name] = _value(value, where)
    return merged | found


def _merged(node: Node, where: str) -> dict[str, Any]:
    """The keys of the mapping that a merge key names, or of several; the first has the word."""
    value = _value(node, where)
    parts = value if isinstance(value, list) else [value]
    if not all(isinstance(part, dict) for part in parts):
        what = "a merge key (<<) takes a mapping, or a list of them"
        raise _fault(what, where, node.start_mark)
    merged: dict[str, Any] = {}
    for part in parts:
        merged |= {name: one for name, one in part.items() if name not in merged}
    return merged


def _key(node: Node, where: str) -> str:
    if not isinstance(node, ScalarNode):
        raise _fault("a key is no text", where, node.start_mark, "quote it, if it is meant as one")
    if not node.value and node.style is None:
        fix = 'write the key before the colon, or "" for an empty one'
        raise _fault("a key is missing", where, node.start_mark, fix)
    return str(node.value)


def _scalar(tag: str, text: str) -> str | int | float | bool | None:
    match tag.removeprefix(_TAG):
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            return int(text)
        case "float":
            word = text.lower().replace(".inf", "inf").replace(".nan", "nan")
            number = float(word)
            if number in (float("inf"), float("-inf")) and "inf" not in word:
                raise ValueError(text)
            return number
    return text


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
