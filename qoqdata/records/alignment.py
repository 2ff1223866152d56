"""Bring foreign tables into a contract schema, or say which column stands in the way."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from qoqdata.contract.arrow import arrow_schema
from qoqdata.contract.record import RECORD
from qoqdata.contract.types import EncodedImage, ListOf, Struct, Table, Type
from qoqdata.errors import RecordError

EVERY_COLUMN = "every column is there"
EVERY_MEMBER = "every member is there"
NO_OTHERS = "no other columns"


def align(table: pa.Table, contract: Table = RECORD) -> pa.Table:
    """`table` with the contract's columns, in its order and types.

    Absent nullable columns and struct members are added as nulls and types are cast, numbers
    without overflow or cut fractions. Raises RecordError for an absent required column or member,
    an unknown or repeated one, or a value that does not fit its type.
    """
    schema = arrow_schema(contract)
    names = table.column_names
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise _breach(table, repeated[0], "every column once", "the column occurs twice")
    if unknown := sorted(set(names) - set(contract.names)):
        raise _breach(table, unknown[0], NO_OTHERS, "the schema has no such column")
    columns = []
    for field, target in zip(contract.fields, schema, strict=True):
        if field.name not in names:
            if not field.nullable:
                raise _breach(table, field.name, EVERY_COLUMN, "the column is missing")
            columns.append(pa.nulls(table.num_rows, target.type))
            continue
        column = table.column(field.name)
        for path, rule, what in _member_breaches(field.type, column.type, field.name):
            raise _breach(table, path, rule, what)
        try:
            columns.append(column.cast(target.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            reason = str(error).splitlines()[0]
            row = _first_unfit(column, target.type)
            rule = f"castable to {target.type}"
            raise _breach(table, field.name, rule, reason, row=row) from error
    return pa.Table.from_arrays(columns, schema=schema)


def _member_breaches(kind: Type, actual: pa.DataType, path: str) -> Iterator[tuple[str, str, str]]:
    """Struct members that a cast would drop, or fill with nulls, without a word."""
    match kind:
        case ListOf(item=item) if isinstance(actual, _LISTS):
            yield from _member_breaches(item, actual.value_type, path)
        case Struct() | EncodedImage() if pa.types.is_struct(actual):
            members = {member.name: member.type for member in actual}
            fields = kind.fields if isinstance(kind, Struct) else ()
            names = {field.name for field in fields} or {"bytes", "path"}
            for name in sorted(set(members) - names):
                yield f"{path}.{name}", NO_OTHERS, "the schema has no such member"
            for field in fields:
                if field.name in members:
                    name = f"{path}.{field.name}"
                    yield from _member_breaches(field.type, members[field.name], name)
                elif not field.nullable:
                    yield f"{path}.{field.name}", EVERY_MEMBER, "the member is missing"


_LISTS = (pa.ListType, pa.LargeListType, pa.FixedSizeListType)


def _first_unfit(column: pa.ChunkedArray, target: pa.DataType) -> int:
    """The first row that does not cast to `target`, found by halving."""
    low, high = 0, len(column)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            column.slice(low, middle - low).cast(target)
            low = middle
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
            high = middle
    return low


def _breach(table: pa.Table, column: str, rule: str, what: str, *, row: int = 0) -> RecordError:
    has_id = table.column_names.count("id") == 1 and row < table.num_rows
    record = str(table.column("id")[row]) if has_id else "all"
    return RecordError(what, record=record, column=column, rule=rule)
