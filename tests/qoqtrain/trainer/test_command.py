"""`qoqtrain train` on the command line: the dry run, scripts, refusals with their fix."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess

import polars as pl
import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")

import qoqdata
from qoqdata.errors import QoqdataError
from qoqtrain.cli import app
from qoqtrain.trainer.engine.deepspeed import deepspeed_config
from qoqtrain.trainer.plan.dry_run import time_of
from qoqtrain.trainer.plan.launch import slurm_script
from qoqtrain.trainer.plan.memory import Sizes
from qoqtrain.trainer.plan.plan import Shape
from qoqtrain.trainer.plan.settings import read_settings


def invoke(*arguments: str):
    return CliRunner().invoke(app, ["train", *arguments], catch_exceptions=True)


def dry(demo, warm, *arguments: str):
    return invoke("--data", str(demo), "--model", str(warm.model), "--dry-run", *arguments)


def test_the_dry_run_says_what_would_happen(demo, warm):
    ended = dry(demo, warm, "--world", "2", "--set", "questions=16", "--set", "engine.zero=2")
    assert ended.exit_code == 0, ended.output
    there = qoqdata.open(demo).kept().filter(pl.col("split") == "train").height
    steps = math.ceil(there / 16)
    for words in (rf"training records +{there}\b", rf"steps +{steps}\b", "16, 8 on each of 2"):
        assert re.search(words, ended.output), words
    for domain in ("chest_xray", "ecg", "pathology"):
        assert ended.output.count(domain) == 2  # in the weights and in what they come to
    assert "sampled x weight" in ended.output
    assert re.search(r"training ECGs +([1-9])", ended.output)
    assert not (demo / "run").exists()


def test_the_engine_configuration_is_shown(demo, warm):
    ended = dry(demo, warm, "--set", "engine.zero=3", "--show-config")
    config = json.loads(ended.output[ended.output.index("{") :])
    assert config["zero_optimization"]["stage"] == 3
    # More than one: the trainer says which micro-batch is the last of a step.
    assert config["gradient_accumulation_steps"] > 1


def test_what_is_left_out_is_counted_by_domain_and_rule(demo, warm):
    tight = ("--set", "rollouts={unfit: leave_out, prompt_tokens: 160}", "--steps", "1")
    facts = json.loads(dry(demo, warm, *tight, "--json").output)
    assert all(set(rules) == {"length"} for rules in facts["unfit"].values())
    lost = sum(rules["length"] for rules in facts["unfit"].values())
    there = qoqdata.open(demo).kept().filter(pl.col("split") == "train").height
    assert facts["records"] == there - lost > 0
    assert {row["domain"] for row in facts["attention"]} <= {r["domain"] for r in facts["weights"]}
    shown = dry(demo, warm, *tight).output
    assert re.search(rf"cannot be shown +{lost} records, left out: \w+: \d+ by length", shown)


def refusal(ended) -> str:
    assert isinstance(ended.exception, QoqdataError), ended.output
    return str(ended.exception)


def test_impossible_settings_are_refused_with_the_fix(demo, warm):
    assert "choose 63 or 66 questions" in refusal(dry(demo, warm, "--world", "3"))
    assert "set it to 2 or more" in refusal(dry(demo, warm, "--set", "rollouts.per_question=1"))
    wrong = invoke("--data", str(demo), "--model", str(demo / "none"), "--dry-run")
    assert "none" in refusal(wrong)
    assert "raise" in refusal(dry(demo, warm, "--set", "rollouts.prompt_tokens=50"))
    torch_alone = dry(demo, warm, "--world", "2", "--set", "engine.name=torch")
    assert "deepspeed" in refusal(torch_alone)


def test_missing_and_stale_statistics_are_refused_with_the_command(demo, warm, tmp_path):
    copy = tmp_path / "set"
    shutil.copytree(demo, copy)
    table = copy / "stats" / "domains.parquet"
    domains = pl.read_parquet(table)
    changed = pl.when(pl.col("key") == "ct").then(pl.col("n_records") + 1).otherwise("n_records")
    domains.with_columns(n_records=changed).write_parquet(table)
    said = refusal(dry(copy, warm))
    assert "stale" in said
    assert f"qoqdata stats {copy}" in said
    shutil.rmtree(copy / "stats")
    said = refusal(dry(copy, warm))
    assert "there are no statistics yet" in said
    assert f"qoqdata stats {copy}" in said


def test_without_training_records_nothing_starts(demo, warm, tmp_path):
    copy = tmp_path / "set"
    shutil.copytree(demo, copy)
    ids = pl.scan_parquet(str(copy / "data" / "**" / "*.parquet")).select("id").collect()
    verdicts = ids.with_columns(keep=pl.lit(False), rule=pl.lit("leakage"))
    (copy / "curation").mkdir(exist_ok=True)
    verdicts.write_parquet(copy / "curation" / "verdicts.parquet")
    assert "no training record" in refusal(dry(copy, warm))


def test_the_slurm_script_is_shell_and_holds_the_command(tmp_path):
    command = ["--data", "my set", "--set", "loss.kl=1e-4"]
    script = slurm_script(command, nodes=2, gpus=8)
    assert "#SBATCH --nodes=2" in script
    assert "--nproc-per-node=8" in script
    assert "qoqtrain train --data 'my set' --set loss.kl=1e-4" in script
    assert not re.search("@[A-Z]", script)
    path = tmp_path / "job.sh"
    path.write_text(script)
    assert subprocess.run(["bash", "-n", str(path)], check=False).returncode == 0
    ended = invoke("--data", "d", "--model", "m", "--print-slurm", "2x8", "--steps", "7")
    assert "--steps 7" in ended.output
    assert "2x8" in refusal(invoke("--data", "d", "--model", "m", "--print-slurm", "two"))


def test_time_by_hand():
    """1e9 parameters, 32 sequences of 1,000 + 1,000 tokens: 64,000 tokens in one bucket."""
    sizes = Sizes(10**9, 10**9, layers=1, width=1, vocabulary=1)
    settings = read_settings(
        values={"data": "d", "model": "m", "rollouts": {"response_tokens": 1000}},
        assignments=["engine.gradient_checkpointing=false", "loss.kl=0.1"],
    )
    shape = Shape(questions=8, sequences=32, micro_batches=16, updates=1, steps=1)
    time = time_of(sizes, settings, shape, prompt_tokens=1000)
    # Forward, backward and reference: 4 x 2e9 operations a token.
    assert time.update == pytest.approx(64_000 * 8e9 / 4e14)
    assert time.generation == pytest.approx(1000 * 2e9 / 3.35e12 + 2e9 * 8000 / 4e14)


def test_deepspeed_accepts_the_configuration():
    """No key of it is unknown to DeepSpeed's own checks."""
    from deepspeed.runtime.zero.config import DeepSpeedZeroConfig

    for zero, offload in ((0, "none"), (2, "optimizer"), (3, "all")):
        engine = {"zero": zero, "offload": offload}
        settings = read_settings(values={"data": "d", "model": "m", "engine": engine})
        config = deepspeed_config(settings, bfloat16=True)
        made = DeepSpeedZeroConfig(**config["zero_optimization"])
        assert made.stage == zero
