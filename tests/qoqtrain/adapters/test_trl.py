"""The TRL adapter in real GRPO runs on CPU, and what it relies on inside TRL."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qoqdata.errors import UsageError

pytest.importorskip("trl", reason="TRL is not installed")

from trl import GRPOTrainer

from qoqtrain import DRPO
from qoqtrain.adapters.host import metrics_of
from qoqtrain.adapters.trl import DRPOTrainer
from tests.qoqtrain.adapters.rewards_by_label import share
from tests.qoqtrain.adapters.toy_grpo import (
    DOMAINS,
    ROLLOUTS,
    Recorder,
    arguments,
    estimator,
    policy,
    prompts,
    reward_by_place,
)

REPOSITORY = Path(__file__).resolve().parents[3]
WEIGHTS = [0.7, 0.3]
# The row of each batch that no reward function can score.
UNSCORED = 5


class Judge:
    """Two reward functions that remember their values; None where they do not apply."""

    def __init__(self) -> None:
        self.prompts: list[list[str]] = []
        self.values: dict[str, list[list[float | None]]] = {"answer": [], "form": []}

    def functions(self) -> list[Any]:
        def answer(prompts: list[str], completions: list[str], **_: Any) -> list[float | None]:
            self.prompts.append(prompts)
            return self._keep("answer", [share(text) for text in completions])

        def form(prompts: list[str], completions: list[str], **_: Any) -> list[float | None]:
            known = [not text.startswith("ct") for text in prompts]
            marks = [share("form", text) for text in completions]
            return self._keep(
                "form", [mark if ok else None for mark, ok in zip(marks, known, strict=True)]
            )

        return [answer, form]

    def _keep(self, name: str, values: list[Any]) -> list[float | None]:
        values[UNSCORED] = None
        self.values[name].append(values)
        return values

    def forget_last(self) -> None:
        for kept in (self.prompts, *self.values.values()):
            kept.pop()

    def batches(self) -> list[dict[str, Any]]:
        """What DRPO is to be given for each batch, from the values alone."""
        batches = []
        for texts, answer, form in zip(self.prompts, *self.values.values(), strict=True):
            parts = np.array([answer, form], dtype=np.float32).T.astype(float)
            weights = [float(np.float32(weight)) for weight in WEIGHTS]
            total = [a * weights[0] + b * weights[1] for a, b in np.nan_to_num(parts)]
            domains = [text.split()[0] for text in texts]
            valid = ~np.isnan(parts).all(axis=1)
            batches.append(
                {"rewards": total, "questions": texts, "domains": domains, "valid": valid}
            )
        return batches


def trained(
    folder: Path, drpo: DRPO | None = None, resume: Path | None = None, **changes: Any
) -> tuple[Recorder, Judge]:
    model, tokenizer = policy()
    judge = Judge()
    trainer = Recorder(
        model,
        reward_funcs=judge.functions(),
        args=arguments(folder, reward_weights=WEIGHTS, **changes),
        train_dataset=prompts(),
        processing_class=tokenizer,
        drpo=drpo or estimator(),
    )
    trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    return trainer, judge


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recorder, Judge, Path]:
    """One epoch: four generations, each used in two optimizer steps, a checkpoint at each."""
    folder = tmp_path_factory.mktemp("run")
    return (*trained(folder), folder)


def state(folder: Path, step: int) -> dict[str, Any]:
    return json.loads((folder / f"checkpoint-{step}" / "drpo_state.json").read_text())


def test_the_loss_gets_the_advantages_of_drpo(run: tuple[Recorder, Judge, Path]) -> None:
    trainer, judge, _ = run
    by_hand = estimator()
    steps = [by_hand.step(**batch) for batch in judge.batches()]
    assert len(steps) == 4
    assert {domain for batch in judge.batches() for domain in batch["domains"]} == set(DOMAINS)
    for made, step in zip(trainer.advantages, steps, strict=True):
        assert np.array_equal(made, step.advantages.astype(np.float32))
        assert made[UNSCORED] == 0 and np.count_nonzero(made) > len(made) / 2
    for i, made_rows in enumerate(trainer.made):
        used = trainer.used[2 * i] + trainer.used[2 * i + 1]
        assert sorted(used) == sorted(made_rows)
    assert trainer.drpo.checksum() == by_hand.checksum()


def test_the_report_is_in_the_log(run: tuple[Recorder, Judge, Path]) -> None:
    trainer, judge, _ = run
    by_hand = estimator()
    logs = {entry["step"]: entry for entry in trainer.state.log_history}
    for i, batch in enumerate(judge.batches()):
        expected = metrics_of(by_hand.step(**batch).report)
        assert {"drpo/ess", "drpo/domains/chest_xray/squared_mass"} <= expected.keys()
        entry = logs[2 * i + 1]
        assert {name: entry[name] for name in expected} == pytest.approx(expected)
        assert not any(name.startswith("drpo/") for name in logs[2 * i + 2])
    assert list(trainer._logs["advantages"]) == pytest.approx(trainer.advantages[-1])


def test_a_resumed_run_is_the_unbroken_run(
    run: tuple[Recorder, Judge, Path], tmp_path: Path
) -> None:
    trainer, _, folder = run
    resumed, _ = trained(tmp_path, resume=folder / "checkpoint-4")
    assert resumed.advantages == trainer.advantages[2:]
    assert resumed.drpo.checksum() == trainer.drpo.checksum()


def test_rollouts_lost_with_a_break_are_counted_once(
    run: tuple[Recorder, Judge, Path], tmp_path: Path
) -> None:
    """A checkpoint between the two uses of a generation: TRL generates it anew."""
    trainer, _, folder = run
    assert state(folder, 3) == state(folder, 2) != state(folder, 4)
    resumed, judge = trained(tmp_path, resume=folder / "checkpoint-3")
    assert [len(set(texts)) for texts in judge.prompts] == [8, 8, 8]
    seen = [memory["n_seen"] for memory in resumed.drpo.state_dict()["history"].values()]
    assert seen == list(DOMAINS.values())
    assert seen == [m["n_seen"] for m in trainer.drpo.state_dict()["history"].values()]


def test_another_runs_checkpoint_is_refused(
    run: tuple[Recorder, Judge, Path], tmp_path: Path
) -> None:
    checkpoint = run[2] / "checkpoint-4"
    with pytest.raises(UsageError, match=r"alpha is 1\.0 there and 0\.5 here"):
        trained(tmp_path, estimator(alpha=0.5), resume=checkpoint)
    other_data = DRPO.from_stats(None, "modality", priors={"ct": 1})
    with pytest.raises(UsageError, match="the data has digest"):
        trained(tmp_path, other_data, resume=checkpoint)
    (run[2] / "checkpoint-5" / "drpo_state.json").unlink()
    with pytest.raises(UsageError, match="holds no DRPO state"):
        trained(tmp_path, resume=run[2] / "checkpoint-5")


def test_evaluation_changes_nothing(run: tuple[Recorder, Judge, Path]) -> None:
    trainer, judge, _ = run
    before = trainer.drpo.checksum()
    metrics = trainer.evaluate(prompts().select_columns("prompt").select(range(4)))
    assert trainer.drpo.checksum() == before
    assert not any("drpo" in name for name in metrics)
    batch = judge.batches()[-1]
    judge.forget_last()
    groups = np.where(batch["valid"], batch["rewards"], np.nan).reshape(-1, ROLLOUTS)
    mean, std = np.nanmean(groups, axis=1), np.nanstd(groups, axis=1, ddof=1)
    grpo = np.nan_to_num((groups - mean[:, None]) / (std[:, None] + 1e-4)).ravel()
    (rows,) = trainer.evaluated
    assert [advantage for _, _, advantage in rows] == pytest.approx(grpo, abs=1e-3)


def built(folder: Path, drpo: DRPO, **changes: Any) -> DRPOTrainer:
    model, tokenizer = policy()
    given = {"reward_funcs": Judge().functions(), "train_dataset": prompts(), **changes}
    weights = WEIGHTS if len(given["reward_funcs"]) == 2 else None
    args = arguments(folder, reward_weights=weights)
    return DRPOTrainer(model, args=args, processing_class=tokenizer, drpo=drpo, **given)


@pytest.mark.parametrize(
    ("settings", "changes", "message"),
    [
        ({"kl_damping": "rollout_abs"}, {}, "kl_damping: TRL has no KL"),
        ({"part_weights": (0.5, 0.5)}, {}, r"part_weights: are \[0.5, 0.5\] in DRPO"),
        ({"group": "gdpo"}, {}, r"part_weights: are \[1.0, 1.0\] in DRPO"),
        ({}, {"domain_column": "site"}, "no value in the column 'site'"),
        ({}, {"check_every": 0}, "check_every=0"),
    ],
)
def test_what_trl_cannot_serve_is_refused(
    tmp_path: Path, settings: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        built(tmp_path, estimator(**settings), **changes)


def test_parts_are_normalised_apart_with_gdpo(tmp_path: Path) -> None:
    settings = {"group": "gdpo", "part_weights": (0.7, 0.3)}
    trainer = built(tmp_path, estimator(**settings))
    parts = np.random.default_rng(0).integers(0, 11, (8, 2)) / 10
    parts[3, 1] = np.nan
    domains = ["ct"] * 4 + ["ultrasound"] * 4
    valid = np.arange(8) != 3
    expected = estimator(**settings).step(
        np.nan_to_num(parts), [0] * 4 + [1] * 4, domains, valid=valid
    )
    assert np.array_equal(trainer._advantages(parts, domains), expected.advantages)


def test_a_batch_that_nobody_could_score_moves_nothing(tmp_path: Path) -> None:
    trainer = built(tmp_path, estimator())
    before = trainer.drpo.checksum()
    assert not trainer._advantages(np.full((8, 2), np.nan), ["ct"] * 8).any()
    assert trainer.drpo.checksum() == before
    with pytest.raises(UsageError, match="no value in the column 'modality'"):
        trainer._advantages(np.zeros((8, 2)), ["ct"] * 7 + [None])


def test_trl_still_has_what_is_overridden(tmp_path: Path) -> None:
    """The private interface of TRL 1.16; a failure here means reading the adapter again."""
    parameters = {
        "_calculate_rewards": ["inputs", "prompts", "completions", "completion_ids_list"],
        "_generate_and_score_completions": ["inputs"],
        "_save_checkpoint": ["model", "trial"],
        "_load_optimizer_and_scheduler": ["checkpoint"],
        "_get_output_dir": ["trial"],
        "_compute_loss": ["model", "inputs"],
    }
    for name, expected in parameters.items():
        assert list(inspect.signature(getattr(GRPOTrainer, name)).parameters)[1:] == expected
    trainer = built(tmp_path, estimator(), reward_funcs=[reward_by_place])
    inputs = [row for row in prompts().select(range(3)) for _ in range(ROLLOUTS)]
    texts = [row["prompt"] for row in inputs]
    trainer.model.train()
    rewards = GRPOTrainer._calculate_rewards(trainer, inputs, texts, texts, [[0]] * 12)
    assert rewards.shape == (12, 1)
    assert rewards[:, 0].tolist() == pytest.approx(reward_by_place(texts))
    trainer._scored = (rewards.double().numpy(), [row["modality"] for row in inputs])
    output = GRPOTrainer._generate_and_score_completions(trainer, inputs)
    assert output["advantages"].shape == (12,)
    assert {"prompt_ids", "completion_ids", "completion_mask"} <= output.keys()
    assert len(trainer._logs["advantages"]) == 12
    assert trainer._metrics["train"]["reward"] and trainer._step == 0
    assert trainer.args.steps_per_generation * trainer.num_iterations == 2


def launch(folder: Path, processes: int, rows: int, *more: str) -> subprocess.CompletedProcess[str]:
    folder.mkdir()
    command = [sys.executable, "-m"]
    if processes > 1:
        command += ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m"]
    command += ["tests.qoqtrain.adapters.toy_grpo", str(folder), str(rows), *more]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=800
    )


@pytest.mark.slow
def test_two_processes_are_one(tmp_path: Path) -> None:
    """18 rollouts a rank in groups of 4: one group lies across both ranks."""
    assert launch(tmp_path / "two", 2, 18).returncode == 0
    assert launch(tmp_path / "one", 1, 36).returncode == 0
    first, second = (json.loads((tmp_path / f"two/rank{i}.json").read_text()) for i in (0, 1))
    alone = json.loads((tmp_path / "one/rank0.json").read_text())
    assert first["checksum"] == second["checksum"] == alone["checksum"]
    halves = zip(first["advantages"], second["advantages"], strict=True)
    assert [a + b for a, b in halves] == alone["advantages"]
    assert len(alone["advantages"]) == 3


@pytest.mark.slow
def test_ranks_that_disagree_stop(tmp_path: Path) -> None:
    ended = launch(tmp_path / "two", 2, 18, "differ")
    assert ended.returncode != 0
    assert "settings.strength is 24.0 on rank 0 and 12.0 on rank 1" in ended.stderr
