"""Questions and answers from a card's tasks."""

from __future__ import annotations

import pytest

from qoqdata.contract.card import Card
from qoqdata.errors import BadLabel
from qoqdata.sources.asking import answered, ask, prompt, translate
from qoqdata.sources.protocol import Unit
from tests.contract.test_card import CONTENT

CARD = Card.model_validate(
    CONTENT
    | {
        "tasks": {
            "diagnosis": {"kind": "single", "question": "What?", "options": ["Clear", "Opacity"]},
            "findings": {
                "kind": "multi",
                "question": "Which?",
                "options": ["Mass", "Node", "Opacity"],
            },
            "report": {"kind": "open", "question": "Describe it."},
        }
    }
)


def test_a_single_choice() -> None:
    assert ask(CARD, "diagnosis", ["Opacity"]) == {
        "task": "diagnosis",
        "question": "What? Choose exactly one:\nClear\nOpacity",
        "options": ("Clear", "Opacity"),
        "answer": "Opacity",
        "labels": ("Opacity",),
        "uncertain": (),
    }


def test_several_labels_come_in_the_order_of_the_options() -> None:
    for labels in (["Opacity", "Mass"], ["Mass", "Opacity"], ["Mass", "Opacity", "Mass"]):
        asked = ask(CARD, "findings", labels, uncertain=["Node"])
        assert asked["answer"] == "Mass, Opacity"
        assert asked["labels"] == ("Mass", "Opacity")
        assert asked["uncertain"] == ("Node",)


@pytest.mark.parametrize(
    ("task", "labels", "uncertain", "said"),
    [
        ("diagnosis", [], [], "exactly one label, got"),
        ("diagnosis", ["Clear", "Opacity"], [], "exactly one label"),
        ("findings", [], ["Mass"], "at least one label"),
        ("diagnosis", ["Mass"], [], "'Mass' is no option"),
        ("findings", ["Mass"], ["Clear"], "'Clear' is no option"),
        ("diagnosis", ["clear"], [], "'clear' is no option"),
    ],
)
def test_labels_that_do_not_fit(
    task: str, labels: list[str], uncertain: list[str], said: str
) -> None:
    with pytest.raises(BadLabel, match=said):
        ask(CARD, task, labels, uncertain=uncertain)


def test_prompts() -> None:
    assert prompt("Q?", "multi", ("a", "b")) == "Q? Choose all that apply:\na\nb"
    assert prompt("Q?", "open", ()) == prompt("Q?", "boxes", ("a",)) == "Q?"


def test_translation() -> None:
    assert translate(CARD, "1", where="x") == "Opacity"
    with pytest.raises(BadLabel, match=r"'2' is not mapped.*maps: 0, 1") as raised:
        translate(CARD, "2", where="x")
    assert raised.value.where == "x"


def test_an_annotated_unit() -> None:
    facts = {"labels": ["1"], "uncertain": ["0"], "age": 61, "sex": "female", "context": "Cough."}
    made = answered(CARD, "diagnosis", Unit("k", (), facts=facts))
    assert made["answer"] == "Opacity" and made["uncertain"] == ("Clear",)
    assert (made["age"], made["sex"], made["context"]) == (61, "female", "Cough.")
    with pytest.raises(BadLabel, match="k: the raw label '7'"):
        answered(CARD, "diagnosis", Unit("k", (), facts=facts | {"uncertain": ["7"]}))
