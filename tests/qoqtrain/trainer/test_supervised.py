"""Supervised steps: targets that score full marks, and a loss that is cross-entropy."""

from __future__ import annotations

import json

import polars as pl
import pytest

torch = pytest.importorskip("torch")

import qoqdata  # noqa: E402
import qoqtrain  # noqa: E402
from qoqdata.errors import UsageError  # noqa: E402
from qoqtrain.rewards import score, truth_of  # noqa: E402
from qoqtrain.trainer.loop import train  # noqa: E402
from qoqtrain.trainer.plan.settings import read_settings  # noqa: E402
from qoqtrain.trainer.step.supervised import target_text  # noqa: E402


def region(label: str, image: int, *corners: float) -> dict:
    names = ("x_min", "y_min", "x_max", "y_max")
    return {"label": label, "image": image, **dict(zip(names, corners, strict=True))}


@pytest.mark.parametrize("frame", ["pixels", "thousandths"])
def test_a_target_earns_the_whole_answer_and_grounding(frame):
    truth = truth_of(
        {
            "answer": "Effusion, Nodule",
            "options": ["Effusion", "Nodule", "No finding"],
            "regions": [
                region("Effusion", 0, 100, 50, 300, 250),
                region("Nodule", 1, 0, 0, 64, 64),
            ],
            "stored_sizes": [(400, 300), (128, 128)],
            "seen_sizes": [(800, 600), (64, 64)],
            "frame": frame,
        }
    )
    facts = {"answer": "Effusion, Nodule", "reasoning": "Fluid, and a round shadow."}
    text = target_text(facts, truth, images=2)
    (found,) = score([text], [truth], "qoq_med_code")
    assert found["answer"] == 1.0
    assert found["grounding"] > 0.99
    assert found["format"] == 1.0


def test_corners_by_hand():
    truth = truth_of(
        {
            "answer": "a",
            "regions": [region("a", 0, 10, 20, 30, 40)],
            "stored_sizes": [(100, 200)],
            "seen_sizes": [(50, 50)],
        }
    )
    assert target_text({"answer": "a"}, truth, images=1) == (
        '```json\n[{"bbox_2d": [5, 5, 15, 10], "label": "a"}]\n```\n\\boxed{a}'
    )


def test_corners_round_as_those_of_a_prompt():
    """2.5 goes up, and a side of 0.1 keeps a pixel."""
    boxes = [region("a", 0, 5, 0, 20, 8), region("b", 0, 4.0, 0, 4.2, 8)]
    sizes = {"stored_sizes": [(40, 40)], "seen_sizes": [(20, 20)]}
    told = target_text(
        {"answer": "a"}, truth_of({"answer": "a", "regions": boxes, **sizes}), images=1
    )
    assert '"bbox_2d": [3, 0, 10, 4]' in told and '"bbox_2d": [2, 0, 3, 4]' in told


def test_one_readers_boxes_are_taught():
    """Those of all readers would mark a finding as often as it was seen, and earn less."""
    boxes = [
        region("a", 0, 0, 0, 10, 10) | {"reader": "R1"},
        region("a", 0, 1, 0, 10, 10) | {"reader": "R2"},
        region("b", 0, 20, 20, 30, 30) | {"reader": "R2"},
    ]
    truth = truth_of({"answer": "a, b", "regions": boxes, "stored_sizes": [(40, 40)]})
    text = target_text({"answer": "a, b"}, truth, images=1)
    (found,) = score([text], [truth], "qoq_med_code")
    assert text.count("bbox_2d") == 2 and found["grounding"] == 1.0


def test_nothing_is_made_up():
    truth = truth_of({"answer": "Normal ECG"})
    assert target_text({"answer": "Normal ECG"}, truth, images=0) == "\\boxed{Normal ECG}"
    empty = truth_of({"answer": "Normal", "regions": [], "stored_sizes": [(9, 9)]})
    assert target_text({"answer": "Normal"}, empty, images=1) == (
        "```json\n[]\n```\n\\boxed{Normal}"
    )


def test_a_warm_start_lowers_the_loss(warm):
    losses = [step["loss"] for step in warm.steps]
    assert sum(losses[-5:]) < 0.4 * sum(losses[:5])
    assert (warm.model / "config.json").is_file()


def test_alignment_trains_the_ecg_branch_alone(small, warm, tmp_path):
    from safetensors.torch import load_file

    changes = {"stage": "align", "steps": 2, "rollouts": {"response_tokens": 64}, "mix": None}
    folder = train(read_settings(values={**small, **changes}))
    for name, moves in (("model.safetensors", False), ("ecg/model.safetensors", True)):
        before, after = load_file(warm.model / name), load_file(folder / name)
        assert before.keys() == after.keys()
        changed = any(not torch.equal(before[key], after[key]) for key in before)
        assert changed == moves, name


def test_a_target_that_is_too_long_stops_the_run_and_is_named(small):
    changes = {"stage": "sft", "steps": 1, "rollouts": {"response_tokens": 2}}
    with pytest.raises(UsageError, match=r"record \w+: the target has \d+ tokens"):
        train(read_settings(values={**small, **changes}))


@pytest.mark.slow
def test_traces_alone_are_learned_from(small, demo, tmp_path):
    train = qoqdata.open(demo).for_training().filter(pl.col("split") == "train")
    ids = train["id"].sort()[:6].to_list()
    rows = [
        {"id": i, "response": "<think>dull</think>\\boxed{A}", "reward": 1.0, "policy": "p"}
        for i in ids
    ]
    path = tmp_path / "rollouts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    qoqdata.traces(demo, path, out=tmp_path / "traced")
    asked = {**small, "stage": "sft", "learn_from": "traces", "steps": 1, "mix": None}
    planned = qoqtrain.dry_run({**asked, "data": str(tmp_path / "traced")})
    assert planned.plan.records["id"].sort().to_list() == ids
    with pytest.raises(UsageError, match="no training record has reasoning of a policy"):
        qoqtrain.dry_run(asked)
    with pytest.raises(UsageError, match="DRPO learns from its own rollouts"):
        qoqtrain.dry_run({**asked, "stage": "drpo"})
