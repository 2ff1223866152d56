"""The error tree: complete, coded, readable, and able to cross processes."""

from __future__ import annotations

import inspect
import pickle

import pytest

from qoqdata import errors
from qoqdata.errors import InputError, QoqdataError, RecordError, UsageError

CLASSES = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, QoqdataError)
]
PLAIN = [kind for kind in CLASSES if kind is not RecordError]
each = pytest.mark.parametrize("kind", PLAIN, ids=lambda kind: kind.__name__)


def test_the_tree_is_the_one_that_the_module_draws() -> None:
    drawn = errors.__doc__ or ""
    lines = [line for line in drawn.splitlines() if line.startswith("    ") and line.strip()]
    # Names of a line follow each other with commas; what an error means stands apart.
    names = {name for line in lines for name in line.strip(" |-`").partition("  ")[0].split(", ")}
    assert {kind.__name__ for kind in CLASSES} == names


def test_codes_are_unique_and_stable() -> None:
    codes = [kind.code for kind in CLASSES]
    assert len(set(codes)) == len(codes)
    assert {kind.__name__: kind.code for kind in CLASSES} == {
        "QoqdataError": "error",
        "UsageError": "usage",
        "CardError": "bad_card",
        "UnknownSource": "unknown_source",
        "InputError": "bad_input",
        "MissingFile": "missing_file",
        "OutsideRoot": "outside_root",
        "UnreadableFile": "unreadable_file",
        "UnsupportedFormat": "unsupported_format",
        "TooLarge": "too_large",
        "NoPixels": "no_pixels",
        "NotAVolume": "not_a_volume",
        "BadTable": "bad_table",
        "BadLabel": "bad_label",
        "DuplicateKey": "duplicate_key",
        "MissingKey": "missing_key",
        "TornGroup": "torn_group",
        "ContradictedKey": "contradicted_key",
        "WorkerDied": "worker_died",
        "Misaligned": "misaligned",
        "ConverterError": "converter_error",
        "RecordError": "bad_record",
        "DatasetError": "bad_dataset",
        "UnfinishedBuild": "unfinished",
        "OverLimit": "over_limit",
    }


@each
def test_what_where_and_fix(kind: type[QoqdataError]) -> None:
    assert str(kind("went wrong")) == "went wrong"
    assert str(kind("went wrong", where="a.png")) == "a.png: went wrong"
    assert str(kind("went wrong", fix="mend it")) == "went wrong. Fix: mend it"
    whole = kind("went wrong", where="a.png", fix="mend it")
    assert str(whole) == "a.png: went wrong. Fix: mend it"
    assert (whole.what, whole.where, whole.fix) == ("went wrong", "a.png", "mend it")


@each
def test_errors_cross_processes(kind: type[QoqdataError]) -> None:
    error = kind("went wrong", where="a.png", fix="mend it")
    error.place = 3  # type: ignore[attr-defined]
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is kind and str(back) == str(error)
    assert vars(back) == vars(error)


def test_record_errors_name_record_column_and_rule() -> None:
    error = RecordError("is 91", record="r1", column="age", rule="between 0 and 90", fix="cap it")
    assert str(error) == "record r1, column age: is 91 (rule: between 0 and 90). Fix: cap it"
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is RecordError and str(back) == str(error)
    assert (back.record, back.column, back.rule) == ("r1", "age", "between 0 and 90")


def test_who_is_to_blame() -> None:
    assert issubclass(errors.CardError, UsageError) and issubclass(errors.UnknownSource, UsageError)
    assert issubclass(errors.TornGroup, InputError) and issubclass(errors.OutsideRoot, InputError)
    assert not issubclass(errors.DatasetError, InputError | UsageError)
    assert not issubclass(RecordError, InputError | UsageError)
