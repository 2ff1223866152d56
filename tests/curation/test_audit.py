"""The audit names labels that are given away, and splits whose answers differ."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import qoqdata as library
from qoqdata.curation.audit import ANSWERERS, GIVEAWAYS, SHIFTS, answerers
from qoqdata.curation.audit.giveaways import find_giveaways
from qoqdata.curation.audit.guesses import score_choices, score_quantities
from qoqdata.curation.audit.shift import prior_shifts
from qoqdata.curation.burned_in.findings import FINDINGS
from qoqdata.dataset import Dataset
from qoqdata.statistics.probe.table import fold_of
from tests.cli.conftest import qoqdata  # noqa: F401
from tests.curation.film_table import Film, built

FILMS = 60


def films(tmp_path: Path, told_by: str) -> Dataset:
    """Films of noise, half of them Clear, half Opaque, which `told_by` gives away: by a size, by a
    word of the context, or by nothing."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(FILMS):
        label = "ab"[number % 2]
        side = 52 if told_by == "size" and label == "b" else 48
        pixels = rng.integers(0, 255, (48, side), np.uint8)
        word = "stable" if told_by == "context" and label == "b" else "routine"
        split = "test" if number >= 40 else "train"
        rows.append(Film(f"f{number}.png", label, f"p{number}", split, pixels, f"{word} visit"))
    return built(tmp_path, rows)


@pytest.mark.parametrize(
    ("told_by", "text", "facts"), [("nothing", False, False), ("size", False, True)]
)
def test_what_gives_the_answer_away_scores(
    tmp_path: Path, told_by: str, text: bool, facts: bool
) -> None:
    found = library.audit(films(tmp_path, told_by))
    assert dict(found.answerers.schema) == ANSWERERS
    assert found.answerers["questions"].to_list() == [20, 40]
    for row in found.answerers.iter_rows(named=True):
        assert row["constant"] <= 0.6
        assert (row["text"] > 0.95) == text
        assert (row["facts"] > 0.95) == facts
    assert bool(found.told.height) == (text or facts)
    assert not found.giveaways.height


def test_a_word_of_the_context_gives_it_away_and_the_card_says_so(tmp_path: Path) -> None:
    dataset = films(tmp_path, "context")
    found = library.audit(dataset)
    assert found.answerers["text"].to_list() == [1.0, 1.0]
    assert found.told.height == 2
    page = library.card(dataset).read_text() if hasattr(library.card(dataset), "read_text") else ""
    page = page or (dataset.root / "README.md").read_text()
    assert "Scores without an image" in page
    assert "| films | diagnosis | test | 20 |" in page


def asked(told_by: str) -> pl.DataFrame:
    """Sixty questions of as many patients about films that are alike but for one fact."""
    rows = []
    for number in range(60):
        opaque = number % 2 == 1
        tells = {told_by: opaque}
        info = {
            "width": 256,
            "height": 256,
            "original_width": 512 if tells.get("size") else 480,
            "original_height": 512,
            "view": "AP" if tells.get("view") else "PA",
            "laterality": "left" if tells.get("side") else "right",
            "spacing": [0.2, 0.2],
        }
        row = {
            "group": f"p{number}",
            "options": ["Clear", "Opaque"],
            "answer": "Opaque" if opaque else "Clear",
            "context": "a visit",
            "question": "What is it?",
            "image_info": [info],
            "ecg": {"fs": 0.0},
            "age": 50,
            "sex": "male" if tells.get("sex") else "female",
            "lines": 0,
            "markers": int(tells.get("marker", False)),
            "left": 30 if tells.get("marker") else None,
            "top": 0,
        }
        rows.append(row)
    return pl.DataFrame(rows)


@pytest.mark.parametrize("told_by", ["nothing", "view", "side", "size", "marker", "sex"])
def test_each_fact_that_gives_answers_away_scores(told_by: str) -> None:
    scores = answerers._scores(asked(told_by), "single")
    assert scores is not None
    assert (scores.facts.mean() > 0.95) == (told_by != "nothing")
    assert scores.constant.mean() < 0.7 and scores.text.mean() < 0.7


def test_marks_burned_into_images_are_facts_of_their_records(tmp_path: Path) -> None:
    dataset = films(tmp_path, "nothing")
    answers = pl.DataFrame(dataset.files.leaves(["id", "answer"])).select("id", "answer")
    opaque = answers.filter(answer="Opaque")["id"]
    rows = {name: pl.Series([None] * len(opaque), dtype=kind) for name, kind in FINDINGS.items()}
    rows |= {"id": opaque, "kind": pl.Series(["marker"] * len(opaque))}
    table = pl.DataFrame(rows | {"x0": pl.Series([3] * len(opaque), dtype=pl.Int32)})
    table.with_columns(outcome=pl.lit("marker")).write_parquet(dataset.layout.burned_in_findings)
    found = library.audit(dataset)
    assert found.answerers["facts"].to_list() == [1.0, 1.0]
    assert found.told.height == 2


def kept(rows: list[tuple[str, str, str]], kind: str = "single") -> pl.DataFrame:
    """Records of (split, study, answer) that offer A, B and C."""
    return pl.DataFrame(rows, schema=["split", "study", "answer"], orient="row").with_columns(
        *(pl.lit(word).alias(name) for name, word in (("source", "s"), ("task", "t"))),
        kind=pl.lit(kind),
        options=pl.lit(["A", "B", "C"], pl.List(pl.String)),
    )


def test_a_shift_by_hand() -> None:
    train = [("train", f"a{n}", "A" if n < 80 else "B") for n in range(100)]
    test = [("test", f"b{n}", "A" if n < 20 else "B") for n in range(49)] + [("test", "b49", "C")]
    found = prior_shifts(kept(train + test))
    assert dict(found.schema) == SHIFTS
    (row,) = found.iter_rows(named=True)
    # Shares: A 0.8 and 0.4, B 0.2 and 0.58, C 0 and 0.02.
    assert row["distance"] == pytest.approx((0.4 + 0.38 + 0.02) / 2)
    assert (row["most"], row["share_train"], row["share"]) == ("A", 0.8, 0.4)
    assert row["unseen"] == ["C"]
    assert row["p"] < 1e-4
    assert row["studies"] == 50


def test_equal_shares_are_no_shift_and_a_study_counts_once() -> None:
    rows = [(split, f"{split}{n // 3}", "A") for split in ("train", "test") for n in range(30)]
    rows += [(split, f"{split}x{n}", "B") for split in ("train", "test") for n in range(10)]
    (row,) = prior_shifts(kept(rows)).iter_rows(named=True)
    assert row["distance"] == 0
    assert row["studies"] == 20


def test_several_answers_are_counted_one_by_one() -> None:
    rows = [("train", "1", "A, B"), ("train", "2", "B"), ("test", "3", "A, B"), ("test", "4", "B")]
    (row,) = prior_shifts(kept(rows, "multi")).iter_rows(named=True)
    assert (row["distance"], row["studies"]) == (0, 3)


@pytest.mark.parametrize(
    ("context", "question", "answer", "faults"),
    [
        ("Known oedema of the lungs.", "What is seen?", "Oedema", ["answer_in_context"]),
        ("Oedema or fibrosis?", "What is seen?", "Oedema", []),
        ("Lymphoedema before.", "What is seen?", "Oedema", []),
        (None, "Is the fibrosis new?", "Fibrosis", ["answer_in_question"]),
        (None, "What is seen?", "Tumour", ["answer_not_an_option"]),
        ("Fibrosis (mild).", "What is seen?", "Oedema", []),
        ("R+ (old).", "What is seen?", "R+ (old)", ["answer_in_context"]),
    ],
)
def test_giveaways(context: str | None, question: str, answer: str, faults: list[str]) -> None:
    asked = pl.DataFrame(
        {
            **{name: ["x"] for name in ("id", "source", "task")},
            "split": ["train"],
            "kind": ["single"],
            "context": pl.Series([context], dtype=pl.String),
            "question": [question],
            "options": [["Oedema", "Fibrosis", "R+ (old)"]],
            "answer": [answer],
        }
    )
    found = find_giveaways(asked)
    assert dict(found.schema) == GIVEAWAYS
    assert found["fault"].to_list() == faults


def test_the_command_exits_by_what_it_found(tmp_path: Path, qoqdata: Callable) -> None:  # noqa: F811
    dataset = films(tmp_path, "size")
    code, out, _ = qoqdata("audit", dataset.root)
    assert code == 1
    assert "told by text or file facts" in out
    code, out, _ = qoqdata("audit", dataset.root, "--json", "--limit", "30")
    assert code == 1
    assert {row["questions"] for row in json.loads(out)["answerers"]} == {20, 30}


def test_quantities_by_hand() -> None:
    """Each of two folds: the other's median is 2 and 20, and a feature tells the value."""
    groups = [group for group in map(str, range(40)) if fold_of(group) in (0, 1)][:6]
    first = np.array([fold_of(group) == fold_of(groups[0]) for group in groups])
    values = np.where(first, 20.0, 2.0)
    tolerances = np.full(6, 1.0)
    nothing, told = np.zeros((6, 1), np.float32), values[:, None].astype(np.float32)
    found = score_quantities(nothing, values, tolerances, groups)
    assert found is not None and not found.any()
    assert score_quantities(nothing, values, np.full(6, 18.0), groups).all()
    assert score_quantities(told, np.ones(6), tolerances, groups).all()
    assert score_quantities(nothing, values, tolerances, ["one"] * 6) is None


def test_choices_by_hand() -> None:
    """The right option is always the longest, and never in the commonest place of the others."""
    groups = [str(number) for number in range(60)]
    words = ["no", "it may be", "a long and careful answer"]
    options = [[*words[n % 3 :], *words[: n % 3]] for n in range(60)]
    answers = [max(own, key=len) for own in options]
    found = score_choices(options, answers, groups)
    assert found is not None
    constant, text = found
    assert constant.mean() < 0.5 and text.all()
    assert score_choices(options, answers, ["one"] * 60) is None


def test_every_task_has_scores_or_says_why(tmp_path: Path) -> None:
    """Of one label, several, ascending ones, quantities, boxes and free text."""
    built = []
    for slug in ("covid_blues", "busi", "pad_ufes_20"):
        library.simulate(slug, n=30, out=tmp_path / slug)
        library.build(slug, raw=tmp_path / slug, out=tmp_path / f"{slug}-set", workers=0)
        built.append(library.open(tmp_path / f"{slug}-set"))
    kinds = {}
    for dataset in built:
        found = library.audit(dataset).answerers
        tasks = dataset.kept().group_by("source", "task", "split", "kind").len("questions")
        assert (
            found.select(tasks.columns)
            .sort(tasks.columns[:3])
            .equals(tasks.sort(tasks.columns[:3]).with_columns(pl.col("questions").cast(pl.Int64)))
        )
        for row in found.iter_rows(named=True):
            scored = row["unscored"] is None
            assert all((row[name] is not None) == scored for name in ("constant", "commonest"))
            kinds.setdefault(row["kind"], set()).add(row["unscored"])
        library.card(dataset)
        page = (dataset.root / "README.md").read_text("utf-8").replace("\\", "")
        assert all(f"| {task} |" in page for task in set(tasks["task"]))
    assert kinds["open"] == {"no score is defined of free text"}
    assert kinds["boxes"] == {"no box can be told without the image"}
    assert None in kinds["single"] and None in kinds["number"]
