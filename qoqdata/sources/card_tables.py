"""Options, label maps and block lists that a card keeps in a file beside it.

    options: {file: classes.csv, column: name}    labels: {file: codes.csv, key: code, value: name}
    options: {file: classes.yaml}                 labels: {file: codes.yaml}
    block: [{source: films, keys: {file: cases.csv, column: key}, reason: ...}]

`../codes.csv` is a table that the sources of a domain share, in the domain's folder. The card as
built holds what the files say, so a data set's cards need no file beside them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from qoqdata.contract.task import LabelsTable, OptionsTable
from qoqdata.errors import CardError, InputError, OutsideRoot
from qoqdata.settings import checked, load_yaml
from qoqdata.sources.rawtree import RawTree

#: Of a block list.
_CASES = ("keys", "patients", "digests")
_ABOVE = "../"
_TABLES, _YAML = (".csv", ".tsv"), (".yaml", ".yml")


class _Place(NamedTuple):
    card: Path
    domain: Path | None


def fill_in(content: Any, card: Path, domain: Path | None = None) -> Any:
    """The content of card.yaml with options and labels in place of the files that it names.

    `domain` is the folder above the card's where sources of one domain lie. Raises CardError for a
    file that is not there, leaves the two folders, or cannot be read so.
    """
    if not isinstance(content, dict):
        return content
    place = _Place(card, domain)
    filled = _filled(content, place, "", {"labels": LabelsTable})
    tasks = filled.get("tasks")
    if isinstance(tasks, dict):
        both = {"options": OptionsTable, "labels": LabelsTable}
        filled["tasks"] = {
            name: _filled(task, place, f"tasks.{name}.", both) if isinstance(task, dict) else task
            for name, task in tasks.items()
        }
    if isinstance(blocks := filled.get("block"), list):
        cases = dict.fromkeys(_CASES, OptionsTable)
        filled["block"] = [
            _filled(block, place, f"block.{number}.", cases) if isinstance(block, dict) else block
            for number, block in enumerate(blocks)
        ]
    return filled


def table_files(content: Any) -> list[str]:
    """The sorted names of the files that the content of a card.yaml names."""
    return sorted(set(_names(content)))


def _names(content: Any) -> Iterator[str]:
    if isinstance(content, dict):
        tasks = content.get("tasks")
        blocks = content.get("block")
        parts = [content, *(tasks.values() if isinstance(tasks, dict) else ())]
        for part in (*parts, *(blocks if isinstance(blocks, list) else ())):
            if isinstance(part, dict):
                values = [part.get(name) for name in ("labels", "options", *_CASES)]
                yield from (str(value["file"]) for value in values if _names_file(value))


def _names_file(value: Any) -> TypeGuard[dict[str, Any]]:
    """Whether a value is a reference: a label map may well map a raw label called "file"."""
    return (
        isinstance(value, dict)
        and set(value) <= {"file", "column", "key", "value"}
        and str(value.get("file", "")).endswith((*_TABLES, *_YAML))
    )


def _filled(
    part: dict[str, Any], place: _Place, inside: str, fields: dict[str, Any]
) -> dict[str, Any]:
    changes = {
        name: _read(
            checked(model, part[name], where=f"{place.card}, {inside}{name}", error=CardError),
            place,
        )
        for name, model in fields.items()
        if _names_file(part.get(name))
    }
    return part | changes


def _read(table: OptionsTable | LabelsTable, place: _Place) -> Any:
    columns = [table.column] if isinstance(table, OptionsTable) else [table.key, table.value]
    where = f"{place.card}, {table.file}"
    folder, name = RawTree(place.card.parent), table.file
    if place.domain is not None and name.startswith(_ABOVE):
        folder, name = RawTree(place.domain), name.removeprefix(_ABOVE)
    try:
        path = folder.resolve(name)
        if not path.is_file():
            raise CardError("is no file", where=where)
        if path.suffix in _YAML:
            if any(columns):
                raise CardError("a YAML file has no columns", where=where, fix="name the file only")
            return load_yaml(path)
        named = [column for column in columns if column]
        if len(named) < len(columns):
            wanted = "column" if len(columns) == 1 else "key and value"
            raise CardError(f"the card does not say which {wanted} it means", where=where)
        separator = "\t" if path.suffix == ".tsv" else ","
        rows = folder.csv(name, columns=named, separator=separator).select(named).rows()
    except OutsideRoot as error:
        what = "does not stay inside the card's folder"
        what += "" if place.domain is None else " or its domain's"
        raise CardError(what, where=where, fix="put the file beside card.yaml") from error
    except InputError as error:
        raise CardError(error.what, where=where, fix=error.fix) from error
    return _options(rows, where) if len(columns) == 1 else _label_map(rows, where)


def _options(rows: list[tuple[str | None, ...]], where: str) -> list[str]:
    return list(dict.fromkeys(cell for (cell,) in _whole(rows, where)))


def _label_map(rows: list[tuple[str | None, ...]], where: str) -> dict[str, str]:
    labels: dict[str, str] = {}
    for raw, option in _whole(rows, where):
        if labels.setdefault(raw, option) != option:
            what = f"maps {raw!r} to {labels[raw]!r} and to {option!r}"
            raise CardError(what, where=where, fix="keep one row a raw label")
    return labels


def _whole(rows: list[tuple[str | None, ...]], where: str) -> Iterator[tuple[str, ...]]:
    """The rows, stripped; CardError for an empty cell."""
    for number, row in enumerate(rows, start=2):
        cells = tuple((cell or "").strip() for cell in row)
        if not all(cells):
            raise CardError("a cell is empty", where=f"{where}, row {number}")
        yield cells
