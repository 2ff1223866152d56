"""Bring foreign tables into a contract schema, or say which column stands in the way."""

from __future__ import annotations

import pyarrow as pa

from qoqdata.errors import RecordError
from schemas.arrow import arrow_schema
from schemas.record import RECORD
from schemas.types import Table


def align(table: pa.Table, contract: Table = RECORD) -> pa.Table:
    """`table` with the contract's columns, in its order and types.

    Absent nullable columns are added as nulls and types are cast without loss. Raises RecordError
    for an absent required column, an unknown column, or a value that does not fit its type.
    """
    schema = arrow_schema(contract)
    if unknown := sorted(set(table.column_names) - set(contract.names)):
        raise _breach(table, unknown[0], "no other columns", "the schema has no such column")
    columns = []
    for field, target in zip(contract.fields, schema, strict=True):
        if field.name not in table.column_names:
            if not field.nullable:
                raise _breach(table, field.name, "every column is there", "the column is missing")
            columns.append(pa.nulls(table.num_rows, target.type))
            continue
        try:
            columns.append(table.column(field.name).cast(target.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            reason = str(error).splitlines()[0]
            raise _breach(table, field.name, f"castable to {target.type}", reason) from error
    return pa.Table.from_arrays(columns, schema=schema)


def _breach(table: pa.Table, column: str, rule: str, what: str) -> RecordError:
    ids = table.column("id") if "id" in table.column_names else None
    first = str(ids[0]) if ids is not None and len(ids) else "all"
    return RecordError(what, record=first, column=column, rule=rule)
