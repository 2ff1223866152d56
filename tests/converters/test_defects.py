"""defects.yaml: every source of the published set is in it, and every test that it names exists."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import qoqdata
from qoqdata.yaml_document import parse_yaml

TESTS = Path(__file__).resolve().parents[1]
PATH = Path(__file__).with_name("defects.yaml")
DEFECTS: dict[str, list[dict[str, Any]]] = parse_yaml(PATH.read_text("utf-8"), where=PATH.name)


@cache
def _tests_of(file: str) -> frozenset[str]:
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def test_every_source_has_its_list() -> None:
    of_the_set = {
        slug for slug, card in qoqdata.cards().items() if card.qoq_med and not card.needs_mapping
    }
    assert of_the_set - DEFECTS.keys() == set()
    assert DEFECTS.keys() - qoqdata.cards().keys() == set()


@pytest.mark.parametrize("slug", DEFECTS)
def test_the_tests_that_hold_them_exist(slug: str) -> None:
    for defect in DEFECTS[slug]:
        assert defect.keys() == {"harm", "what", "test"} and defect["harm"] in range(1, 6)
        file, _, name = defect["test"].partition("::")
        assert name.startswith("test_") and name in _tests_of(file), defect["test"]
