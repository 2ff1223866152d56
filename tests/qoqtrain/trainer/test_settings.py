"""Settings from YAML and assignments, how a step is cut, the schedule, and DeepSpeed's config."""

from __future__ import annotations

import math

import pytest

from qoqdata.errors import UsageError
from qoqtrain.rewards.scheme import scheme_of
from qoqtrain.trainer.plan.plan import shape_of
from qoqtrain.trainer.plan.settings import Optimizer, as_yaml, read_settings
from qoqtrain.trainer.step.update import learning_rate

GIVEN = {"data": "set", "model": "m"}


def settings(*assignments: str):
    return read_settings(values=GIVEN, assignments=assignments)


def test_the_last_word_counts(tmp_path):
    path = tmp_path / "t.yaml"
    path.write_text("data: set\nmodel: m\nseed: 1\nloss: {kl: 0.5, clip_high: 0.2}\n")
    found = read_settings(path, {"seed": 2, "steps": None}, ["loss.kl=1e-4", "lora.rank=8"])
    assert (found.seed, found.loss.kl, found.loss.clip_high) == (2, 1e-4, 0.2)
    assert found.lora is not None
    assert found.lora.rank == 8


def test_yaml_round_trip(tmp_path):
    one = settings("loss.dual_clip=null", "mix={by: source, weights: uniform}", "engine.zero=3")
    (tmp_path / "t.yaml").write_text(as_yaml(one))
    assert read_settings(tmp_path / "t.yaml") == one


@pytest.mark.parametrize(
    ("assignment", "named"),
    [
        ("loss.clip_lo=0.2", "loss.clip_lo"),
        ("engine.zero=4", "engine.zero"),
        ("engine.offload=optimizer", "engine: offload optimizer needs zero 1"),
        ("engine={zero: 2, offload: all}", "engine: offload all needs zero 3"),
        ("rollouts.temperature=0", "rollouts.temperature"),
        ("stage=ppo", "stage"),
        ("questions", "assignment"),
        ("mix={by: domain, by: source}", "--set mix, line 1: the key 'by' is written twice"),
        ("data=5", "unquoted"),
        ("steps=1e-1", "steps"),
    ],
)
def test_a_wrong_setting_is_named(assignment, named):
    with pytest.raises(UsageError, match=named):
        settings(assignment)


def test_numbers_are_numbers_in_every_section(tmp_path):
    path = tmp_path / "t.yaml"
    path.write_text(
        "data: set\nmodel: m\nsteps: 1e2\noptimizer: {learning_rate: 1e-1}\n"
        "drpo: {settings: {alpha: 1e-1}}\nmix: {by: source, max_repeats: 2e0}\n"
        "reward: {settings: {min_precision: 1e-1}}\nlog: {rollouts: no, wandb: 007}\n"
    )
    found = read_settings(path, assignments=["loss.kl=1e-3", "drpo.settings.eps=1e-5"])
    assert (found.steps, found.optimizer.learning_rate, found.loss.kl) == (100, 0.1, 0.001)
    assert found.drpo.settings == {"alpha": 0.1, "eps": 1e-5}
    assert found.mix == {"by": "source", "max_repeats": 2.0}
    assert scheme_of("qoq_med_code", **found.reward.settings).min_precision == 0.1
    assert (found.log.rollouts, found.log.wandb) == (False, "007")
    (tmp_path / "again.yaml").write_text(as_yaml(found))
    assert read_settings(tmp_path / "again.yaml") == found


@pytest.mark.parametrize("given", ["labelled_boxes: no", "min_precision: x", "weights: 5"])
def test_words_are_no_reward_settings(tmp_path, given):
    """The section is not declared here; a truthy `no` must not switch anything on."""
    (tmp_path / "t.yaml").write_text(f"data: s\nmodel: m\nreward: {{settings: {{{given}}}}}\n")
    found = read_settings(tmp_path / "t.yaml")
    with pytest.raises(UsageError, match="is not a valid reward setting"):
        scheme_of("qoq_med_code", **found.reward.settings)


def test_unreadable_files(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        read_settings(tmp_path / "none.yaml")
    (tmp_path / "t.yaml").write_text("a: [1,")
    with pytest.raises(UsageError, match="YAML"):
        read_settings(tmp_path / "t.yaml")
    (tmp_path / "t.yaml").write_text("- 1")
    with pytest.raises(UsageError, match="mapping"):
        read_settings(tmp_path / "t.yaml")


def test_the_fingerprint_holds_what_decides_the_numbers():
    one = settings("steps=10")
    assert one.fingerprint() == settings("steps=99", "out=elsewhere").fingerprint()
    assert one.fingerprint() == settings("steps=10", "own_row_groups=true").fingerprint()
    assert one.fingerprint() != settings("steps=10", "loss.kl=0.1").fingerprint()
    cosine = [settings(f"steps={n}", "optimizer.schedule=cosine").fingerprint() for n in (1, 2)]
    assert cosine[0] != cosine[1]


def test_the_cut_of_a_step_by_hand():
    cut = settings("questions=16", "rollouts.per_question=6", "micro_batch=4", "updates=2")
    shape = shape_of(cut, world=4, records=100)
    # 16 questions over 4 ranks; 2 updates of 2 questions x 6 rollouts, in 3 micro-batches of 4.
    assert (shape.questions, shape.sequences, shape.micro_batches) == (4, 12, 3)
    assert shape.steps == math.ceil(100 / 16)
    ragged = settings("questions=8", "rollouts.per_question=5", "micro_batch=4")
    assert shape_of(ragged, world=4, records=100).micro_batches == 3


@pytest.mark.parametrize(
    ("assignments", "words"),
    [
        (["questions=10"], "8 or 12 questions"),
        (["questions=2"], "4 questions"),
        (["rollouts.per_question=1"], "group of one"),
        (["stage=sft", "updates=2"], "one update"),
    ],
)
def test_what_cannot_be_cut_is_refused_with_numbers_that_can(assignments, words):
    with pytest.raises(UsageError, match=words):
        shape_of(settings(*assignments), world=4, records=100)


def test_steps_and_epochs_contradict():
    with pytest.raises(UsageError, match="both"):
        settings("steps=1", "epochs=1")


def test_learning_rates_by_hand():
    cosine = Optimizer(learning_rate=1.0, schedule="cosine", warmup=2, floor=0.1)
    found = [learning_rate(cosine, step, 6) for step in range(7)]
    # Half cosine over 4 steps from 1 to 0.1: 0.1 + 0.9 (1 + cos(pi t / 4)) / 2.
    root = math.sqrt(0.5)
    expected = [0.5, 1.0, 1.0, 0.1 + 0.45 * (1 + root), 0.55, 0.1 + 0.45 * (1 - root), 0.1]
    assert found == pytest.approx(expected)
    constant = Optimizer(learning_rate=2.0, warmup=4)
    assert [learning_rate(constant, step, 9) for step in (0, 3, 8)] == [0.5, 2.0, 2.0]
