"""Parts of pages that are made of the code: `python docs/reference.py` writes them anew.

They stand between two marks; tests/test_reference.py fails where one is not up to date.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

import qoqdata
import qoqtrain
import qoqtrain.cli
from qoqdata import errors
from qoqdata.cli.main import app as data_app
from qoqdata.contract.record import METADATA, RECORD
from qoqdata.contract.side_tables import DIFFICULTY, QUARANTINE, VERDICTS
from qoqdata.contract.statistics import CONCEPTS
from qoqdata.contract.statistics import TABLES as STATISTICS
from qoqdata.contract.types import EncodedImage, Field, ListOf, Scalar, Struct, Type
from qoqdata.sources import catalogue
from qoqdata.sources.mapping import Mapping, Measure, TableColumns

DOCS = Path(__file__).resolve().parent
_WIDTH = 80

#: Where a data set has each table.
_PLACES = {
    RECORD: "data/<source>/<split>-00000.parquet",
    METADATA: "meta/<source>.parquet",
    QUARANTINE: "quarantine/<source>.parquet",
    VERDICTS: "curation/verdicts.parquet",
    DIFFICULTY: "difficulty/<policy>.parquet",
    **{table: f"stats/{table.name}.parquet" for table in (*STATISTICS, CONCEPTS)},
}


def tables_part() -> str:
    """Every table of a data set, a line a column."""
    lines = []
    for table, place in _PLACES.items():
        lines += [f"## {table.name}", "", f"{table.doc} Version {table.version}, `{place}`.", ""]
        if table is METADATA:
            away = ", ".join(f"`{name}`" for name in RECORD.names if name not in METADATA.names)
            lines += [f"The columns of `record` without {away}.", ""]
            continue
        rows = [row for field in table.fields for row in _column_rows(field, "")]
        lines += [*_table(("column", "type", "meaning"), rows), ""]
    return "\n".join(lines)


def _column_rows(field: Field, prefix: str) -> Iterator[tuple[str, str, str]]:
    name = f"{prefix}{field.name}"
    null = ", null" if field.nullable else ""
    choices = _choices(field.type)
    meaning = f"{field.doc}: {choices}" if choices else field.doc
    yield f"`{name}`", f"{_type_name(field.type)}{null}", meaning
    inner, brackets = field.type, ""
    while isinstance(inner, ListOf):
        inner, brackets = inner.item, brackets + "[]"
    if isinstance(inner, Struct):
        for member in inner.fields:
            yield from _column_rows(member, f"{name}{brackets}.")


def _type_name(kind: Type) -> str:
    match kind:
        case Scalar(name=name):
            return name
        case ListOf(item=item):
            return f"list of {_type_name(item)}"
        case Struct():
            return "struct"
        case EncodedImage():
            return "image (`bytes`, `path`)"


def _choices(kind: Type) -> str:
    inner = kind.item if isinstance(kind, ListOf) else kind
    return ", ".join(f"`{one}`" for one in getattr(inner, "choices", ()))


def mapping_part() -> str:
    """Every setting of a mapping, and what each source of own files adds."""
    lines = [
        "## Of every source",
        "",
        *_setting_table(Mapping),
        "",
        "## table",
        "",
        f"{_first_line(TableColumns)} Only `file` and `key` are needed, and labels or answers.",
        "",
        *_setting_table(TableColumns),
        "",
        "## number",
        "",
        _first_line(Measure),
        "",
        *_setting_table(Measure),
        "",
    ]
    for slug, kind in sorted(own_mappings().items()):
        name = catalogue.cards()[slug].name
        lines += [f"## {slug}", "", f"{name}: what it adds or changes.", ""]
        lines += [*_setting_table(kind, beyond=Mapping), ""]
    return "\n".join(lines)


def own_mappings() -> dict[str, type[Mapping]]:
    """By slug, the mapping of each registered source of own files of ours."""
    kinds = {}
    for slug, card in catalogue.cards().items():
        if card.needs_mapping:
            module = import_module(catalogue.find_source(slug).configure.__module__)
            kinds[slug] = next(
                value
                for value in vars(module).values()
                if inspect.isclass(value) and issubclass(value, Mapping) and value is not Mapping
            )
    return kinds


def _setting_table(kind: type[BaseModel], *, beyond: type[BaseModel] | None = None) -> list[str]:
    inherited = beyond.model_fields if beyond else {}
    rows = [
        (f"`{name}`", _value(field), _default(field), field.description or "")
        for name, field in kind.model_fields.items()
        if name not in inherited or repr(field) != repr(inherited[name])
    ]
    if blank := [row[0] for row in rows if not row[3]]:
        raise SystemExit(f"{kind.__name__}: no description of {', '.join(blank)}")
    return _table(("setting", "value", "default", "meaning"), rows)


def _value(field: FieldInfo) -> str:
    return _annotation_name(field.annotation)


def _annotation_name(kind: Any) -> str:
    """A type as YAML has it."""
    if hasattr(kind, "__metadata__"):
        kind = kind.__origin__
    plain = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    if kind in plain:
        return plain[kind]
    if kind is type(None):
        return ""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return ", ".join(f"`{one}`" for one in inner)
    if origin is tuple:
        if len(inner) == 2 and inner[1] is ...:
            return f"list of {_annotation_name(inner[0])}"
        return f"[{', '.join(map(_annotation_name, inner))}]"
    if origin is dict:
        return f"{_annotation_name(inner[0])}: {_annotation_name(inner[1])}"
    if inner:
        names = [name for name in map(_annotation_name, inner) if name]
        return " or ".join(dict.fromkeys(names))
    return {"Storage": "`training`, `native` or settings"}.get(kind.__name__, "settings below")


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined:
        return "needed"
    if value is None or value in ((), {}) or isinstance(value, BaseModel):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def quarantine_part() -> str:
    """Every reason of quarantine: what it means and what to do."""
    rows = []
    for kind in quarantine_errors():
        meaning, _, remedy = inspect.cleandoc(kind.__doc__ or "").partition("\n\n")
        if not remedy:
            raise SystemExit(f"{kind.__name__}: its docstring says no remedy")
        rows.append((f"`{kind.code}`", " ".join(meaning.split()), " ".join(remedy.split())))
    return "\n".join(_table(("reason", "means", "what to do"), sorted(rows)))


def quarantine_errors() -> list[type[errors.QoqdataError]]:
    """The classes whose `code` can be the reason of a quarantined unit."""
    above = (errors.InputError, errors.ConverterError, errors.RecordError)
    kinds = [kind for kind in vars(errors).values() if inspect.isclass(kind)]
    return [kind for kind in kinds if issubclass(kind, above)]


def commands_part() -> str:
    """The help of every command, as it is printed."""
    lines = []
    for name, app in (("qoqdata", data_app), ("qoqtrain", qoqtrain.cli.app)):
        group = typer.main.get_command(app)
        parent = click.Context(group, info_name=name, **_HELP)
        for command in group.list_commands(parent):  # type: ignore[attr-defined]
            lines += [f"## {name} {command}", "", "```", _help(group, parent, command), "```", ""]
    return "\n".join(lines)


_HELP: dict[str, Any] = {"terminal_width": _WIDTH, "help_option_names": ["-h", "--help"]}


def _help(group: Any, parent: click.Context, name: str) -> str:
    command = group.get_command(parent, name)
    context = type(parent)(command, info_name=name, parent=parent, **_HELP)
    return "\n".join(line.rstrip() for line in command.get_help(context).strip().splitlines())


def api_part() -> str:
    """The public names of both packages, a directive of mkdocstrings each, by their module."""
    lines = []
    for package in (qoqdata, qoqtrain):
        for module, names in package._MODULES.items():
            title = (import_module(module).__doc__ or "").strip().partition("\n\n")[0]
            lines += [f"## {' '.join(title.split()).rstrip('.')}", ""]
            if module == "qoqdata.dataset":
                names = ("open", *names)
            lines += [f"::: {package.__name__}.{name}\n" for name in names]
    for title, names in _FURTHER.items():
        lines += [f"## {title}", "", *(f"::: {name}\n" for name in names)]
    return "\n".join(lines)


#: What the documents show beside the names of the two packages.
_FURTHER = {
    "Streams": ("qoqdata.stream.Mix", "qoqdata.stream.decode.Budget"),
    "Rewards": ("qoqtrain.rewards.score",),
    "For who writes a source": (
        "qoqdata.sources.protocol.Unit",
        "qoqdata.sources.protocol.Refused",
        "qoqdata.sources.protocol.Filtered",
        "qoqdata.sources.protocol.Skipped",
        "qoqdata.sources.protocol.Job",
        "qoqdata.records.content.Record",
    ),
}


def _first_line(kind: type) -> str:
    return inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0]


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return [line(head), "|" + "---|" * len(head), *map(line, rows)]


#: What makes the part of a page between the marks.
PARTS = {
    "api.md": api_part,
    "commands.md": commands_part,
    "mapping.md": mapping_part,
    "quarantine.md": quarantine_part,
    "tables.md": tables_part,
}
_BEGIN, _END = "<!-- Made by docs/reference.py, from here -->\n", "<!-- to here. -->\n"


def page(name: str) -> str:
    """A page of docs/ with its part made anew; ValueError where the marks are lost."""
    before, begin, rest = (DOCS / name).read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{name} lacks {(_END if begin else _BEGIN).strip()}")
    return f"{before}{begin}\n{PARTS[name]().strip()}\n\n{end}{after}"


if __name__ == "__main__":
    for name in PARTS:
        (DOCS / name).write_text(page(name), encoding="utf-8")
        sys.stdout.write(f"{DOCS / name}\n")
