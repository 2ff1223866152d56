"""Thrift's compact protocol, as far as the footer and the page headers of Parquet go.

A struct is a dictionary by number of the field: its kind and its value. Values of kinds that are
no struct or list stay as they are, so that what is not changed is written again byte for byte.
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

from typing import Any

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, STRUCT = 1, 2, 3, 4, 5, 6, 7, 8, 9, 12
#: Kind and value; of a list the kind of its items and the items.
Field = tuple[int, Any]
Struct = dict[int, Field]


def read_struct(data: bytes, at: int = 0) -> tuple[Struct, int]:
    """The struct at a place of `data`, and where it ends; raises ValueError for other kinds."""
    fields: Struct = {}
    number = 0
    while head := data[at]:
        at += 1
        if step := head >> 4:
            number += step
        else:
            number, at = _signed(data, at)
        kind = head & 15
        # A bool of a struct is its kind.
        value, at = (None, at) if kind in (TRUE, FALSE) else _read(data, at, kind)
        fields[number] = kind, value
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


def _read(data: bytes, at: int, kind: int) -> tuple[Any, int]:
    match kind:
        case 4 | 5 | 6:
            return _signed(data, at)
        case 8:
            length, at = _unsigned(data, at)
            return data[at : at + length], at + length
        case 12:
            return read_struct(data, at)
        case 9:
            item, count = data[at] & 15, data[at] >> 4
            at += 1
            if count == 15:
                count, at = _unsigned(data, at)
            items = []
            for _ in range(count):
                value, at = _read(data, at, item)
                items.append(value)
            return (item, items), at
        case 1 | 2 | 3:  # Within a list a bool is a byte.
            return data[at : at + 1], at + 1
        case 7:
            return data[at : at + 8], at + 8
        case _:
            raise ValueError(f"Thrift has a value of kind {kind}, which Parquet has not")


def _write_fields(out: bytearray, fields: Struct) -> None:
    before = 0
    for number in sorted(fields):
        kind, value = fields[number]
        if 0 < number - before < 16:
            out.append((number - before) << 4 | kind)
        else:
            out.append(kind)
            _write_varint(out, number << 1)
        before = number
        if kind not in (TRUE, FALSE):
            _write(out, kind, value)
    out.append(0)


def _write(out: bytearray, kind: int, value: Any) -> None:
    match kind:
        case 4 | 5 | 6:
            _write_varint(out, (value << 1) ^ (value >> 63))
        case 8:
            _write_varint(out, len(value))
            out += value
        case 12:
            _write_fields(out, value)
        case 9:
            item, items = value
            out.append(min(len(items), 15) << 4 | item)
            if len(items) >= 15:
                _write_varint(out, len(items))
            for one in items:
                _write(out, item, one)
        case _:
            out += value


def _write_varint(out: bytearray, number: int) -> None:
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)


def _signed(data: bytes, at: int) -> tuple[int, int]:
    value, at = _unsigned(data, at)
    return (value >> 1) ^ -(value & 1), at


def _unsigned(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while (byte := data[at]) > 127:
        value |= (byte & 127) << shift
        shift += 7
        at += 1
    return value | byte << shift, at + 1
