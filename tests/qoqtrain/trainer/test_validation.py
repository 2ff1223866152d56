"""Validation in the loop, the best policies, early stop, and signals."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import qoqdata  # noqa: E402
import qoqtrain  # noqa: E402
from qoqdata.errors import UsageError  # noqa: E402
from qoqtrain.trainer import loop  # noqa: E402
from qoqtrain.trainer.checkpoints import latest_checkpoint  # noqa: E402
from qoqtrain.trainer.log import metrics  # noqa: E402
from qoqtrain.trainer.plan.settings import read_settings  # noqa: E402
from qoqtrain.trainer.validation import Course, figure, validation_set  # noqa: E402


def settings(small: dict[str, Any], *assignments: str) -> Any:
    torch.set_num_threads(1)
    return read_settings(values=small, assignments=assignments)


def lines(small: dict[str, Any]) -> list[dict[str, Any]]:
    return metrics.read_metrics(Path(small["out"]) / metrics.FILE)


def test_a_course_by_hand() -> None:
    course = Course().after(2, 0.5).after(4, 0.7).after(6, 0.7).after(8, 0.1)
    assert course.best(3) == [4, 6, 2]
    assert [course.is_over(patience) for patience in (None, 1, 2, 3)] == [False, True, True, False]
    assert not Course().is_over(1)


def test_figures_by_name() -> None:
    found = {"accuracy": {"value": 0.5, "low": 0.1}, "domains": {"ct": {"iou": {"value": 0.25}}}}
    assert (figure(found, "accuracy"), figure(found, "domains.ct.iou")) == (0.5, 0.25)
    with pytest.raises(UsageError, match="accuracy"):
        figure(found, "domains.mri.iou")


def test_the_subset_is_the_same_each_time_and_alike_over_domains(
    small: dict[str, Any], demo: Path
) -> None:
    chosen = settings(small, "validation.split=train", "validation.questions=12")
    dataset = qoqdata.open(demo)
    first, second = (validation_set(dataset, chosen, []) for _ in range(2))
    ids = [question["id"] for question in first.questions]
    assert ids == [question["id"] for question in second.questions] and len(set(ids)) == 12
    counts = Counter(question["domain"] for question in first.questions)
    whole = Counter(dataset.records.collect()["domain"].to_list())
    assert max(counts.values()) - min(counts.values()) <= 1 or any(
        counts[name] == whole[name] for name in counts
    )
    ecgs = [q["id"] for q in first.questions if q["domain"] == "ecg"]
    without = validation_set(dataset, chosen, ecgs)
    assert not {question["id"] for question in without.questions} & set(ecgs)


def test_figures_of_a_run_are_those_of_evaluate_and_the_best_policies_stay(
    small: dict[str, Any], demo: Path, tmp_path: Path
) -> None:
    given = ("validation.every=2", "validation.split=train", "validation.questions=500")
    # The policy moves at once, and is judged on all records that it can be asked about.
    qoqtrain.train(settings(small, *given, "validation.bootstrap=20", "steps=4"))
    found = {line["step"]: line["validation"] for line in lines(small) if "validation" in line}
    assert list(found) == [2, 4]
    best = max(found, key=lambda step: (found[step]["macro_f1"]["value"], -step))
    (folder,) = (Path(small["out"]) / "best").iterdir()
    assert folder.name == f"step-{best:08d}"
    again = qoqtrain.evaluate_model(
        demo, folder, split="train", max_tokens=24, bootstrap=20, out=tmp_path / "figures"
    )
    assert found[best]["questions"] == again.figures.counts.records
    for name in ("macro_f1", "accuracy"):
        kept, other = found[best][name], again.figures.metrics[name]
        assert kept["value"] == pytest.approx(other.value, abs=0.02)
        assert (kept["low"] is None) == (other.low is None)
    assert set(found[best]["domains"]) == {one.domain for one in again.figures.domains}
    intervals = [one["accuracy"] for one in found[best]["domains"].values() if "accuracy" in one]
    assert all(one["low"] <= one["value"] <= one["high"] for one in intervals if one["low"])


def test_a_run_that_gets_no_better_ends_and_stays_ended(small: dict[str, Any]) -> None:
    given = (
        *("validation.every=1", "validation.split=train", "validation.questions=4"),
        *("validation.patience=2", "validation.bootstrap=0", "rollouts.response_tokens=1"),
    )
    # One token is no answer: every figure is 0, and the first is the best.
    model = qoqtrain.train(settings(small, *given, "steps=9"))
    assert [line["step"] for line in lines(small)] == [1, 2, 3]
    assert model.is_dir()
    folder = latest_checkpoint(Path(small["out"]) / "checkpoints")
    assert folder is not None and folder.name.endswith("3")
    qoqtrain.train(settings(small, *given, "steps=9"))
    assert [line["step"] for line in lines(small)] == [1, 2, 3]


def test_a_checkpoint_becomes_a_model(small: dict[str, Any], tmp_path: Path) -> None:
    from safetensors.torch import load_file

    given = settings(small, "steps=2", "checkpoints.every=1", "checkpoints.keep=2")
    model = qoqtrain.train(given)
    last = qoqtrain.export_checkpoint(given, 2, tmp_path / "last")
    one, other = (load_file(folder / "model.safetensors") for folder in (model, last))
    assert all(torch.equal(one[name], other[name]) for name in one)
    first = load_file(
        qoqtrain.export_checkpoint(given, 1, tmp_path / "first") / "model.safetensors"
    )
    assert first.keys() == one.keys()
    with pytest.raises(UsageError, match="step-00000001, step-00000002"):
        qoqtrain.export_checkpoint(given, 3, tmp_path / "third")


def test_signals_save_and_end(small: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    real = loop.policy_step
    wanted = {1: signal.SIGUSR1, 2: signal.SIGTERM}

    def step_and_ask(run: Any, draws: Any, step: int) -> Any:
        numbers = real(run, draws, step)
        os.kill(os.getpid(), wanted[step])
        return numbers

    monkeypatch.setattr(loop, "policy_step", step_and_ask)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt, match="step 2"):
        qoqtrain.train(settings(small, "checkpoints.every=50", "rollouts.response_tokens=2"))
    assert signal.getsignal(signal.SIGTERM) is before
    folders = sorted(path.name for path in (Path(small["out"]) / "checkpoints").glob("step-*"))
    assert folders == ["step-00000001", "step-00000002"]
    state = json.loads((Path(small["out"]) / "checkpoints" / folders[1] / "run.json").read_text())
    assert state["step"] == 2
    # The same command goes on from there.
    monkeypatch.setattr(loop, "policy_step", real)
    qoqtrain.train(settings(small, "checkpoints.every=50", "rollouts.response_tokens=2", "steps=3"))
    assert [line["step"] for line in lines(small)] == [1, 2, 3]
