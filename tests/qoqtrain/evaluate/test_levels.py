"""Averages over tasks, sources and domains; intervals; demographic groups."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from qoqdata.errors import DuplicateKey, UsageError
from qoqtrain.evaluate import QuestionOutcome, summarise
from qoqtrain.evaluate.demographics import age_band
from qoqtrain.evaluate.levels import clusters_of, replicates


@pytest.fixture
def mixed(singles: Callable) -> list[QuestionOutcome]:
    """Three sources in two domains, 60 records of 20 patients, some scores and groups."""
    draw = np.random.default_rng(5)
    found: list[QuestionOutcome] = []
    for source, domain in (("one", "ct"), ("two", "ct"), ("three", "ecg")):
        truth = draw.integers(3, size=20)
        answer = np.where(draw.random(20) < 0.6, truth, draw.integers(-1, 3, size=20))
        scores = draw.random((20, 3))
        part = singles(truth, answer, 3, scores=scores, source=source, domain=domain)
        found += [
            replace(
                outcome,
                patient=f"{source}-{number % 7}",
                sex=("female", "male")[number % 2],
                age=20 + 3 * number,
                iou=number / 20,
            )
            for number, outcome in enumerate(part)
        ]
    return found


def test_every_level_is_the_mean_of_the_one_below(singles: Callable) -> None:
    # Accuracies: one 1/2 and 1 (two tasks), two 0, three 1/4.
    outcomes = [
        *singles([0, 0], [0, 1], 2, source="one", domain="ct", task="first"),
        *(replace(o, id=f"x{o.id}") for o in singles([0], [0], 2, source="one", domain="ct")),
        *singles([0, 0, 0], [1, 1, 1], 2, source="two", domain="ct"),
        *singles([1, 1, 1, 1], [1, 0, 0, -1], 2, source="three", domain="ecg"),
    ]
    found = summarise(outcomes, bootstrap=0)
    ct, ecg = found.domains
    assert [one.metrics["accuracy"].value for one in ct.sources] == [0.75, 0.0]
    assert ct.metrics["accuracy"].value == 0.375
    assert ecg.metrics["accuracy"].value == 0.25
    assert found.metrics["accuracy"].value == (0.375 + 0.25) / 2
    assert found.over_sources.get("accuracy").value == pytest.approx((0.75 + 0 + 0.25) / 3)
    assert found.counts.records == 10
    assert found.counts.unparsable == 0.1


def test_a_level_without_the_figure_is_left_out_of_the_mean(singles: Callable) -> None:
    plain = singles([0, 0], [0, 1], 2, source="one", domain="ct")
    boxed = [replace(one, id=f"b{one.id}", source="two", domain="mri", iou=0.3) for one in plain]
    found = summarise([*plain, *boxed], bootstrap=0)
    assert found.domains[0].metrics["iou"].value is None
    assert found.metrics["iou"].value == pytest.approx(0.3)
    assert found.counts.regions == 2


def test_the_order_of_records_does_not_matter(mixed: list[QuestionOutcome]) -> None:
    shuffled = mixed.copy()
    random.Random(0).shuffle(shuffled)
    assert summarise(shuffled, bootstrap=30) == summarise(mixed, bootstrap=30)


def test_the_seed_decides_the_intervals(mixed: list[QuestionOutcome]) -> None:
    first, again = (summarise(mixed, bootstrap=30, seed=4) for _ in range(2))
    other = summarise(mixed, bootstrap=30, seed=5)
    assert first == again
    assert first.metrics["macro_f1"] != other.metrics["macro_f1"]
    assert first.metrics["macro_f1"].value == other.metrics["macro_f1"].value


def test_intervals_hold_the_value_and_widen_with_spread(mixed: list[QuestionOutcome]) -> None:
    found = summarise(mixed, bootstrap=200).metrics
    for name in ("macro_f1", "balanced_accuracy", "accuracy", "iou"):
        assert 0 <= found[name].low < found[name].value < found[name].high <= 1


def test_a_constant_figure_has_no_width(singles: Callable) -> None:
    outcomes = singles([0] * 12, [0] * 12, 2)
    accuracy = summarise(outcomes, bootstrap=50).metrics["accuracy"]
    assert (accuracy.low, accuracy.value, accuracy.high) == (1.0, 1.0, 1.0)


def test_the_interval_of_a_proportion_is_the_binomial_one(singles: Callable) -> None:
    # 400 records, 300 right: standard error sqrt(.75 * .25 / 400) = 0.02165.
    answer = [0] * 300 + [1] * 100
    accuracy = summarise(singles([0] * 400, answer, 2), bootstrap=2000).metrics["accuracy"]
    assert accuracy.low == pytest.approx(0.75 - 1.96 * 0.02165, abs=0.006)
    assert accuracy.high == pytest.approx(0.75 + 1.96 * 0.02165, abs=0.006)


def test_records_of_one_patient_are_drawn_together(singles: Callable) -> None:
    outcomes = singles([0] * 40, [0] * 20 + [1] * 20, 2)
    paired = [replace(one, patient=f"p{n // 10}") for n, one in enumerate(outcomes)]
    clusters = clusters_of(paired)
    assert clusters.cluster.tolist() == [n // 10 for n in range(40)]
    for weights in replicates(clusters, 20, 0):
        assert weights.sum() == 40
        assert all(len(set(weights[start : start + 10])) == 1 for start in range(0, 40, 10))

    def width(rows: list[QuestionOutcome]) -> float:
        found = summarise(rows, bootstrap=300).metrics["accuracy"]
        return found.high - found.low

    assert width(paired) > 2 * width(outcomes)


def test_every_source_keeps_its_patients_in_a_draw(mixed: list[QuestionOutcome]) -> None:
    source = np.array([one.source for one in mixed])
    patient = clusters_of(mixed).cluster
    for weights in replicates(clusters_of(mixed), 20, 0):
        for name in ("one", "two", "three"):
            rows = np.flatnonzero(source == name)
            first = {patient[row]: weights[row] for row in rows}
            assert sum(first.values()) == 7


def test_one_patient_gives_no_interval(singles: Callable) -> None:
    alone = [replace(one, patient="p") for one in singles([0, 1], [0, 0], 2)]
    found = summarise(alone, bootstrap=20).metrics["accuracy"]
    assert (found.value, found.low, found.high) == (0.5, None, None)


def test_age_bands() -> None:
    ages = [0, 25, 26, 50, 51, 75, 76, 90, None]
    bands = ["<=25", "<=25", "<=50", "<=50", "<=75", "<=75", ">75", ">75", None]
    assert [age_band(age) for age in ages] == bands


def test_gaps_between_groups(singles: Callable) -> None:
    # Female: 3 of 4 right; male: 1 of 2; one of unknown sex.
    outcomes = singles([0] * 7, [0, 0, 0, 1, 0, 1, 0], 2)
    sexes = ["female"] * 4 + ["male"] * 2 + [None]
    people = [replace(one, sex=sex) for one, sex in zip(outcomes, sexes, strict=True)]
    found = summarise(people, bootstrap=0)
    groups = found.demographics["sex"]
    assert [(one.name, one.records) for one in groups.groups] == [("female", 4), ("male", 2)]
    assert [one.metrics["accuracy"] for one in groups.groups] == [0.75, 0.5]
    assert groups.gaps["accuracy"] == 0.25
    assert groups.gaps["auroc"] is None
    assert groups.unknown == 1
    assert "age" not in found.demographics
    assert found.domains[0].sources[0].demographics["sex"] == groups


def test_groups_are_compared_on_the_sources_that_have_them_all(singles: Callable) -> None:
    both = singles([0, 0], [0, 1], 2, source="one")
    both = [replace(one, sex=sex) for one, sex in zip(both, ("female", "male"), strict=True)]
    easy = [replace(one, sex="male") for one in singles([0] * 5, [0] * 5, 2, source="two")]
    groups = summarise([*both, *easy], bootstrap=0).demographics["sex"]
    assert groups.sources == ("one",)
    assert [one.records for one in groups.groups] == [1, 6]
    assert [one.metrics["accuracy"] for one in groups.groups] == [1.0, 0.0]


def test_nothing_and_doubles_are_refused(singles: Callable) -> None:
    with pytest.raises(UsageError, match="nothing"):
        summarise([])
    outcomes = singles([0], [0], 2)
    with pytest.raises(DuplicateKey, match="00000"):
        summarise([*outcomes, *outcomes])
    with pytest.raises(UsageError, match="replicates"):
        summarise(outcomes, bootstrap=-1)
