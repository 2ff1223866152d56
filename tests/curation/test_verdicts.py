"""A curated data set trains on no image that it is tested on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest

from qoqdata.curation.decisions import decide, undo
from qoqdata.curation.leakage import LEAKS
from qoqdata.curation.recipe import CurationRecipe, Duplicates, Leakage, Likeness
from qoqdata.curation.verdicts import curate
from qoqdata.dataset import Dataset, open_dataset
from tests.curation.films import FILMS, in_train, leaky_set
from tests.scenes import scene


@pytest.fixture
def leaky(tmp_path: Path) -> Dataset:
    return leaky_set(tmp_path)


def named(dataset: Dataset) -> dict[str, str]:
    """Record id to the film's file, told by the size and split of the stored image."""
    facts = {
        (split, pixels.shape[0], round(float(pixels.mean()))): name for name, split, pixels in FILMS
    }
    found = {}
    for split in ("train", "validation", "test"):
        stream = dataset.stream(split, images="array", shuffle=False, epochs=1, workers=0)
        for record in stream:
            (image,) = record["images"]
            near = min(
                (key for key in facts if key[:2] == (split, image.shape[0])),
                key=lambda key: abs(key[2] - image.mean()),
            )
            found[record["id"]] = facts[near]
    return found


def test_what_is_trained_on_sooner_goes(leaky: Dataset) -> None:
    name_of = named(leaky)
    assert sorted(name_of.values()) == sorted(name for name, _, _ in FILMS)
    result = curate(leaky, CurationRecipe())
    assert result.leaks is not None
    assert dict(result.leaks.schema) == LEAKS | {"outcome": pl.String}
    pairs = {(name_of[a], name_of[b]) for a, b in result.leaks.select("id", "other").iter_rows()}
    assert pairs == {
        ("train_of_test.png", "test_one.png"),
        ("train_of_validation.jpg", "validation_own.png"),
        ("validation_of_test.png", "test_two.jpg"),
    }
    again = open_dataset(leaky.root)
    assert set(named(again).values()) == {
        *("train_own.png", "validation_own.png", "test_one.png", "test_two.jpg"),
    }
    verdicts = pl.read_parquet(again.layout.verdicts)
    assert sorted(verdicts["rule"]) == ["leakage"] * 3 + ["quality"] * 2
    blank = verdicts.filter(rule="quality")
    assert {name_of[id_] for id_ in blank["id"]} == {"train_black.png", "test_black.png"}
    assert set(blank["reason"]) == {"blank"}
    verdicts = verdicts.filter(rule="leakage")
    evidence = {name_of[a]: name_of[b] for a, b in verdicts.select("id", "evidence").iter_rows()}
    assert evidence == dict(pairs)


def test_a_second_pass_decides_the_same(leaky: Dataset) -> None:
    first = curate(leaky, CurationRecipe())
    second = curate(open_dataset(leaky.root), CurationRecipe())
    assert first.verdicts.equals(second.verdicts)


def test_reports_change_nothing_and_skipping_takes_verdicts_back(leaky: Dataset) -> None:
    reported = curate(leaky, CurationRecipe(leakage=Leakage(on_finding="report")))
    assert reported.leaks is not None and reported.leaks.height == 3
    assert set(reported.verdicts["rule"]) == {"quality"}
    curate(leaky, CurationRecipe())
    assert leaky.layout.leakage_findings.is_file()
    skipped = curate(leaky, CurationRecipe(leakage=Leakage(on_finding="skip")))
    assert skipped.leaks is None
    assert set(skipped.verdicts["rule"]) == {"quality"}
    assert not leaky.layout.leakage_findings.exists()


def test_a_stricter_recipe_finds_less(leaky: Dataset) -> None:
    same = curate(leaky, CurationRecipe(likeness=Likeness(radius=0, detail=1.0)))
    assert same.leaks is not None
    assert same.leaks.height <= 1


def test_equal_films_are_trained_on_once_and_a_contradiction_is_told(tmp_path: Path) -> None:
    films = {"a1.png": scene(1), "a2.png": scene(1), "b3.png": scene(1), "a4.png": scene(2)}
    dataset = in_train(tmp_path, films)
    answers = {row["id"]: row["answer"] for row in dataset}
    found = curate(dataset, CurationRecipe()).duplicates
    assert found["copy"].to_list() == ["equal"] * 2
    assert found["outcome"].to_list() == ["dropped"] * 2
    (kept,) = set(found["kept"])
    for id_, contradicts in found.select("id", "contradicts").iter_rows():
        assert contradicts == (answers[id_] != answers[kept])
    assert found["contradicts"].any()
    again = open_dataset(dataset.root)
    assert len(again) == 2
    assert kept in {row["id"] for row in again}


def test_what_is_dropped_for_another_reason_represents_no_copy(tmp_path: Path) -> None:
    """Somebody drops the first of three: the second stands for it, until that is taken back."""
    films = {"a1.png": scene(1), "b2.png": scene(1), "b3.png": scene(1), "a4.png": scene(2)}
    dataset = in_train(tmp_path, films)
    curate(dataset, CurationRecipe())
    copies = pl.read_parquet(dataset.layout.duplicates)
    (first,) = set(copies["kept"])
    decide(dataset, first, False, "the wrong answer", "ana")
    curate(open_dataset(dataset.root), CurationRecipe())
    kept = {row["id"] for row in open_dataset(dataset.root)}
    assert first not in kept and len(kept & set(copies["id"])) == 1 and len(kept) == 2
    again = curate(open_dataset(dataset.root), CurationRecipe()).verdicts
    assert again.equals(curate(open_dataset(dataset.root), CurationRecipe()).verdicts)
    undo(dataset, first, "ana")
    curate(open_dataset(dataset.root), CurationRecipe())
    assert pl.read_parquet(dataset.layout.duplicates).equals(copies)


@pytest.mark.parametrize(
    ("name", "change", "way"),
    [
        ("a2.jpg", lambda film: film, "upright"),
        ("a2.png", lambda film: film[:, ::-1], "flipped"),
        ("a2.png", lambda film: np.rot90(film), "turned"),
        ("a2.png", lambda film: cv2.resize(film, None, fx=0.6, fy=0.6), "upright"),
    ],
)
def test_changed_copies_are_reported_and_dropped_if_asked(
    tmp_path: Path, name: str, change: Callable[[np.ndarray], np.ndarray], way: str
) -> None:
    dataset = in_train(tmp_path, {"a1.png": scene(1), name: change(scene(1)), "a3.png": scene(2)})
    reported = curate(dataset, CurationRecipe())
    assert reported.duplicates["copy"].to_list() == ["alike"]
    assert reported.duplicates["outcome"].to_list() == ["reported"]
    assert reported.duplicates["way"][0].startswith(way)
    assert reported.verdicts.height == 0
    asked = curate(dataset, CurationRecipe(duplicates=Duplicates(alike="drop")))
    assert asked.verdicts["evidence"].to_list() == asked.duplicates["kept"].to_list()
    assert len(open_dataset(dataset.root)) == 2
