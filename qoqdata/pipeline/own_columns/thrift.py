"""Thrift's compact protocol, as far as the footer and the page headers of Parquet go.

A struct is a dictionary by number of the field: its kind and its value. Fields that nobody asks
for stay as bytes, so that they are written again as they were; a footer has a hundred thousand.
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TRUE, FALSE, I32, I64, BINARY, LIST, STRUCT = 1, 2, 5, 6, 8, 9, 12
#: Kind and value; of a list the kind of its items and the items.
Field = tuple[int, Any]
Struct = dict[int, Field]
#: Fields that are asked for, by number, and of structs, and lists of such, which of theirs.
Asked = Mapping[int, Any]


class Kept(bytes):
    """A value as it stands in the file."""


def read_struct(data: bytes, at: int, asked: Asked) -> tuple[Struct, int]:
    """The struct at a place of `data`, and where it ends.

    Raises ValueError for kinds that Parquet has not, and IndexError where the data end first.
    """
    fields: Struct = {}
    number = 0
    while head := data[at]:
        at += 1
        if head > 15:
            number += head >> 4
        else:
            number, at = _signed(data, at)
        kind = head & 15
        if kind in (TRUE, FALSE):  # A bool of a struct is its kind.
            fields[number] = kind, Kept()
        elif number in asked:
            value, at = _read(data, at, kind, asked[number])
            fields[number] = kind, value
        else:
            end = _skip(data, at, kind)
            fields[number] = kind, Kept(data[at:end])
            at = end
    return fields, at + 1


def write_struct(fields: Struct) -> bytes:
    """The bytes of a struct."""
    out = bytearray()
    _write_fields(out, fields)
    return bytes(out)


def varint(number: int) -> bytes:
    """A number from 0 on, seven bits a byte, the lowest first."""
    out = bytearray()
    _write_varint(out, number)
    return bytes(out)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The number from 0 on at a place of `data`, and where it ends."""
    value = shift = 0
    while (byte := data[at]) > 127:
        value |= (byte & 127) << shift
        shift += 7
        at += 1
    return value | byte << shift, at + 1


def _read(data: bytes, at: int, kind: int, asked: Asked) -> tuple[Any, int]:
    match kind:
        case 4 | 5 | 6:
            return _signed(data, at)
        case 8:
            length, at = read_varint(data, at)
            return data[at : at + length], at + length
        case 12:
            return read_struct(data, at, asked)
        case 9:
            item, count, at = _list_head(data, at)
            items = []
            for _ in range(count):
                value, at = _read(data, at, item, asked)
                items.append(value)
            return (item, items), at
        case _:
            end = _skip(data, at, kind)
            return Kept(data[at:end]), end


def _skip(data: bytes, at: int, kind: int) -> int:
    """Where the value at a place ends."""
    match kind:
        case 4 | 5 | 6:
            while data[at] > 127:
                at += 1
            return at + 1
        case 8:
            length, at = read_varint(data, at)
            return at + length
        case 12:
            while head := data[at]:
                at += 1
                if head <= 15:
                    _, at = _signed(data, at)
                if (inner := head & 15) not in (TRUE, FALSE):
                    at = _skip(data, at, inner)
            return at + 1
        case 9:
            item, count, at = _list_head(data, at)
            for _ in range(count):
                at = _skip(data, at, item)
            return at
        case 1 | 2 | 3:  # Within a list a bool is a byte.
            return at + 1
        case 7:
            return at + 8
        case _:
            raise ValueError(f"Thrift has a value of kind {kind}, which Parquet has not")


def _list_head(data: bytes, at: int) -> tuple[int, int, int]:
    """The kind of its items, how many, and where the first is."""
    item, count = data[at] & 15, data[at] >> 4
    if count < 15:
        return item, count, at + 1
    count, at = read_varint(data, at + 1)
    return item, count, at


def _write_fields(out: bytearray, fields: Struct) -> None:
    before = 0
    for number in sorted(fields):
        kind, value = fields[number]
        if 0 < number - before < 16:
            out.append((number - before) << 4 | kind)
        else:
            out.append(kind)
            _write_varint(out, _zigzag(number))
        before = number
        _write(out, kind, value)
    out.append(0)


def _write(out: bytearray, kind: int, value: Any) -> None:
    if type(value) is Kept:
        out += value
    elif kind == STRUCT:
        _write_fields(out, value)
    elif kind == LIST:
        item, items = value
        out.append(min(len(items), 15) << 4 | item)
        if len(items) >= 15:
            _write_varint(out, len(items))
        for one in items:
            _write(out, item, one)
    elif kind == BINARY:
        _write_varint(out, len(value))
        out += value
    else:
        _write_varint(out, _zigzag(value))


def _write_varint(out: bytearray, number: int) -> None:
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)


def _zigzag(value: int) -> int:
    return (value << 1) ^ (value >> 63)


def _signed(data: bytes, at: int) -> tuple[int, int]:
    value, at = read_varint(data, at)
    return (value >> 1) ^ -(value & 1), at
