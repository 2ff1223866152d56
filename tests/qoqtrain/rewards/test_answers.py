"""Labels: normal form, options, synonyms, separators, F1."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from qoqdata.errors import InputError
from qoqtrain.rewards import score
from qoqtrain.rewards.answers import set_f1
from qoqtrain.rewards.text import normal_form, singular
from qoqtrain.rewards.vocabulary import synonym_classes, vocabulary_of

LABELS = ["Atelectasis", "Edema", "Lung Opacity", "Pleural Effusion", "Tumor and Stroma", "Mass"]


def answered(answer: str, truth: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return score([f"\\boxed{{{answer}}}"], [truth], **changes)[0]


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("Melanoma", "melanoma"),
        ("  MELANOMA\t ", "melanoma"),
        ("**Melanoma.**", "melanoma"),
        ("`Melanoma`;", "melanoma"),
        ("\\textbf{Melanoma}", "melanoma"),
        ("\\mathrm{Melanoma}!", "melanoma"),
        ("$\\text{Grade }2$", "grade 2"),
        ("“Melanoma”", "melanoma"),
        ("(Melanoma)", "melanoma"),
        ("pleural_effusion", "pleural effusion"),
        ("Pleural\u00a0Effusion", "pleural effusion"),
        ("\uff2delanoma", "melanoma"),  # full-width M
        ("COVID\u201319", "covid-19"),
        ("Stra\u00dfe", "strasse"),
        ("A\\&B", "a&b"),
        ("mel\x00an\u200boma", "melanoma"),
        ("\\textsection", "\\textsection"),  # not a font macro
        ("?", "?"),
        ("...", "..."),
        ("", ""),
    ],
)
def test_normal_form(text: str, form: str) -> None:
    assert normal_form(text) == form


@given(st.text(max_size=40))
def test_normal_form_does_not_depend_on_the_cache(text: str) -> None:
    assert normal_form(text) == normal_form(" " * 300 + text)


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("no findings", "no finding"),
        ("support devices", "support device"),
        ("mass", "mass"),
        ("atelectasis", "atelectasis"),
        ("thrombus", "thrombus"),
        ("gas", "gas"),
    ],
)
def test_singular(form: str, expected: str) -> None:
    assert singular(form) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Edema", {"edema"}),
        ("Edema, Mass", {"edema", "mass"}),
        ("Edema,Mass;Atelectasis", {"edema", "mass", "atelectasis"}),
        ("Edema, Mass, and Atelectasis", {"edema", "mass", "atelectasis"}),
        ("Edema AND Mass", {"edema", "mass"}),
        ("Edema & Mass", {"edema", "mass"}),
        ("Edema \\& Mass", {"edema", "mass"}),
        ("Edema\u3001Mass", {"edema", "mass"}),
        ("Edema\uff0cMass", {"edema", "mass"}),
        ("- Edema\n- Mass\n", {"edema", "mass"}),
        ("\u2022 Edema\r\n \u2022  Mass", {"edema", "mass"}),
        ('["Edema", "Mass"]', {"edema", "mass"}),
        ("['Edema', 'Mass']", {"edema", "mass"}),
        ("A. Atelectasis, B. Edema", {"atelectasis", "edema"}),
        ("A, B", {"atelectasis", "edema"}),
        ("(f)", {"mass"}),
        ("Z", {"z"}),
        ("G", {"g"}),
        ("A. Mass", {"mass"}),  # the words count where letter and words disagree
        ("Tumor and Stroma", {"tumor and stroma"}),
        ("Edema and tumor and stroma and Mass", {"edema", "tumor and stroma", "mass"}),
        ("Tumor, Stroma", {"tumor", "stroma"}),
        ("Tumor and Mass", {"tumor", "mass"}),
        ("Lung Opacities", {"lung opacities"}),  # not a plain -s
        ("pleural effusions", {"pleural effusion"}),
        ("Edema, Edema, edema.", {"edema"}),
        ("Cardiomegaly", {"cardiomegaly"}),
        ("Sand and Edema", {"sand", "edema"}),
        ("and", {"and"}),
        (",,, ,", set()),
    ],
)
def test_reading_answers_with_a_vocabulary(answer: str, expected: set[str]) -> None:
    assert vocabulary_of(LABELS).read(answer) == expected


def test_labels_that_begin_like_an_option_letter_are_themselves() -> None:
    vocabulary = vocabulary_of(["Normal", "A. Fib/Aflutter", "B"])
    assert vocabulary.read("A. Fib/Aflutter") == {"a. fib/aflutter"}
    assert vocabulary.read("B") == {"b"}  # the label, and not option two
    assert vocabulary.read("A") == {"normal"}


def test_labels_with_commas_survive_when_they_are_options() -> None:
    options = ["Carcinoma, in situ", "Carcinoma", "Normal"]
    truth = {"labels": ["Carcinoma, in situ"], "options": options}
    assert answered("carcinoma, in situ", truth)["answer"] == 1.0
    assert answered("Carcinoma", truth)["answer"] == 0.0
    both = answered("Carcinoma, in situ, Normal", truth)
    assert both["labels"] == ["Carcinoma, in situ", "Normal"]
    assert both["answer"] == pytest.approx(2 / 3)


SYNONYMS = {"heart enlargement": "Cardiomegaly", "big heart": "Cardiomegaly", "PTX": "Pneumothorax"}


@pytest.mark.parametrize(
    ("answer", "truth", "value"),
    [
        ("Big heart", "Cardiomegaly", 1.0),
        ("Cardiomegaly", "heart enlargement", 1.0),  # the truth may use the alias
        ("big heart", "heart enlargement", 1.0),
        ("PTX and Big Heart", "Pneumothorax, Cardiomegaly", 1.0),
        ("A. big heart", "Cardiomegaly", 1.0),
        ("PTX", "Cardiomegaly", 0.0),
    ],
)
def test_synonyms_by_table(answer: str, truth: str, value: float) -> None:
    assert answered(answer, {"answer": truth}, synonyms=SYNONYMS)["answer"] == value
    assert answered(answer, {"answer": truth})["answer"] < 1.0 or answer == truth


def test_synonyms_never_merge_two_options() -> None:
    truth = {"answer": "PTX", "options": ["PTX", "Pneumothorax"]}
    assert answered("Pneumothorax", truth, synonyms=SYNONYMS)["answer"] == 0.0
    assert answered("PTX", truth, synonyms=SYNONYMS)["answer"] == 1.0


@pytest.mark.parametrize("table", [{"a": "b", "A.": "c"}, {"a": "b", "b": "c"}])
def test_a_contradictory_synonym_table_is_refused(table: dict[str, str]) -> None:
    with pytest.raises(InputError):
        synonym_classes(table)


def test_separators_alone_are_no_answer() -> None:
    for answer in (" , ;", ", and ,"):
        ours = answered(answer, {"answer": "Edema"})
        assert (ours["answer"], ours["status"]["answer"]) == (0.0, "no_answer")


def test_yes_and_no_are_whole_words() -> None:
    truth = {"answer": "No", "options": ["Yes", "No"]}
    for answer in ("normal", "not", "nodule", "no yes", "yesno"):
        assert answered(answer, truth)["answer"] == 0.0
    assert answered("no.", truth)["answer"] == 1.0
    assert answered("B", truth)["answer"] == 1.0


def test_labels_take_the_place_of_the_answer() -> None:
    truth = {"answer": "Edema", "labels": ["Edema", "Mass"], "options": LABELS}
    assert answered("Edema, Mass", truth)["answer"] == 1.0
    assert answered("Edema, Mass", {**truth, "labels": []})["answer"] == pytest.approx(2 / 3)


@given(st.sets(st.sampled_from(range(8))), st.sets(st.sampled_from(range(8))))
def test_set_f1_is_the_samples_f1_of_scikit_learn(first: set[int], second: set[int]) -> None:
    rows = np.zeros((2, 8), int)
    rows[0, list(first)] = rows[1, list(second)] = 1
    expected = f1_score(rows[1:], rows[:1], average="samples", zero_division=1.0)
    assert set_f1(first, second) == pytest.approx(expected)
    assert set_f1(first, second) == set_f1(second, first)


@given(
    st.lists(st.sampled_from(LABELS), min_size=1, unique=True),
    st.lists(st.sampled_from(LABELS), min_size=1, unique=True),
    st.randoms(use_true_random=False),
    st.sampled_from([", ", " and ", " & ", ",", "\n", "; "]),
)
def test_f1_of_answers_in_any_order_and_with_any_separator(
    claimed: list[str], right: list[str], random: Any, separator: str
) -> None:
    hits = len(set(claimed) & set(right))
    expected = 2 * hits / (len(claimed) + len(right))
    shuffled = random.sample(claimed, len(claimed))
    swapped = random.sample(right, len(right))
    for truth in ({"labels": right}, {"labels": swapped}, {"answer": ", ".join(swapped)}):
        ours = answered(separator.join(shuffled), {**truth, "options": LABELS}, min_precision=0.0)
        assert ours["answer"] == pytest.approx(expected)
        assert ours["labels"] == sorted(claimed)


@given(st.lists(st.sampled_from(LABELS), unique=True, min_size=1), st.integers(0, 5))
def test_precision_floor(right: list[str], wrong: int) -> None:
    """One right label among wrong ones scores from a precision of one quarter on."""
    answer = ", ".join([right[0], *(f"invented {i}" for i in range(wrong))])
    value = answered(answer, {"labels": right, "options": LABELS})["answer"]
    assert (value > 0) == (wrong <= 3)
