"""Whether what a converter gives keeps the protocol and fits its card."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from operator import attrgetter
from types import NoneType
from typing import Any

import numpy as np
import polars as pl

from qoqdata.contract.card import Card
from qoqdata.contract.task import Task
from qoqdata.contract.vocabulary import SPLITS, SourceRole
from qoqdata.errors import ConverterError, InputError
from qoqdata.records.content import Record
from qoqdata.sources.card import DIMENSIONLESS, task_of
from qoqdata.sources.field_types import Fault, field_fault, is_text, plain_json, type_name
from qoqdata.sources.protocol import Filtered, Planned, Refused, Skipped, Unit
from qoqdata.sources.unit_table import unit_table

_REASON = re.compile(r"[a-z][a-z0-9_]{0,63}")
#: Items of a plan that are looked at together.
_AT_ONCE = 4096
_FIELDS = attrgetter("key", "files", "group", "patient", "split", "facts")
_TEXT, _TEXT_OR_NONE = {str}, {str, NoneType}
_LISTS = {list, tuple}
#: Levels of lists and dicts in facts; deeper ones are looked at one by one.
_DEEPEST = 64
_SCALARS = {str, int, float, bool, NoneType}


@dataclass(frozen=True, eq=False)
class SoundPart:
    """A part of a plan: its units as a table, and what is none, each in the order of the plan."""

    units: pl.DataFrame
    others: tuple[Refused | Filtered, ...]


def sound_plan(planned: Any, card: Card) -> Iterator[SoundPart]:
    """What `plan` gave, with facts as plain JSON values; a faulty item with a key is refused.

    Raises ConverterError for what is no Unit, Refused or Filtered or has no key, and InputError for
    a plan of nothing.
    """
    if not isinstance(planned, Iterable) or isinstance(planned, str | bytes | dict):
        what = f"plan gave {type_name(planned)}, not its units"
        raise ConverterError(what, where=card.slug, fix="yield a Unit for everything that exists")
    count = 0
    for items in _parts(planned):
        yield _sound_part(items, card, count)
        count += len(items)
    if not count:
        layout = " ".join(card.layout.split())
        fix = f"check the raw folder; its layout is: {layout}"
        raise InputError("nothing was found to plan", where=card.slug, fix=fix)


def sort_converted(
    converted: Any, unit: Unit, card: Card
) -> tuple[tuple[Record, ...], tuple[Skipped, ...]]:
    """The records and the skipped questions among what `convert` returned.

    Raises ConverterError for anything else, an empty list, fields of a wrong type, and what does
    not fit the card.
    """
    if not isinstance(converted, list):
        what = f"convert returned {type_name(converted)}"
        raise ConverterError(what, where=unit.key, fix="return a list of Record and Skipped")
    if not converted:
        fix = "return a Skipped for each question that cannot be asked"
        raise ConverterError("the converter gave no record", where=unit.key, fix=fix)
    records, skipped = [], []
    for place, item in enumerate(converted):
        where = f"{unit.key}, item {place} of convert"
        if isinstance(item, Record):
            _check_record(item, card, where)
            records.append(item)
        elif isinstance(item, Skipped):
            _check_skipped(item, card, where)
            skipped.append(item)
        else:
            fix = "return a list of Record and Skipped"
            raise ConverterError(f"convert returned {type_name(item)}", where=where, fix=fix)
    return tuple(records), tuple(skipped)


def _parts(planned: Iterable[Any]) -> Iterator[list[Any]]:
    """Items some at a time; where the plan raises, those before it come first."""
    part: list[Any] = []
    try:
        for item in planned:
            part.append(item)
            if len(part) == _AT_ONCE:
                yield part
                part = []
    except Exception:
        if part:
            yield part
        raise
    if part:
        yield part


def _sound_part(items: Sequence[Any], card: Card, begin: int) -> SoundPart:
    """Items of a plan, of which the first is its item number `begin`, counted from 0."""
    units = [item for item in items if type(item) is Unit]
    others = [item for item in items if type(item) is not Unit]
    if _seem_sound(units) and all(isinstance(item, Refused | Filtered) for item in others):
        try:
            table = unit_table(units)
        except (TypeError, ValueError):
            pass  # One of them is not, and is looked for below.
        else:
            places = (place for place, item in enumerate(items) if type(item) is not Unit)
            told = [_sound(item, card, begin + at) for item, at in zip(others, places, strict=True)]
            return SoundPart(table, _but_units(told))
    looked_at = [_sound_item(item, card, begin + place) for place, item in enumerate(items)]
    units = [item for item in looked_at if isinstance(item, Unit)]
    return SoundPart(unit_table(units), _but_units(looked_at))


def _but_units(items: Iterable[Planned]) -> tuple[Refused | Filtered, ...]:
    return tuple(item for item in items if not isinstance(item, Unit))


def _seem_sound(units: Sequence[Unit]) -> bool:
    """Whether all units keep the protocol, by a look at whole columns; `_sound_unit` says of a
    single one in what it does not. What `unit_table` refuses is not looked for here.
    """
    if not units:
        return True
    keys, files, groups, patients, splits, facts = zip(*map(_FIELDS, units), strict=True)
    return (
        set(map(type, keys)) == _TEXT
        and set(map(type, files)) == {tuple}
        and set(map(type, chain.from_iterable(files))) <= _TEXT
        and set(map(type, chain(groups, patients, splits))) <= _TEXT_OR_NONE
        and not any("" in column for column in (keys, groups, patients))
        and set(splits) <= {None, *SPLITS}
        and set(map(type, facts)) == {dict}
        and _are_json_like(facts)
    )


def _are_json_like(values: Sequence[Any]) -> bool:
    """Whether lists and dicts hold nothing but scalars, lists and dicts, with texts for keys: all
    of them at once, level by level. False for what goes deeper than any facts, as a circle does.
    """
    level: Collection[Any] = values
    for _ in range(_DEEPEST):
        lists = [value for value in level if type(value) in _LISTS]
        dicts = [value for value in level if type(value) is dict]
        if len(lists) + len(dicts) < len(level):
            return False
        if not set(map(type, chain.from_iterable(dicts))) <= _TEXT:
            return False
        members = chain(chain.from_iterable(lists), chain.from_iterable(map(dict.values, dicts)))
        level = [member for member in members if type(member) not in _SCALARS]
        if not level:
            return True
    return False


def _item(card: Card, place: int) -> str:
    return f"{card.slug}, item {place} of plan"


def _sound_item(item: Any, card: Card, place: int) -> Planned:
    match item:
        case Unit():
            return _sound_unit(item, card, place)
        case Refused() | Filtered():
            return _sound(item, card, place)
    what = f"plan yielded {type_name(item)}"
    fix = "yield Unit, Refused or Filtered"
    raise ConverterError(what, where=_item(card, place), fix=fix)


def _sound_unit(unit: Unit, card: Card, place: int) -> Planned:
    if isinstance(refused := _sound(unit, card, place), Refused):
        return refused
    try:
        given = unit.facts if isinstance(unit.facts, dict) else dict(unit.facts)
        facts = plain_json(given, "facts")
    except TypeError as error:
        fix = "facts are texts, finite numbers, truth values, None, and lists and dicts of them"
        fault = ConverterError(str(error), where=_item(card, place), fix=fix)
        return Refused(unit.key, fault, unit.files)
    return unit if facts is unit.facts else replace(unit, facts=facts)


def _sound(item: Planned, card: Card, place: int) -> Planned:
    """The item, or its refusal where a field is of a wrong type."""
    if not isinstance(item.key, str) or not item.key:
        named = "empty" if item.key == "" else type_name(item.key)
        what = f"the key of a {type(item).__name__} is {named}"
        fix = "a key is a text that names it in the source"
        raise ConverterError(what, where=_item(card, place), fix=fix)
    fault = field_fault(item) or _emptiness(item)
    if fault is None:
        return item
    path, what = fault
    error = ConverterError(f"{type(item).__name__}{path} {what}", where=_item(card, place))
    key = item.key.encode(errors="backslashreplace").decode()
    return Refused(key, error)


def _emptiness(item: Planned) -> Fault | None:
    for name in ("group", "patient") if isinstance(item, Unit) else ():
        if getattr(item, name) == "":
            return f".{name}", "is empty; None is what is not there"
    return None


def _check_skipped(item: Skipped, card: Card, where: str) -> None:
    task_of(card, item.task)
    if not (isinstance(item.reason, str) and _REASON.fullmatch(item.reason)):
        what = f"the reason {item.reason!r} of a Skipped is no short code"
        fix = "such as no_view; the particulars belong into its message"
        raise ConverterError(what, where=where, fix=fix)
    for name in ("message", "item"):
        text = getattr(item, name)
        if not is_text(text) and not (name == "item" and text is None):
            what = f"the {name} of a Skipped is {type_name(text)}"
            raise ConverterError(what, where=where, fix="give a text that UTF-8 can hold")


def _check_record(record: Record, card: Card, where: str) -> None:
    fault = field_fault(record) or _array_fault(record)
    if fault is not None:
        raise ConverterError(f"Record{fault[0]} {fault[1]}", where=where)
    if not record.forms:
        raise ConverterError("the record has no wording", where=where, fix="give one in forms")
    task = task_of(card, record.task)
    if (misfit := _misfit(record, task, card.role)) is not None:
        what = f"{misfit}, and the card's task {record.task} {_described(task)}"
        fix = "ask it with qoqdata.sources.asking, which takes all of this from the card"
        raise ConverterError(what, where=where, fix=fix)


def _misfit(record: Record, task: Task, role: SourceRole) -> str | None:
    """In what a record is no question of its task.

    A benchmark's multi task may show some of its options: published questions have fewer or more.
    """
    if record.kind != task.kind:
        return f"the record is of kind {record.kind!r}"
    if task.kind != "choice" and record.options != task.options:
        shown = tuple(option for option in task.options or () if option in (record.options or ()))
        if not shown or shown != record.options or (task.kind, role) != ("multi", "evaluation"):
            return f"the record has the options {record.options}"
    if record.number is not None:
        unit = None if task.unit == DIMENSIONLESS else task.unit
        if record.number.unit != unit:
            return f"the number is in {record.number.unit!r}"
        if record.number.tolerance != (task.tolerance or 0.0):
            return f"the number has the tolerance {record.number.tolerance:g}"
    return None


def _described(task: Task) -> str:
    parts = [f"is of kind {task.kind!r}"]
    if task.kind != "choice":
        parts.append(f"with the options {task.options}" if task.options else "without options")
    if task.unit is not None:
        parts.append(f"in {task.unit!r}")
    if task.tolerance is not None:
        parts.append(f"within {task.tolerance:g}")
    return " ".join(parts)


def _array_fault(record: Record) -> Fault | None:
    """The first array of another dtype or shape than its class documents."""
    for n, image in enumerate(record.images or ()):
        pixels = image.pixels
        if not _is_array(pixels, "B", (2, 3)) or pixels.shape[2:] not in ((), (3,)):
            return _array(f".images[{n}].pixels", pixels, "uint8, grey or RGB")
    for n, mask in enumerate(record.masks or ()):
        if not _is_array(mask.codes, "BH", (2,)):
            return _array(f".masks[{n}].codes", mask.codes, "uint8 or uint16 (rows, columns)")
    if (ecg := record.ecg) is not None:
        if not _is_array(ecg.signal, "f", (2,)):
            return _array(".ecg.signal", ecg.signal, "float32 (lead, sample)")
        if not _is_array(ecg.valid, "?", (2,)):
            return _array(".ecg.valid", ecg.valid, "bool (lead, sample)")
    return None


def _is_array(array: np.ndarray, kinds: str, dimensions: tuple[int, ...]) -> bool:
    """Whether it is of one of the kinds, NumPy's characters for types of either byte order."""
    return array.dtype.char in kinds and array.ndim in dimensions and array.size > 0


def _array(path: str, array: np.ndarray, wanted: str) -> Fault:
    return path, f"is {array.dtype} of shape {array.shape}, not {wanted}"
