"""What a policy is told."""

from __future__ import annotations

from typing import Any

import pytest

from qoqdata.question import with_options
from qoqtrain.data.prompt import (
    EcgWindowPlace,
    ImagePlace,
    TextPart,
    captions,
    prompt,
)
from tests.qoqtrain.model.clinical import QUESTION, images, record

ONE, TWO = ((4, 4),), ((4, 4), (4, 4))


def words(parts: list[Any]) -> str:
    names = {ImagePlace: "[image {}]", EcgWindowPlace: "[window {}]"}
    return "".join(
        part.text if isinstance(part, TextPart) else names[type(part)].format(part.index)
        for part in parts
    )


def test_a_single_image() -> None:
    told = words(prompt(record("a", **images(0, (4, 4))), seen_sizes=ONE))
    assert told == (
        f"[image 0]\n{QUESTION}\n\n"
        "First reason step by step between <think> and </think>. "
        "End with the final answer in \\boxed{}. "
        "The answer is one of the options, word for word."
    )


def test_slices_are_numbered_in_order_and_named() -> None:
    made = record("a", modality="volume_3d", **images(0, (4, 4), (4, 4)))
    made["image_info"][1] |= {"view": "axial", "window": {"name": "lung", "centre": -600.0}}
    told = words(prompt(made, seen_sizes=TWO))
    assert told.startswith("Slice 1: [image 0]\nSlice 2 (axial, lung): [image 1]\n")


@pytest.mark.parametrize(
    ("modality", "noun"), [("video", "Frame"), ("image_2d", "Image"), ("multimodal", "Image")]
)
def test_nouns(modality: str, noun: str) -> None:
    assert captions({"modality": modality}, 2) == [f"{noun} 1", f"{noun} 2"]


def test_windows_come_behind_images_and_before_words() -> None:
    made = record("a", context="A report.", **images(0, (4, 4)))
    told = words(prompt(made, seen_sizes=ONE, windows=["ECG (10 s)"]))
    assert told.startswith(
        f"[image 0]\nECG (10 s): [window 0]\nContext:\nA report.\n\n{QUESTION}\n\n"
    )


def test_what_is_absent_leaves_no_trace() -> None:
    told = words(prompt(record("a", context="Words."), seen_sizes=()))
    for trace in ("[", "ECG", "Image", "image", "Slice"):
        assert trace not in told


def test_options_are_listed_once() -> None:
    assert with_options("Which?\nNormal\nAbnormal", ["Normal", "Abnormal"]).count("Normal") == 1
    assert with_options("Which?", ["Normal", "Abnormal"]) == "Which?\nOptions:\nNormal\nAbnormal"
    # "Normal" is a part of "Abnormal or Normal", yet no option of its own there.
    assert with_options("Abnormal or Normal?", ["Normal"]).endswith("Options:\nNormal")
    assert with_options("What is it?", None) == "What is it?"


class TestBoxes:
    """Regions are asked for only where the record knows them."""

    def told(self, regions: Any, **options: Any) -> str:
        made = record("a", regions=regions, **images(0, (4, 4), (4, 4)))
        return words(prompt(made, **{"seen_sizes": TWO, **options}))

    def test_asked(self) -> None:
        region = {"label": "x", "image": 0, "x_min": 0, "y_min": 0, "x_max": 1, "y_max": 1}
        # That there is nothing to find must not show in the question.
        assert self.told([region]) == self.told([])
        assert '"bbox_2d": [x1, y1, x2, y2]' in self.told([])
        assert "bbox_2d" not in self.told(None)

    def test_units(self) -> None:
        assert "pixels" in self.told([]) and "thousandths" not in self.told([])
        thousandths = self.told([], frame="thousandths")
        assert "thousandths" in thousandths and "pixels" not in thousandths

    def test_the_image_is_named_where_there_are_several(self) -> None:
        assert '"image"' in self.told([])
        assert '"image"' not in self.told([], seen_sizes=ONE)

    def test_never_and_always(self) -> None:
        assert "bbox_2d" not in self.told([], boxes="never")
        assert "bbox_2d" in self.told(None, boxes="always")
        assert "bbox_2d" not in self.told([], seen_sizes=(), boxes="always")


def test_open_questions_have_no_word_on_options() -> None:
    told = words(prompt(record("a", options=None, question="Why?"), seen_sizes=ONE))
    assert "options" not in told and told.endswith("\\boxed{}.")


@pytest.mark.parametrize(
    ("columns", "words_told"),
    [
        ({"kind": "single"}, "The answer is one of the options, word for word."),
        ({"kind": "multi"}, "Where several options apply, separate them by commas."),
        ({"kind": "choice"}, "The answer is one of the options, word for word."),
        ({"kind": "number", "number": {"value": 0.0, "unit": None}}, "one of the options"),
        (
            {"kind": "number", "options": None, "number": {"unit": "mm[Hg]"}},
            "The answer is a number; its unit is mmHg.",
        ),
        (
            {"kind": "number", "options": None, "number": {"unit": "{beats}/min"}},
            "The answer is a number; its unit is per minute.",
        ),
        ({"kind": "number", "options": None, "number": {"unit": None}}, "The answer is a number."),
        ({"kind": "open", "options": None}, "\\boxed{}."),
    ],
)
def test_the_form_of_the_answer_goes_by_the_kind(columns: Any, words_told: str) -> None:
    """Options of a choice may hold commas, so nothing is said of separating several."""
    told = words(prompt(record("a", **columns), seen_sizes=ONE))
    assert words_told in told.splitlines()[-1]
    assert ("commas" in told) == (columns["kind"] == "multi")


def test_a_unit_that_the_question_names_is_not_told_again() -> None:
    def told(question: str) -> str:
        made = record("a", kind="number", options=None, number={"unit": "mm"}, question=question)
        return words(prompt(made, seen_sizes=ONE))

    assert told("How wide? Answer with a number in mm.").count("mm") == 1
    assert told("Is it a hammock?").endswith("its unit is mm.")


def test_given_regions_are_told_and_only_targets_are_asked_for() -> None:
    corners = {"x_min": 0.0, "y_min": 1.0, "x_max": 2.0, "y_max": 4.0}
    given = {"label": "spot", "image": 1, "role": "given", "reader": "R1", **corners}
    made = record("a", regions=[given], **images(0, (4, 4), (4, 4)))
    told = words(prompt(made, seen_sizes=((4, 4), (8, 8))))
    assert "spot in Image 2: [0, 2, 4, 8]\n\nFirst reason" in told
    assert "bbox_2d" not in told and "R1" not in told
    wanted = {**given, "role": "target", "label": "hidden"}
    told = words(prompt({**made, "regions": [given, wanted]}, seen_sizes=((4, 4), (8, 8))))
    assert "bbox_2d" in told and "hidden" not in told


def test_the_answer_is_not_told() -> None:
    made = record("a", answer="Secret", labels=["Secret"], question="Why?", options=None)
    assert "Secret" not in words(prompt(made, seen_sizes=ONE))
