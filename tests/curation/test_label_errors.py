"""Answers that are likely wrong: planted ones are found, and a recipe drops them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import qoqdata as library
from qoqdata.curation.audit.label_errors import LABEL_ERRORS, probabilities
from qoqdata.dataset import Dataset, open_dataset
from tests.cli.conftest import qoqdata  # noqa: F401
from tests.curation.film_table import Film, built

FILMS, WRONG = 120, (7, 30, 55, 56, 91, 118)


@pytest.fixture
def films(tmp_path: Path) -> Dataset:
    """Dark films are Clear and bright ones Opaque, but for WRONG, which say the opposite."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(FILMS):
        bright = number % 2
        level = 150 if bright else 60
        pixels = np.clip(rng.normal(level, 20, (48, 48)), 0, 255).astype(np.uint8)
        label = "ab"[bright ^ (number in WRONG)]
        note = "x" * (number + 1)
        rows.append(Film(f"f{number}.png", label, f"p{number}", "train", pixels, note))
    return built(tmp_path, rows)


def _numbers(dataset: Dataset, ids: pl.Series) -> list[int]:
    """The numbers of films, which the length of their context tells."""
    texts = pl.DataFrame(dataset.files.leaves(["id", "context"]))
    of = dict(texts.select("id", pl.col("context").str.len_chars()).iter_rows())
    return sorted(of[id_] - 1 for id_ in ids)


def test_planted_errors_are_found_and_dropped_where_a_recipe_says_so(films: Dataset) -> None:
    pytest.importorskip("cleanlab")
    found = library.audit(films, label_errors=True).label_errors
    assert found is not None and dict(found.schema) == LABEL_ERRORS
    numbers = _numbers(films, found["id"])
    hits = set(numbers) & set(WRONG)
    assert len(hits) == len(WRONG)  # recall 1
    assert len(hits) / len(numbers) >= 0.8  # precision
    for row in found.iter_rows(named=True):
        assert row["answer"] != row["likelier"]
        assert row["likelier_confidence"] > row["confidence"]
    # Reported by default.
    assert not library.curate(films).verdicts.filter(rule="label_error").height
    recipe = {"label_errors": {"on_finding": "drop"}}
    verdicts = library.curate(films, recipe=recipe).verdicts.filter(rule="label_error")
    assert _numbers(films, verdicts["id"]) == numbers
    assert not verdicts["keep"].any()
    assert verdicts["evidence"].str.contains(r"^(Clear|Opaque) 0\.\d+ against 0\.\d+$").all()
    assert verdicts["reason"][0].endswith("is likely wrong")
    # Another audit does not ask about what was dropped, and so does not take it back.
    again = library.audit(open_dataset(films.root), label_errors=True).label_errors
    assert again is not None and set(again["id"]) >= set(verdicts["id"])


def test_an_answer_that_has_changed_since_is_not_dropped(films: Dataset) -> None:
    ids = pl.DataFrame(films.files.leaves(["id", "answer"])).select("id", "answer")
    rows = ids.head(2).with_columns(
        answer=pl.Series([ids["answer"][0], "Another"]),
        **dict.fromkeys(("source", "task"), pl.lit("x")),
        split=pl.lit("train"),
        likelier=pl.lit("Opaque"),
        confidence=pl.lit(0.1),
        likelier_confidence=pl.lit(0.9),
    )
    rows.select(list(LABEL_ERRORS)).write_parquet(films.layout.label_errors)
    recipe = {"label_errors": {"on_finding": "drop"}}
    verdicts = library.curate(films, recipe=recipe).verdicts.filter(rule="label_error")
    assert verdicts["id"].to_list() == [ids["id"][0]]


def test_the_command_lists_them_and_exits_by_them(
    films: Dataset,
    qoqdata: Callable,  # noqa: F811
) -> None:
    pytest.importorskip("cleanlab")
    assert qoqdata("audit", films.root)[0] == 0
    code, out, _ = qoqdata("audit", films.root, "--label-errors")
    assert code == 1 and "answers that are likely wrong" in out
    code, out, _ = qoqdata("audit", films.root, "--label-errors", "--json")
    found = json.loads(out)["label_errors"]
    ids = pl.Series([row["id"] for row in found])
    assert code == 1 and set(_numbers(films, ids)) >= set(WRONG)
    assert pl.read_parquet(films.layout.label_errors).to_dicts() == found


def test_shares_of_scores_by_hand() -> None:
    given = probabilities(np.array([[0.75, 0.25], [1.5, -0.5], [0.0, 0.0]]))
    np.testing.assert_allclose(given[0], [0.75, 0.25])
    np.testing.assert_allclose(given[1], [1.5 / 1.501, 0.001 / 1.501])
    np.testing.assert_allclose(given[2], [0.5, 0.5])


def test_without_the_package_one_line_tells_what_to_install(
    films: Dataset,
    monkeypatch: pytest.MonkeyPatch,
    qoqdata: Callable,  # noqa: F811
) -> None:
    monkeypatch.setitem(sys.modules, "cleanlab", None)
    monkeypatch.setitem(sys.modules, "cleanlab.filter", None)
    code, out, err = qoqdata("audit", films.root, "--label-errors")
    assert code == 2
    assert "pip install 'qoqdata[labels]'" in err and err.strip().count("\n") == 0
    assert "Traceback" not in err + out
