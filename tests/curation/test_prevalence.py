"""Labels against published counts: mappings that are wrong throughout are told by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import qoqdata as library
from qoqdata.curation.audit.prevalence import AGREES, CHOSEN, FEW, LIMITED, PREVALENCE, verdict_on
from tests.cli.conftest import qoqdata  # noqa: F401
from tests.curation.film_table import Film, built, requested
from tests.pipeline.conftest import mapping as film_mapping

#: Breast ultrasound, as published.
PUBLISHED = {"benign": 437, "malignant": 210, "normal": 133}


def counts(benign: int = 0, malignant: int = 0, normal: int = 0, **more: int) -> dict[str, int]:
    found = {"benign": benign, "malignant": malignant, "normal": normal} | more
    return {label: count for label, count in found.items() if count}


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (PUBLISHED, AGREES),
        # Three quarantined units, of any class.
        (counts(435, 210, 132), AGREES),
        (counts(437, 207, 133), AGREES),
        (counts(40, 20, 13), AGREES),
        (counts(1), FEW),
        (counts(8, 2, 2), FEW),
        (counts(210, 437, 133), "swapped: benign, malignant"),
        (counts(105, 218, 66), "swapped: benign, malignant"),
        (counts(133, 437, 210), "swapped: benign, malignant, normal"),
        (counts(437, 343), "merged: normal answered as malignant"),
        (counts(218, 172), "merged: normal answered as malignant"),
        (counts(437, Other=343), "merged: malignant, normal answered as Other"),
        (counts(780), "merged: malignant, normal answered as benign"),
        (counts(437, 210, healthy=133), "renamed: normal answered as healthy"),
        (counts(437, 210), "left out: normal"),
        (counts(437), "left out: malignant, normal"),
        # One label wrong in a complete copy, and eight.
        (counts(438, 209, 133), "other counts: benign 438 times instead of 437"),
        (counts(437, 202, 141), "other counts: normal 141 times instead of 133"),
        # Parts that somebody chose: no mapping explains them, and a copy has so many.
        (counts(200), CHOSEN),
        (counts(60, 60, 60), CHOSEN),
        (counts(137, 110, 33), CHOSEN),
    ],
)
def test_the_mapping_that_explains_the_counts(found: dict[str, int], verdict: str) -> None:
    assert verdict_on(found, PUBLISHED, questions=sum(found.values())) == verdict


def test_a_larger_copy_is_held_against_its_shares() -> None:
    doubled = {label: 2 * count for label, count in PUBLISHED.items()}
    assert verdict_on(doubled, PUBLISHED, questions=1560) == AGREES
    swapped = counts(420, 874, 266)
    assert verdict_on(swapped, PUBLISHED, questions=1560) == "swapped: benign, malignant"


def test_inverted_answers_of_two() -> None:
    published = {"No": 900, "Yes": 100}
    assert verdict_on({"No": 100, "Yes": 900}, published, questions=1000) == "inverted: No, Yes"
    assert verdict_on({"No": 11, "Yes": 89}, published, questions=100) == "inverted: No, Yes"
    # Ten questions tell nothing, nor do answers that are as common as each other.
    assert verdict_on({"No": 9, "Yes": 1}, published, questions=10) == FEW
    assert verdict_on({"No": 50, "Yes": 50}, {"No": 50, "Yes": 50}, questions=100) == AGREES


def test_the_first_units_of_a_copy_are_no_sample() -> None:
    for found in (counts(200), counts(105, 218, 66)):
        assert verdict_on(found, PUBLISHED, questions=1, limited=True) == LIMITED
    found = counts(200, Other=5)
    assert verdict_on(found, PUBLISHED, questions=205, limited=True) != LIMITED


def test_one_of_several_labels() -> None:
    """Three labels in 200 questions, 300 times together."""
    published = {"a": 150, "b": 100, "c": 50}
    taken = {"a": 90, "b": 70, "c": 40}
    assert verdict_on(taken, published, questions=200) == AGREES
    told = verdict_on(taken, published, questions=200, published_questions=200)
    assert told == "one of several: each question has one label"
    assert verdict_on(published, published, questions=200, published_questions=200) == AGREES
    few = {"a": 3, "b": 2, "c": 1}
    assert verdict_on(few, published, questions=6, published_questions=200) == FEW


@pytest.mark.parametrize("part", [1, 2, 5])
def test_parts_drawn_by_chance_agree(part: int) -> None:
    """Of 300 random parts none is told."""
    rng = np.random.default_rng(part)
    labels = np.repeat([*PUBLISHED], [*PUBLISHED.values()])
    for _ in range(100):
        drawn = rng.choice(labels, len(labels) // part - 1, replace=False)
        found = dict(zip(*np.unique(drawn, return_counts=True), strict=True))
        assert verdict_on(found, PUBLISHED, questions=len(drawn)) == AGREES


EXPECTED = {"counts": {"Clear": 10, "Opaque": 30}, "according_to": "the hospital's own list"}


def films(label: Callable[[int], str]) -> list[Film]:
    rng = np.random.default_rng(0)
    return [
        Film(f"f{n}.png", label(n), f"p{n}", "train", rng.integers(0, 256, (40, 40, 3), np.uint8))
        for n in range(40)
    ]


def test_the_audit_the_command_and_the_page_tell_it(
    tmp_path: Path,
    qoqdata: Callable,  # noqa: F811
) -> None:
    sound = built(tmp_path / "sound", films(lambda n: "baaa"[n % 4][::-1]), expected=EXPECTED)
    found = library.audit(sound)
    assert dict(found.prevalence.schema) == PREVALENCE
    row = {"source": "films", "task": "diagnosis", "split": None, "questions": 40}
    assert found.mismapped.row(0, named=True) == row | {
        "found": 40,
        "published": 40,
        "most": "Clear",
        "share": 0.75,
        "share_published": 0.25,
        "verdict": "inverted: Clear, Opaque",
    }
    code, out, _ = qoqdata("audit", sound.root)
    assert code == 1 and "inverted: Clear, Opaque" in out
    code, out, _ = qoqdata("audit", sound.root, "--json")
    assert code == 1 and json.loads(out)["prevalence"] == found.prevalence.to_dicts()
    library.card(sound)
    page = (sound.root / "README.md").read_text("utf-8")
    assert "inverted: Clear, Opaque" in page and "the hospital's own list" in page

    right = built(tmp_path / "right", films(lambda n: "abbb"[n % 4]), expected=EXPECTED)
    assert library.audit(right).prevalence["verdict"].to_list() == [AGREES]
    assert qoqdata("audit", right.root)[0] == 0
    merged = built(tmp_path / "merged", films(lambda _: "a"), expected=EXPECTED)
    told = library.audit(merged).mismapped["verdict"].to_list()
    assert told == ["merged: Opaque answered as Clear"]


def test_a_build_of_a_whole_source_tells_it(
    tmp_path: Path,
    qoqdata: Callable,  # noqa: F811
) -> None:
    """By the counts of the mapping: 10 clear ones and 30 opaque ones, which change places here."""

    def said(label: Callable[[int], str], count: int = 40) -> tuple[int, str, list[dict]]:
        root = tmp_path / f"{label(0)}{label(1)}{count}"
        mapping = root / "mapping.yaml"
        requested(root / "again", films(label)[:count], "films", expected=EXPECTED)
        own = film_mapping("films") | {"expected": EXPECTED}
        own["table"] |= {"split": "set", "context": "note"}
        mapping.write_text(json.dumps(own))
        call = ("build", "image_table", "--raw", root / "again", "--mapping", mapping)
        code, out, _ = qoqdata(*call, "--workers", 0, "--out", root / "one")
        told = json.loads(qoqdata(*call, "--workers", 0, "--out", root / "two", "--json")[1])
        return code, " ".join(out.split()), told["unlikely_labels"]

    line = "films, diagnosis: Clear is right 30 times, where published counts have 10 (inverted:"
    code, out, told = said(lambda n: "baaa"[n % 4])
    assert code == 0 and line in out and "more: qoqdata audit" in out
    assert told == [
        {
            "source": "films",
            "task": "diagnosis",
            "label": "Clear",
            "expected": 10,
            "found": 30,
            "verdict": "inverted: Clear, Opaque",
        }
    ]
    assert said(lambda n: "abbb"[n % 4])[2] == []
    # A part of a copy is for the audit: which part it is, a build cannot know.
    code, out, told = said(lambda n: "baaa"[n % 4], 36)
    assert told == [] and "published counts" not in out
