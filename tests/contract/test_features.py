"""Hugging Face features are written without `datasets`; here both are held against each other."""

from __future__ import annotations

import json

import pytest
from datasets import Features, Image, List, Value

from qoqdata.contract.arrow import arrow_schema
from qoqdata.contract.features import card_features, features
from qoqdata.contract.record import RECORD
from qoqdata.contract.side_tables import TABLES as SIDE_TABLES
from qoqdata.contract.statistics import TABLES as STATISTICS_TABLES
from qoqdata.contract.types import FLOAT32, STRING, EncodedImage, Field, ListOf, Struct, Table

TABLES = (RECORD, *SIDE_TABLES, *STATISTICS_TABLES)
each_table = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)


@each_table
def test_datasets_reads_the_features_as_they_are(table: Table) -> None:
    assert Features.from_dict(features(table)).to_dict() == features(table)


@each_table
def test_front_matter_has_them_as_datasets_writes_it(table: Table) -> None:
    found = Features._from_yaml_list(card_features(table))
    assert found == Features.from_dict(features(table))
    assert card_features(table) == json.loads(json.dumps(found._to_yaml_list()))


@each_table
def test_datasets_finds_the_features_in_the_arrow_schema(table: Table) -> None:
    found = Features.from_arrow_schema(arrow_schema(table))
    assert found == Features.from_dict(features(table))
    assert tuple(found) == table.names


@each_table
def test_datasets_would_write_the_same_arrow_types(table: Table) -> None:
    assert Features.from_dict(features(table)).arrow_schema.equals(arrow_schema(table))


def test_features_against_ones_written_by_hand() -> None:
    table = Table(
        "t",
        1,
        "",
        (
            Field("images", ListOf(EncodedImage()), ""),
            Field(
                "boxes", ListOf(Struct((Field("label", STRING, ""), Field("x", FLOAT32, "")))), ""
            ),
            Field("signal", ListOf(ListOf(FLOAT32)), ""),
        ),
    )
    assert Features.from_dict(features(table)) == Features(
        {
            "images": List(Image()),
            "boxes": List({"label": Value("string"), "x": Value("float32")}),
            "signal": List(List(Value("float32"))),
        }
    )
