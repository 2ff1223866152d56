"""Reading cards and settling their options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from qoqdata.contract.card import Card
from qoqdata.errors import CardError, UsageError
from qoqdata.sources.card import load_card, parse_card, settle_options
from tests.contract.test_card import CONTENT

OPTIONS = {
    "slices": {"default": 8, "doc": "how many"},
    "margin": {"default": 0.5, "doc": "how wide"},
    "masks": {"default": "required", "choices": ["required", "optional"], "doc": "whether"},
    "strict": {"default": True, "doc": "whether"},
    "path": {"default": None, "doc": "where"},
    "rate": {"default": "500", "choices": ["500", "100"], "doc": "Hz"},
    "code": {"default": "001", "doc": "which"},
}


@pytest.fixture
def card() -> Card:
    return Card.model_validate(CONTENT | {"options": OPTIONS})


def test_a_card_on_disk(tmp_path: Path) -> None:
    (tmp_path / "card.yaml").write_text(yaml.safe_dump(CONTENT))
    assert load_card(tmp_path / "card.yaml") == Card.model_validate(CONTENT)


def test_faults_name_file_and_field(tmp_path: Path) -> None:
    path = tmp_path / "card.yaml"
    path.write_text(yaml.safe_dump(CONTENT | {"licence": {}}))
    with pytest.raises(CardError) as raised:
        load_card(path)
    assert str(raised.value).startswith(f"{path}, licence.name: ")
    with pytest.raises(CardError, match="the document"):
        parse_card([], where="x")
    with pytest.raises(CardError, match="needs options") as raised:
        parse_card(
            CONTENT | {"labels": {}, "tasks": {"task": {"kind": "multi", "question": "?"}}},
            where="x",
        )
    assert "Value error" not in str(raised.value)


def test_options_default_and_are_sorted(card: Card) -> None:
    settled = settle_options(card, {})
    assert settled == {
        "code": "001", "margin": 0.5, "masks": "required", "path": None, "rate": "500",
        "slices": 8, "strict": True,
    }  # fmt: skip
    assert list(settled) == sorted(OPTIONS)


@pytest.mark.parametrize(
    ("name", "given", "settled"),
    [
        ("slices", 4, 4),
        ("slices", "4", 4),
        ("margin", "0.25", 0.25),
        ("margin", 1, 1.0),
        ("masks", "optional", "optional"),
        ("strict", False, False),
        ("strict", "false", False),
        ("strict", "True", True),
        ("path", "x", "x"),
        ("path", 3, 3),
        ("path", None, None),
        ("path", "3", "3"),
        # As on the command line, as numbers of build.yaml, and as codes that must stay text.
        ("rate", "100", "100"),
        ("rate", 100, "100"),
        ("code", "007", "007"),
        ("code", "1e2", "1e2"),
        ("code", "no", "no"),
        ("code", 7, "7"),
        ("slices", "1e1", 10),
        ("slices", 4.0, 4),
        ("margin", "1e-1", 0.1),
        ("strict", "no", False),
        ("strict", "on", True),
    ],
)
def test_given_options_are_typed_like_their_defaults(
    card: Card, name: str, given: Any, settled: Any
) -> None:
    found = settle_options(card, {name: given})[name]
    assert found == settled and type(found) is type(settled)


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("slice", 4, "no option 'slice'.*known: code, margin, masks, path, rate, slices, strict"),
        ("slices", "four", "'four' is no int.*give a whole number; without it: 8"),
        ("slices", "010", "no int"),
        ("slices", "1_0", "no int"),
        ("slices", "9" * 5000, "no int"),
        ("rate", "50", "'50' is no choice.*one of 500, 100"),
        ("rate", 100.0, "no choice.*one of 500, 100"),
        ("code", 1.1, "1.1 is no str.*give text"),
        ("code", True, "no str"),
        ("slices", 4.5, "4.5 is no int"),
        ("slices", "4.5", "no int"),
        ("slices", True, "True is no int"),
        ("slices", None, "None is no int"),
        ("slices", [4], "no int"),
        ("margin", "wide", "no float"),
        ("margin", "nan", "no float"),
        ("masks", "maybe", "no choice.*required, optional"),
        ("strict", "maybe", "no bool.*give true or false; without it: true"),
        ("strict", 2, "no bool"),
        ("strict", 1, "no bool"),
        ("margin", float("inf"), "no float"),
        ("margin", True, "no float"),
        ("masks", None, "no choice"),
        ("path", [1], "no scalar"),
        ("path", float("nan"), "no scalar"),
    ],
)
def test_options_that_do_not_fit(card: Card, name: str, given: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said) as raised:
        settle_options(card, {name: given})
    assert "source films" in str(raised.value)
