"""The table of spellings: right answers as policies write them, and wrong ones that look alike."""

from __future__ import annotations

import pytest

from qoqtrain.rewards import score
from qoqtrain.rewards.spellings import lettered, without_lead

OPTIONS = ["Pneumonia", "Edema", "Pleural effusion", "No finding"]
ONE = {"answer": "Edema", "options": OPTIONS, "kind": "single"}
CHOICE = {"answer": "Edema", "options": OPTIONS, "kind": "choice", "letters": True}
TWO = {"answer": "Edema, Pleural effusion", "options": OPTIONS}

RIGHT = [
    r"\boxed{Edema}",
    r"\boxed{B}",
    r"\boxed{B. Edema}",
    r"\boxed{B) Edema}",
    r"\boxed{(B) Edema}",
    r"\boxed{[B] Edema}",
    r"\boxed{B: Edema}",
    r"\boxed{B - Edema}",
    "\\boxed{B \u2013 Edema}",
    r"\boxed{Option B}",
    r"\boxed{Option B: Edema}",
    r"\boxed{\text{B}}",
    r"\boxed{\text{Edema}}",
    r"\boxed{\quad Edema}",
    r"\boxed{\large Edema}",
    r"\boxed{\mbox{Edema}}",
    r"\boxed{\boxed{Edema}}",
    "\\boxed\n{Edema}",
    r"\fbox{Edema}",
    r"\boxed{Answer: Edema}",
    r"\boxed{2. Edema}",
    r"\boxed{- Edema}",
    r"\boxed{Edema~}",
    r"\boxed{Edema} and \boxed{Edema}",
    r"$$\boxed{\mathbf{Edema}.}$$",
]
RIGHT_TWO = [
    "\\boxed{1. Edema\n2. Pleural effusion}",
    "\\boxed{- Edema\n- Pleural effusion}",
    r"\boxed{Edema \\ Pleural effusion}",
    r"\boxed{\text{Edema},\quad\text{Pleural effusion}}",
    r"\boxed{Edema, and Pleural effusion}",
    r"\boxed{Edema | Pleural effusion}",
    r"\boxed{B, C}",
    r'\boxed{["Edema", "Pleural effusion"]}',
    r"\boxed{Edema} and \boxed{Pleural effusion}",
]
WRONG = [
    r"\boxed{No edema}",
    r"\boxed{not Edema}",
    r"\boxed{Edema or Pneumonia}",
    r"\boxed{Pneumonia} or \boxed{Edema}",
    "\\boxed{Pneumonia}\n\\boxed{Edema}",
    r"\boxed{Pneumonia, Edema}",
    r"\boxed{C}",
    r"\boxed{Option C}",
    r"\boxed{2}",
    r"\boxed{Bedema}",
    "Edema",
]


@pytest.mark.parametrize("response", RIGHT)
@pytest.mark.parametrize("truth", [ONE, CHOICE], ids=["single", "choice"])
def test_a_right_answer_is_right_however_it_is_spelled(
    response: str, truth: dict[str, object]
) -> None:
    (found,) = score([response], [truth], "accuracy")
    assert found["answer"] == 1.0, found


@pytest.mark.parametrize("response", RIGHT_TWO)
def test_lists_are_read_however_they_are_spelled(response: str) -> None:
    (found,) = score([response], [TWO], "accuracy")
    assert found["answer"] == 1.0, found


@pytest.mark.parametrize("response", WRONG)
@pytest.mark.parametrize("truth", [ONE, CHOICE], ids=["single", "choice"])
def test_a_wrong_answer_is_wrong(response: str, truth: dict[str, object]) -> None:
    assert score([response], [truth], "accuracy")[0]["answer"] == 0.0


def test_labels_that_look_like_a_spelling_are_themselves() -> None:
    options = ["A. Fib", "B-cell lymphoma", "Answer: none", "C"]
    for option in options:
        truth = {"answer": option, "options": options, "kind": "single"}
        assert score([rf"\boxed{{{option}}}"], [truth], "accuracy")[0]["answer"] == 1.0
    # The label called C is meant, not the third option.
    truth = {"answer": "Answer: none", "options": options, "kind": "single"}
    assert score([r"\boxed{C}"], [truth], "accuracy")[0]["answer"] == 0.0


def test_a_letter_before_another_option_is_no_choice() -> None:
    (found,) = score([r"\boxed{C. Edema}"], [CHOICE], "accuracy")
    assert (found["answer"], found["status"]["answer"]) == (0.0, "not_an_option")


def test_what_is_taken_off() -> None:
    assert without_lead("final answer: 2. edema") == "edema"
    assert without_lead("answering machine") == "answering machine"
    assert lettered("option b: edema") == (1, "edema")
    assert lettered("(b)") == (1, "") and lettered("b-cell") is None
