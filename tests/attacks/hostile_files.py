"""Strategies for files as a hostile party would write them: JSON, Parquet tables, bytes."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

#: What a name, number or text of a file should never be able to do harm with.
_TEXTS = (
    *("", ".", "..", "../../outside", "/etc/passwd", "a/../../b", "C:\\x", "file:///etc/passwd"),
    *("\x00", "a\nb", "\x1b[2J", "=cmd()", "{0}", "%s", "\ud800", "é" * 300, "x" * 100_000),
)
_NUMBERS = (0, -1, 1, 2**31, 2**63, 2**64, 10**400, -(10**400), 1e308, 0.5, float("nan"))
_DEEP = json.loads("[" * 400 + "]" * 400)

values = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(_NUMBERS),
    st.sampled_from(_TEXTS),
    st.text(max_size=20),
    st.just(_DEEP),
    st.lists(st.sampled_from(_TEXTS + _NUMBERS), max_size=3),
    st.dictionaries(st.sampled_from(_TEXTS), st.sampled_from(_NUMBERS), max_size=3),
)


def _places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value of a JSON document, but to itself."""
    children: Sequence[tuple[Any, Any]] = ()
    if isinstance(node, dict):
        children = list(node.items())
    elif isinstance(node, list):
        children = list(enumerate(node))
    return [way for key, child in children for way in ((*path, key), *_places(child, (*path, key)))]


@st.composite
def documents(draw: st.DrawFn, sound: Any) -> bytes:
    """A JSON document that was sound, with one to three values replaced, removed, added or twice;
    or its bytes cut or changed; or something else altogether."""
    how = draw(st.sampled_from(("values", "values", "values", "bytes", "other")))
    if how == "other":
        return draw(st.one_of(
            st.binary(max_size=60),
            values.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")),
            st.sampled_from((b"[" * 200_000, b'{"a":' * 100_000, b"\xff\xfe{}", b"1" * 10_000)),
        ))  # fmt: skip
    if how == "bytes":
        return draw(altered(json.dumps(sound).encode()))
    content = json.loads(json.dumps(sound))
    for _ in range(draw(st.integers(1, 3))):
        ways = _places(content)
        if not ways:
            break
        *path, last = draw(st.sampled_from(ways))
        node = content
        for key in path:
            node = node[key]
        match draw(st.sampled_from(("replace", "replace", "remove", "rename", "repeat"))):
            case "replace":
                # A copy: what is drawn may be changed next.
                node[last] = json.loads(json.dumps(draw(values)))
            case "remove":
                del node[last]
            case "rename" if isinstance(node, dict):
                node[draw(st.sampled_from(_TEXTS))] = node.pop(last)
            case "repeat" if isinstance(node, list):
                node.append(node[last])
    return json.dumps(content).encode("utf-8", "surrogatepass")


@st.composite
def altered(draw: st.DrawFn, sound: bytes) -> bytes:
    """Bytes of a sound file, cut, with some changed, or with some put in."""
    content = bytearray(sound)
    place = draw(st.integers(0, len(content)))
    match draw(st.sampled_from(("cut", "change", "insert"))):
        case "cut":
            del content[place:]
        case "change":
            more = draw(st.binary(min_size=1, max_size=8))
            content[place : place + len(more)] = more
        case "insert":
            content[place:place] = draw(st.binary(min_size=1, max_size=40))
    return bytes(content)


_COLUMNS: tuple[st.SearchStrategy[Any], ...] = (
    st.text(max_size=8),
    st.sampled_from([text for text in _TEXTS if text.isprintable() and len(text) < 1000]),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.booleans(),
    st.binary(max_size=8),
    st.lists(st.floats(), max_size=3),
    st.dictionaries(st.sampled_from(("a", "b")), st.integers(0, 3), min_size=1, max_size=1),
    st.none(),
)


@st.composite
def tables(draw: st.DrawFn, sound: bytes) -> bytes:
    """A Parquet file that was sound, with columns of other types, without some, with strangers,
    with rows twice or none; or its bytes altered."""
    if draw(st.booleans()):
        return draw(altered(sound))
    table = pq.read_table(io.BytesIO(sound))
    rows = draw(st.sampled_from((0, 1, 2, table.num_rows)))
    table = pa.concat_tables([table] * 2).slice(draw(st.integers(0, table.num_rows)), rows)
    names = [*table.column_names, "stranger", ""]
    for name in draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True)):
        table = table.drop_columns([name]) if name in table.column_names else table
        if draw(st.booleans()):
            kind = draw(st.sampled_from(_COLUMNS))
            cells = draw(st.lists(kind, min_size=table.num_rows, max_size=table.num_rows))
            table = table.append_column(name, pa.array(cells))
    file = io.BytesIO()
    pq.write_table(table, file, compression=draw(st.sampled_from(("zstd", "snappy", "none"))))
    return file.getvalue()


def lines(sound: Sequence[Mapping[str, Any]]) -> st.SearchStrategy[bytes]:
    """JSON lines of which some are hostile."""
    line = st.sampled_from(sound).flatmap(documents) | st.just(json.dumps(sound[0]).encode())
    return st.lists(line, max_size=4).map(b"\n".join)
