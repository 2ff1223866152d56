"""Groups worth generating: what is left out of updates, what is not asked, what is drawn anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from qoqdata.errors import UsageError  # noqa: E402
from qoqtrain.trainer.log import metrics  # noqa: E402
from qoqtrain.trainer.loop import train  # noqa: E402
from qoqtrain.trainer.plan.settings import read_settings  # noqa: E402
from qoqtrain.trainer.step.sequences import Example  # noqa: E402
from qoqtrain.trainer.step.update import moving, telling  # noqa: E402
from qoqtrain.trainer.success import SuccessTable, chance_of_difference  # noqa: E402


def run(small: dict[str, Any], *assignments: str) -> list[dict[str, Any]]:
    torch.set_num_threads(1)
    train(read_settings(values=small, assignments=assignments))
    return metrics.read_metrics(Path(small["out"]) / metrics.FILE)


def test_the_chance_of_a_group_that_tells() -> None:
    assert chance_of_difference(0.5, 2) == 0.5
    assert chance_of_difference(0.9, 4) == pytest.approx(1 - 0.6561 - 0.0001)
    assert chance_of_difference(0.0, 5) == chance_of_difference(1.0, 5) == 0.0


def test_success_begins_at_the_domain_s_and_moves_to_the_question_s() -> None:
    table = SuccessTable({"ct": 0.25}, strength=2.0)
    assert (table.rate("q", "ct"), table.rate("q", "other")) == (0.25, 0.5)
    table.add([("q", 1.0), ("q", 1.0), ("q", 0.0), ("q", 1.0)])
    # (3 + 2 * 0.25) / (4 + 2)
    assert table.rate("q", "ct") == pytest.approx(3.5 / 6)
    # What was seen before counts half: (0 + 1.5 + 0.5) / (4 + 2 + 2).
    table.add([("q", 0.0)] * 4)
    assert table.rate("q", "ct") == pytest.approx(2.0 / 8)
    other = SuccessTable({"ct": 0.25}, strength=2.0)
    other.load_state_dict(table.state_dict())
    assert other.counts == table.counts


EXAMPLES = [
    Example(0, (1,), 0.0),
    Example(1, (1,), -0.5),
    Example(1, (1,), 0.5, truncated=True),
]


def kept(which: Any, *assignments: str) -> list[int]:
    chosen = read_settings(values={"data": "d", "model": "m"}, assignments=assignments)
    return [EXAMPLES.index(one) for one in which(EXAMPLES, chosen)]


def test_what_the_mean_of_an_update_is_over() -> None:
    assert kept(telling) == [0, 1, 2]
    assert kept(telling, "groups.skip_tied=true") == [1, 2]
    assert kept(telling, "groups.skip_tied=true", "loss.kl=0.1") == [0, 1, 2]
    assert kept(telling, "groups.tokens=100") == [1, 2]
    assert kept(telling, "rollouts.overlong=mask") == [0, 1]


def test_what_moves_nothing_is_not_computed() -> None:
    assert kept(moving) == [1, 2]
    assert kept(moving, "loss.entropy=0.1") == kept(moving, "loss.kl=0.1") == [0, 1, 2]


def test_a_tied_group_counts_in_the_mean_and_is_skipped_where_asked(
    small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four groups of which two are tied: skipping these doubles the gradient."""
    from qoqtrain.trainer.step import policy_step
    from qoqtrain.trainer.step.scoring import score_rollouts

    def half(rollouts: list[Any], *rest: Any, **named: Any) -> list[dict[str, Any]]:
        scores = score_rollouts(rollouts, *rest, **named)
        told = list(dict.fromkeys(one.question for one in rollouts))[:2]
        for place, (one, score) in enumerate(zip(rollouts, scores, strict=True)):
            score["overall"] = float(one.question in told and place % 2)
        return scores

    monkeypatch.setattr(policy_step, "score_rollouts", half)
    norms = {}
    for skip in ("false", "true"):
        small["out"] = str(Path(small["out"]).with_name(f"run-{skip}"))
        lines = run(small, "steps=1", f"groups.skip_tied={skip}", "rollouts.response_tokens=1")
        assert lines[0]["groups"]["telling"] == 2
        norms[skip] = lines[0]["gradient_norm"]
    assert norms["true"] == pytest.approx(2 * norms["false"], rel=1e-5)


def test_a_step_of_tied_groups_moves_nothing(small: dict[str, Any], warm: Any) -> None:
    from safetensors.torch import load_file

    # Nobody is ever right about a label that no answer holds.
    lines = run(small, "steps=1", "reward.preset=accuracy", "rollouts.response_tokens=1")
    assert lines[0]["groups"]["telling"] == 0 and lines[0]["gradient_norm"] == 0.0
    before = load_file(warm.model / "model.safetensors")
    after = load_file(Path(small["out"]) / "model" / "model.safetensors")
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_questions_are_drawn_anew_within_the_budget(small: dict[str, Any]) -> None:
    """Each draw of 4 questions x 4 rollouts x 1 token costs 16 tokens; none of them tells."""
    given = ("steps=2", "rollouts.response_tokens=1", "reward.preset=accuracy")
    lines = run(small, *given, "groups.tokens=50")
    assert [line["groups"]["rounds"] for line in lines] == [3, 3]
    assert [line["groups"]["tokens"] for line in lines] == [48, 48]
    # Twelve questions a step: no question was lost between the steps.
    assert [line["groups"]["asked"] + line["left_out"] for line in lines] == [12, 12]


def test_questions_that_will_tell_nothing_are_not_asked(small: dict[str, Any]) -> None:
    """After four wrong answers the chance of a difference is below 0.8; one question stays."""
    given = ("steps=4", "rollouts.response_tokens=1", "reward.preset=accuracy")
    mix = "mix={by: domain, weights: {ct: 1, mri: 0, ultrasound: 0, ecg: 0, chest_xray: 0,"
    mix += " pathology: 0, dermoscopy: 0}}"
    lines = run(small, *given, mix, "groups.foresee=0.8")
    foreseen = [line["groups"]["foreseen"] for line in lines]
    assert sum(foreseen) > 0
    assert all(line["groups"]["asked"] >= 1 for line in lines)


def test_the_factor_of_the_paper_is_applied_or_refused(small: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="divergence from a reference"):
        run(small, "drpo.preset=paper")
    lines = run(small, "drpo.preset=paper", "loss.kl=0.001", "steps=1")
    assert lines[0]["drpo"]["kl_damping"]["state"] == "question_pos"


def test_six_steps_on_the_demo_learn_from_answers_alone(small: dict[str, Any]) -> None:
    """The default reward and budget: no squared advantage in groups whose answers tie."""
    del small["mix"]
    lines = run(small, "steps=6", "rollouts.per_question=6", "questions=6", "micro_batch=6")
    assert len(lines) == 6
    assert [line["drpo"]["answer_tied"]["mass"] for line in lines] == [0.0] * 6
    moved = [line["gradient_norm"] > 0 for line in lines]
    assert moved == [line["groups"]["telling"] > 0 for line in lines]
