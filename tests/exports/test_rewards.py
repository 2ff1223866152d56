"""The reward functions of exported rows, called as TRL and verl call them."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest

from qoqdata.dataset import Dataset
from qoqdata.errors import UsageError
from qoqdata.exports.formats import FORMATS
from qoqtrain.adapters import export_rewards
from qoqtrain.rewards import score, truth_of_record


def said(answer: str, boxes: str = "") -> str:
    return f"<think>It looks like it.</think>\n{boxes}\\boxed{{{answer}}}"


def drawn(row: dict[str, Any]) -> str:
    """The boxes of an exported row in thousandths by hand, where they are the question."""
    if row["kind"] != "boxes":
        return ""
    boxes = []
    for region in json.loads(row["regions"]):
        width, height = row["image_sizes"][region["image"]]
        xs = [round(region[x] * 1000 / width) for x in ("x_min", "x_max")]
        ys = [round(region[y] * 1000 / height) for y in ("y_min", "y_max")]
        boxes.append({"image": region["image"], "bbox_2d": [xs[0], ys[0], xs[1], ys[1]]})
    return f"```json\n{json.dumps(boxes)}\n```\n"


@pytest.fixture(scope="module")
def verl_module() -> ModuleType:
    """The module as verl loads it: by the path of its file, under another name."""
    spec = importlib.util.spec_from_file_location("custom_module", export_rewards.__file__)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["custom_module"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["custom_module"]


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return [
        row for path in sorted(folder.glob("*.parquet")) for row in pl.read_parquet(path).to_dicts()
    ]


def test_verl_scores_what_its_export_holds(
    varied: Dataset, wanted: dict, verl_module: ModuleType, tmp_path: Path
) -> None:
    FORMATS["verl"](varied, tmp_path)
    rows = rows_of(tmp_path)
    assert {row["extra_info"]["kind"] for row in rows} > {"single", "number"}
    for row in rows:
        # The keywords that verl's reward loop uses, and more of them than are looked at.
        call = {
            "data_source": row["data_source"],
            "ground_truth": row["reward_model"]["ground_truth"],
            "extra_info": row["extra_info"] | {"num_turns": 2},
            "reward_router_address": None,
        }
        answer, boxes = row["reward_model"]["ground_truth"], drawn(row["extra_info"])
        right = verl_module.compute_score(solution_str=said(answer, boxes), **call)
        assert right["acc"] == 1.0 and right["score"] == pytest.approx(1.0, abs=0.02 * bool(boxes))
        # Labels without their boxes are two thirds of what is asked.
        bare = verl_module.compute_score(solution_str=said(answer), **call)
        assert bare["score"] == (2 / 3 if boxes else 1.0)
        wrong = verl_module.compute_score(solution_str=said("zebra crossing"), **call)
        assert wrong["acc"] == wrong["score"] == 0.0
        record = wanted[row["extra_info"]["index"]]
        if record["kind"] != "boxes":
            record = record | {"regions": None}
        text = f"\\boxed{{{record['answer']}}}"
        (ours,) = score([text], [truth_of_record(record)], "gated")
        theirs = verl_module.compute_score(solution_str=text, preset="gated", **call)
        assert theirs == {"score": ours["overall"], "acc": ours["answer"]}


def test_verl_may_set_the_preset(verl_module: ModuleType) -> None:
    facts = {"index": "r", "question": "Which?\nA. left\nB. right", "kind": "choice",
             "options": ["left", "right"], "number": None}  # fmt: skip
    call = ("s", "\\boxed{B}", "right", facts)
    assert verl_module.compute_score(*call) == {"score": 1.0, "acc": 1.0}
    assert verl_module.compute_score(*call, preset="gated")["score"] < 1.0


@pytest.mark.parametrize("facts", [None, {}, {"index": "r", "kind": "single", "options": None}])
def test_rows_of_another_kind_are_refused_with_a_fix(
    facts: dict | None, verl_module: ModuleType
) -> None:
    with pytest.raises(UsageError, match="export SET --to verl"):
        verl_module.compute_score("openai/gsm8k", "\\boxed{1}", "1", facts)
    columns = {name: ["a"] for name in ("id", "question", "kind", "answer", "options")}
    with pytest.raises(UsageError, match=r"a row has no number.*export SET --to trl"):
        export_rewards.reward([said("a")], **columns)
    columns |= {"kind": ["boxes"], "number": [None]}
    with pytest.raises(UsageError, match=r"a row has no regions.*export SET --to trl"):
        export_rewards.reward([said("a")], **columns)


def test_trl_scores_conversations_and_texts(varied: Dataset, wanted: dict, tmp_path: Path) -> None:
    from datasets import load_dataset

    FORMATS["trl"](varied, tmp_path)
    data = load_dataset("parquet", data_files=str(tmp_path / "train.parquet"), split="train")
    data = data.remove_columns("images")
    # TRL repeats a row for each of its completions, and hands over every column.
    rows = [row for row in data for _ in range(2)]
    columns = {name: [row[name] for row in rows] for name in data.column_names}
    texts = [
        said(row["answer"], drawn(row)) if i % 2 else said("zebra crossing")
        for i, row in enumerate(rows)
    ]
    for completions in (texts, [[{"role": "assistant", "content": text}] for text in texts]):
        rewards = export_rewards.reward(completions=completions, completion_ids=[], **columns)
        assert rewards == pytest.approx([float(i % 2) for i in range(len(rows))], abs=0.02)
    assert {"boxes"} < set(columns["kind"])
    assert len(rows) == 2 * sum(
        row["split"] == "train" and row["ecg"] is None for row in wanted.values()
    )
