"""The reward functions of exported rows, called as TRL and verl call them."""

from __future__ import annotations

import importlib.util
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


def said(answer: str) -> str:
    return f"<think>It looks like it.</think>\n\\boxed{{{answer}}}"


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
        right = verl_module.compute_score(
            solution_str=said(row["reward_model"]["ground_truth"]), **call
        )
        assert right == {"score": 1.0, "acc": 1.0}
        wrong = verl_module.compute_score(solution_str=said("zebra crossing"), **call)
        assert wrong["acc"] == wrong["score"] == 0.0
        bare = wanted[row["extra_info"]["index"]] | {"regions": None}
        text = f"\\boxed{{{bare['answer']}}}"
        (ours,) = score([text], [truth_of_record(bare)], "gated")
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


def test_trl_scores_conversations_and_texts(varied: Dataset, wanted: dict, tmp_path: Path) -> None:
    from datasets import load_dataset

    FORMATS["trl"](varied, tmp_path)
    data = load_dataset("parquet", data_files=str(tmp_path / "train.parquet"), split="train")
    data = data.remove_columns("images")
    # TRL repeats a row for each of its completions, and hands over every column.
    rows = [row for row in data for _ in range(2)]
    columns = {name: [row[name] for row in rows] for name in data.column_names}
    texts = [said(row["answer"] if i % 2 else "zebra crossing") for i, row in enumerate(rows)]
    for completions in (texts, [[{"role": "assistant", "content": text}] for text in texts]):
        rewards = export_rewards.reward(completions=completions, completion_ids=[], **columns)
        assert rewards == [float(i % 2) for i in range(len(rows))]
    assert len(rows) == 2 * sum(
        row["split"] == "train" and row["ecg"] is None for row in wanted.values()
    )
