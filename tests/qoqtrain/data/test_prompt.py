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


def test_the_answer_is_not_told() -> None:
    made = record("a", answer="Secret", labels=["Secret"], question="Why?", options=None)
    assert "Secret" not in words(prompt(made, seen_sizes=ONE))
