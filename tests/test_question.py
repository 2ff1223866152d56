"""What is asked, in words: options, letters, given regions. Coordinates are worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from qoqdata.errors import InputError, Misaligned
from qoqdata.question import question_text, shows_letters, targets, with_options
from tests.records.sound_rows import facts, image_row, region


def lesion(image: int = 0, **changes: Any) -> dict[str, Any]:
    own = {"x_min": 20.0, "y_min": 10.0, "x_max": 61.0, "y_max": 40.0, "reader": "R1"}
    return region(label="lesion", image=image, role="given", **own | changes)


def row(*regions: dict[str, Any], images: int = 1, **changes: Any) -> dict[str, Any]:
    """A record with images of 200 x 100 stored pixels."""
    info = [facts(width=200, height=100)] * images
    asked = {"question": "Is this lesion malignant?", "options": None, "context": None}
    return image_row(image_info=info, regions=list(regions), **asked | changes)


def test_a_given_region_is_told_in_pixels_of_the_image_as_seen() -> None:
    told = question_text(row(lesion()), seen_sizes=[(100, 40)], frame="pixels")
    # x: 20 / 2 and 61 / 2 = 30.5, halves up; y: 10 * 0.4 and 40 * 0.4.
    assert told == (
        "Is this lesion malignant?\n"
        "Given as [x1, y1, x2, y2], corners in pixels of the image as you see it, from its upper"
        " left corner:\n"
        "lesion: [10, 4, 31, 16]"
    )


def test_a_given_region_is_told_in_thousandths_whatever_the_size() -> None:
    for seen in ((100, 40), (700, 900)):
        told = question_text(row(lesion()), seen_sizes=[seen], frame="thousandths")
        # 20, 61 of 200 and 10, 40 of 100.
        assert told.endswith("from its upper left corner:\nlesion: [100, 100, 305, 400]")
        assert "pixels" not in told


def test_no_side_of_a_given_region_vanishes() -> None:
    thin = lesion(x_min=196.0, x_max=196.5, y_min=99.0, y_max=100.0)
    told = question_text(row(thin), seen_sizes=[(20, 10)], frame="pixels")
    assert told.endswith("lesion: [19, 9, 20, 10]")


def test_the_image_is_named_where_there_are_several_and_the_reader_never() -> None:
    given = row(lesion(1), lesion(0, reader="R2"), images=2, modality="volume_3d")
    told = question_text(given, seen_sizes=[(200, 100)] * 2, frame="pixels")
    lines = ["lesion in Slice 2: [20, 10, 61, 40]", "lesion in Slice 1: [20, 10, 61, 40]"]
    assert told.splitlines()[-2:] == lines
    assert "R1" not in told and "R2" not in told


def test_targets_are_not_told() -> None:
    wanted = row(region(label="secret"), lesion())
    told = question_text(wanted, seen_sizes=[(200, 100)], frame="pixels")
    assert "secret" not in told and told.count("[") == 2
    assert question_text(row(region()), seen_sizes=[(9, 9)], frame="pixels") == row()["question"]


def test_a_given_region_that_is_not_shown_is_refused() -> None:
    with pytest.raises(Misaligned, match="given region is on image 1 of 1 that are shown"):
        question_text(row(lesion(1), images=2), seen_sizes=[(200, 100)], frame="pixels")
    with pytest.raises(Misaligned, match="image 0 of 0"):
        question_text(row(lesion(), context="Words."), seen_sizes=[], frame="pixels")
    with pytest.raises(InputError, match="leaves the image"):
        question_text(row(lesion(x_max=201.0)), seen_sizes=[(200, 100)], frame="pixels")


def test_context_comes_first_and_given_regions_last() -> None:
    asked = row(lesion(), context="A report.", options=["Yes", "No, it is not"])
    told = question_text(asked, seen_sizes=[(200, 100)], frame="pixels").splitlines()
    assert told[:3] == ["Context:", "A report.", ""]
    assert told[3:7] == ["Is this lesion malignant?", "Options:", "Yes", "No, it is not"]
    assert told[-1] == "lesion: [20, 10, 61, 40]"


def test_options_of_several_lines_are_found_whole() -> None:
    option = "Left upper lobe,\nand lingula"
    assert with_options(f"Where?\n{option}\nNowhere", [option, "Nowhere"]).count("lingula") == 1
    assert with_options("Where?\nNowhere", [option, "Nowhere"]).count("Nowhere") == 2


@pytest.mark.parametrize("form", ["{}. {}", "{}) {}", "({}) {}", "{}: {}"])
def test_letters_are_shown_only_with_every_option_in_order(form: str) -> None:
    options = ["Edema, left", "Mass"]
    lettered = "\n".join(form.format(*pair) for pair in zip("AB", options, strict=True))
    swapped = "\n".join(form.format(*pair) for pair in zip("BA", options, strict=True))
    assert shows_letters(f"Which?\n{lettered}", options)
    assert with_options(f"Which?\n{lettered}", options).count("Mass") == 1
    assert not shows_letters(f"Which?\n{swapped}", options)
    assert not shows_letters(f"Which?\n{lettered}", [*options, "Cyst"])
    assert not shows_letters("Which?\nEdema, left\nMass", options)
    assert not shows_letters("Which?", None)


def test_regions_that_are_all_given_say_nothing_of_others() -> None:
    found, given = region(), lesion()
    assert targets(None, "single") is None
    assert targets([], "single") == []
    assert targets([found, given], "single") == [found]
    assert targets([given], "single") is None
    # Where boxes are the answer, none besides the given one is an answer too.
    assert targets([given], "boxes") == []
