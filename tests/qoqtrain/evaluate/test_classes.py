"""Confusion, F1, balanced accuracy and AUROC against scikit-learn and by hand."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics

from qoqtrain.evaluate import Evaluation, summarise
from qoqtrain.evaluate.class_metrics import auroc, ranking
from qoqtrain.evaluate.results import TaskResult
from qoqtrain.evaluate.sheet import figures, sheets_of


def only_task(evaluation: Evaluation) -> TaskResult:
    return evaluation.domains[0].sources[0].tasks[0]


@pytest.mark.parametrize("seed", range(6))
def test_single_label_figures_are_those_of_scikit_learn(singles: Callable, seed: int) -> None:
    draw = np.random.default_rng(seed)
    classes = int(draw.integers(2, 7))
    truth = draw.integers(classes, size=60)
    answer = np.where(draw.random(60) < 0.5, truth, draw.integers(-1, classes, size=60))
    task = only_task(summarise(singles(truth, answer, classes), bootstrap=0))

    labels = np.unique([*truth, *answer[answer >= 0]])
    macro = metrics.f1_score(truth, answer, labels=labels, average="macro", zero_division=0)
    assert task.metrics["macro_f1"].value == pytest.approx(macro)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # -1 is an answer and no class
        balanced = metrics.balanced_accuracy_score(truth, answer)
    assert task.metrics["balanced_accuracy"].value == pytest.approx(balanced)
    assert task.metrics["accuracy"].value == pytest.approx((truth == answer).mean())

    everything = [*range(classes), -1]
    confusion = metrics.confusion_matrix(truth, answer, labels=everything)[:classes]
    assert np.array_equal(task.confusion, confusion)
    table = metrics.precision_recall_fscore_support(
        truth, answer, labels=range(classes), zero_division=np.nan
    )
    for index, found in enumerate(task.classes):
        precision, recall, _, support = (column[index] for column in table)
        assert found.support == support
        assert (np.nan if found.precision is None else found.precision) == pytest.approx(
            precision, nan_ok=True
        )
        assert (np.nan if found.recall is None else found.recall) == pytest.approx(
            recall, nan_ok=True
        )


@pytest.mark.parametrize("seed", range(6))
def test_multi_label_figures_are_those_of_scikit_learn(multis: Callable, seed: int) -> None:
    draw = np.random.default_rng(seed)
    truth = draw.random((50, 5)) < 0.3
    answer = truth ^ (draw.random((50, 5)) < 0.2)
    # Every question asks for one label or more, and every response here can be read.
    truth[~truth.any(axis=1), 0] = True
    answer[~answer.any(axis=1), 1] = True
    task = only_task(summarise(multis(truth, answer), bootstrap=0))

    macro = metrics.f1_score(truth, answer, average="macro")
    assert task.metrics["macro_f1"].value == pytest.approx(macro)
    each = [metrics.balanced_accuracy_score(truth[:, k], answer[:, k]) for k in range(5)]
    assert task.metrics["balanced_accuracy"].value == pytest.approx(np.mean(each))
    exact = metrics.accuracy_score(truth, answer)
    assert task.metrics["accuracy"].value == pytest.approx(exact)
    for index, found in enumerate(task.classes):
        negatives = 1 - truth[:, index], 1 - answer[:, index]
        assert found.specificity == pytest.approx(metrics.recall_score(*negatives))


def test_a_class_answered_and_never_true_costs_macro_f1(singles: Callable) -> None:
    # c0: F1 2*2/(4+0+1); c1: true never, answered once: 0; c2: neither, left out.
    task = only_task(summarise(singles([0, 0, 0], [0, 0, 1], 3), bootstrap=0))
    assert task.metrics["macro_f1"].value == pytest.approx((0.8 + 0.0) / 2)
    assert [found.f1 for found in task.classes] == [pytest.approx(0.8), 0.0, None]
    assert task.classes[1].recall is None


def test_unread_multi_label_answers_earn_nothing(multis: Callable) -> None:
    # Record 1 and 2 name nothing: c0 loses a hit, and c1 gets no true negative from them.
    truth = np.array([[1, 0], [1, 0], [0, 1]], bool)
    answer = np.array([[1, 0], [0, 0], [0, 0]], bool)
    first, second = only_task(summarise(multis(truth, answer), bootstrap=0)).classes
    assert (first.precision, first.recall, first.specificity) == (1.0, 0.5, 0.0)
    assert (second.precision, second.recall, second.specificity) == (None, 0.0, 0.5)
    assert first.f1 == pytest.approx(2 / 3)


@pytest.mark.parametrize("seed", range(6))
def test_auroc_is_that_of_scikit_learn_with_ties_and_weights(seed: int) -> None:
    draw = np.random.default_rng(seed)
    scores = draw.integers(8, size=80) / 8
    positive = draw.random(80) < 0.3
    weights = draw.integers(0, 4, size=80).astype(float)
    expected = metrics.roc_auc_score(positive, scores, sample_weight=weights)
    assert auroc(ranking(scores, positive), weights) == pytest.approx(expected)


def test_auroc_of_one_class_is_undefined() -> None:
    ranked = ranking(np.array([0.1, 0.9]), np.array([True, True]))
    assert np.isnan(auroc(ranked, np.ones(2)))


def test_records_without_scores_are_ranked_where_they_are_wrong() -> None:
    scores = np.array([0.9, 0.1, np.nan, np.nan])
    positive = np.array([True, False, True, False])
    # Pairs (positive, negative): (0.9, 0.1) is won, the three with an absent score are lost.
    assert auroc(ranking(scores, positive), np.ones(4)) == 0.25
    infinite = np.array([-np.inf, np.inf, np.nan, np.nan])
    assert auroc(ranking(infinite, positive), np.ones(4)) == 0.0


def test_task_auroc_is_the_mean_over_classes(singles: Callable) -> None:
    draw = np.random.default_rng(3)
    truth = draw.integers(4, size=40)
    scores = draw.integers(9, size=(40, 4))
    task = only_task(summarise(singles(truth, truth, 4, scores=scores), bootstrap=0))
    each = [metrics.roc_auc_score(truth == k, scores[:, k]) for k in range(4)]
    assert [found.auroc for found in task.classes] == pytest.approx(each)
    assert task.metrics["auroc"].value == pytest.approx(np.mean(each))


def test_without_scores_there_is_no_auroc(singles: Callable) -> None:
    task = only_task(summarise(singles([0, 1], [0, 1], 2), bootstrap=20))
    assert task.metrics["auroc"].value is None
    assert task.metrics["auroc"].low is None


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_a_weight_is_a_number_of_copies(singles: Callable, multis: Callable, kind: str) -> None:
    draw = np.random.default_rng(7)
    if kind == "single":
        truth, scores = draw.integers(3, size=30), draw.integers(5, size=(30, 3))
        outcomes = singles(truth, draw.integers(-1, 3, size=30), 3, scores=scores)
        outcomes[4] = replace(outcomes[4], scores=None)
    else:
        truth = draw.random((30, 3)) < 0.5
        truth[~truth.any(axis=1), 0] = True
        outcomes = multis(truth, draw.random((30, 3)) < 0.5)
    outcomes = [replace(one, iou=number / 30) for number, one in enumerate(outcomes)]
    weights = draw.integers(0, 4, size=30)
    copies = [one for one, count in zip(outcomes, weights, strict=True) for _ in range(count)]
    (sheet,), (copied,) = sheets_of(outcomes), sheets_of(copies)
    ones = np.ones(len(copies))
    weighted = figures(sheet, weights.astype(float))
    assert weighted == pytest.approx(figures(copied, ones), nan_ok=True)
    assert not np.isnan(weighted[:2]).any()
