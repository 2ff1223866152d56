"""Presets, the choices they stand for, and what is refused."""

from __future__ import annotations

import builtins
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from qoqdata.errors import UsageError
from qoqtrain import DRPO
from qoqtrain.adapters.verl_inputs import drpo_of
from qoqtrain.drpo import DEFAULT_PRESET, PRESETS, DRPOSettings
from qoqtrain.drpo.settings import settings_of
from qoqtrain.trainer.plan.settings import read_settings


def test_one_preset_is_the_default_of_all() -> None:
    trained = read_settings(values={"data": "d", "model": "m"}).drpo.preset
    assert DEFAULT_PRESET == trained == "budget"
    assert DRPO.preset().settings == DRPO().settings == PRESETS["budget"] == DRPOSettings()
    assert drpo_of({})[0].settings == PRESETS["budget"]


def test_published_presets_divide_by_any_std() -> None:
    """0.1 of the range is the floor of ours; a published number does not move."""
    floors = {name: settings.std_floor for name, settings in PRESETS.items()}
    assert {name for name, floor in floors.items() if floor} == {"budget", "streaming"}
    assert set(floors.values()) == {0.0, 0.1}


def test_presets_are_what_the_names_say() -> None:
    theirs, paper, ours = (PRESETS[n] for n in ("authors_qoq_med", "paper", "streaming"))
    assert (theirs.feature, theirs.kmeans, theirs.k_max, theirs.floor) == (
        "raw", "sklearn0", 10, "none",
    )  # fmt: skip
    mirl = PRESETS["authors_mirl"]
    assert (mirl.k_max, mirl.floor) == (3, "guarded")
    assert (paper.feature, paper.history, paper.mu_domain, paper.kl_damping) == (
        "sorted", "batch", "mean", "question_pos",
    )  # fmt: skip
    assert (ours.kmeans, ours.bins, ours.rarity, ours.strength) == ("binned", 128, "prior", 24)
    assert (ours.alpha, ours.weight_clip, ours.ess_floor) == (1, 10, 0.1)


def test_bounds_are_one_setting_away() -> None:
    free = settings_of("streaming", bounds=None)
    assert (free.weight_clip, free.ess_floor) == (None, None)
    both = settings_of("streaming", bounds=(5, 0.2))
    assert (both.weight_clip, both.ess_floor) == (5, 0.2)
    with pytest.raises(UsageError, match="is not a pair"):
        settings_of("streaming", bounds=5)


def test_unbounded_streaming_is_the_published_weighting() -> None:
    """On means, with all questions counted once: factor = T_d T_c of the authors' formula."""
    rng = np.random.default_rng(0)
    means = rng.choice([0.2, 0.6], 40)
    rewards = (means[:, None] + [-0.1, 0.0, 0.1]).ravel()
    columns = (rewards, np.repeat(np.arange(40), 3), np.repeat(rng.choice(["A", "B"], 40), 3))
    ours = DRPO.preset("streaming", bounds=None).step(*columns)
    theirs = DRPO.preset("authors_mirl", kmeans="exact1d", feature="mean").step(*columns)
    np.testing.assert_allclose(ours.factors, theirs.factors, rtol=1e-9)
    np.testing.assert_allclose(ours.advantages, theirs.advantages, rtol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kmeans": "dbscan"}, "kmeans='dbscan'"),
        ({"group": None}, "group=None"),
        ({"alpha": -1}, "alpha=-1.0"),
        ({"alpha": float("nan")}, "alpha=nan"),
        ({"alpha": "1"}, "pass a finite number"),
        ({"bins": 500}, "power of two"),
        ({"bins": 512.0}, "whole number"),
        ({"k_max": 0}, "k_max=0"),
        ({"k_max": True}, "whole number"),
        ({"elbow_tolerance": 1}, "elbow_tolerance"),
        ({"strength": -1}, "strength"),
        ({"weight_clip": 0.5}, "weight_clip"),
        ({"ess_floor": 1.0}, "ess_floor"),
        ({"eps": 0}, "eps"),
        ({"reward_range": (1, 0)}, "reward_range"),
        ({"reward_range": (0, 1, 2)}, "reward_range"),
        ({"reward_range": 1.0}, "list of numbers"),
        ({"reward_range": ("0", "1")}, "finite number"),
        ({"strict_domains": "no"}, "true or false"),
        ({"reward_range": None}, "bins need the range"),
        ({"part_weights": ()}, "part_weights"),
        ({"half_life_questions": 0}, "half_life_questions"),
        ({"kl_quantile": 2}, "kl_quantile"),
        ({"feature": "sorted"}, "clusters feature='mean'"),
        ({"history": "batch"}, "exact1d"),
        ({"kmeans": "exact1d"}, "only kmeans='binned' can forget"),
        ({"kmeans": "exact1d", "history": "batch"}, "a prior has nothing to meet"),
        ({"floor": "none"}, "need floor='eps'"),
        ({"temperature": 3}, "unknown DRPO settings: temperature"),
    ],
)
def test_choices_that_make_no_sense(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        DRPO.preset("streaming", **changes)


def test_an_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'drpo'.*authors_qoq_med"):
        DRPO.preset("drpo")


def test_without_scikit_learn_the_authors_presets_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.split(".")[0] == "sklearn":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    drpo = DRPO.preset("authors_qoq_med")
    with pytest.raises(UsageError, match="needs scikit-learn"):
        drpo.step([0.1, 0.9], ["q", "q"], ["A", "A"])
    DRPO.preset("streaming").step([0.1, 0.9], ["q", "q"], ["A", "A"])


def test_importing_costs_neither_torch_nor_scikit_learn() -> None:
    code = (
        "import sys, qoqtrain; assert 'qoqtrain.drpo' not in sys.modules; "
        "qoqtrain.DRPO.preset().step([0, 1], [1, 1], ['a', 'a']); "
        "assert not {'torch', 'sklearn', 'scipy'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_package_has_no_other_names() -> None:
    import qoqtrain

    with pytest.raises(AttributeError, match="no attribute 'GRPO'"):
        _ = qoqtrain.GRPO
