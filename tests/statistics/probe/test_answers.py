"""A probe answers only for patients that its fit has not seen."""

from __future__ import annotations

import numpy as np
import pytest

from qoqdata.statistics.probe.table import FOLDS, fold_of, out_of_fold, rewards


def one_hot(classes: np.ndarray, k: int) -> np.ndarray:
    return np.eye(k, dtype=bool)[classes]


def test_folds_are_all_used_and_depend_on_the_name_alone():
    folds = [fold_of(f"patient {n}") for n in range(400)]
    assert set(folds) == set(range(FOLDS))
    assert folds == [fold_of(f"patient {n}") for n in range(400)]


def test_what_the_features_say_is_learnt():
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 3, 300)
    features = rng.normal(size=(300, 10))
    features[:, :3] += 6 * one_hot(classes, 3)
    present = one_hot(classes, 3)
    scores = out_of_fold(features, present, [f"p{n}" for n in range(300)])
    assert scores is not None
    assert rewards(scores, present, single=True).mean() > 0.97


def test_a_patient_that_can_be_recognised_does_not_help():
    """Every patient has features and a label of its own: a fit that had seen him would know it."""
    rng = np.random.default_rng(1)
    patients = np.repeat(np.arange(120), 5)
    signature = rng.normal(size=(120, 150))
    features = signature[patients] + 0.01 * rng.normal(size=(600, 150))
    present = one_hot(rng.integers(0, 2, 120)[patients], 2)
    scores = out_of_fold(features, present, [f"patient {n}" for n in patients])
    torn = out_of_fold(features, present, [f"image {n}" for n in range(600)])
    assert scores is not None and torn is not None
    assert rewards(torn, present, single=True).mean() > 0.95
    assert rewards(scores, present, single=True).mean() < 0.65


def test_questions_of_one_fold_teach_nothing():
    present = one_hot(np.array([0, 1, 0]), 2)
    assert out_of_fold(np.ones((3, 2)), present, ["a", "a", "a"]) is None


@pytest.mark.parametrize(
    ("scores", "single", "expected"),
    [
        ([0.9, 0.8, 0.1], False, 1.0),  # both right labels
        ([0.9, 0.2, 0.1], False, 2 / 3),  # one of two
        ([0.9, 0.8, 0.7], False, 0.8),  # both and a wrong one
        ([0.1, 0.2, 0.4], False, 0.0),  # none above one half: the likeliest, which is wrong
        ([0.4, 0.2, 0.1], False, 2 / 3),  # the likeliest, which is right
        ([0.9, 0.8, 0.1], True, 2 / 3),  # one label is asked for
    ],
)
def test_rewards_by_hand(scores, single, expected):
    present = np.array([[True, True, False]])
    assert rewards(np.array([scores]), present, single=single) == pytest.approx([expected])
