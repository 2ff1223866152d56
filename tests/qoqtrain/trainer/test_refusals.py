"""The dry run refuses what the run would refuse, before anything is loaded."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

torch = pytest.importorskip("torch")

import qoqdata  # noqa: E402
import qoqtrain.cli  # noqa: E402
from qoqdata.errors import QoqdataError, UsageError  # noqa: E402
from qoqtrain.trainer import loop  # noqa: E402
from qoqtrain.trainer.plan.settings import read_settings  # noqa: E402
from tests.cli.conftest import runner  # noqa: E402
from tests.qoqtrain.loopback import serving  # noqa: E402

#: A setting, as `--set` takes it, and words of its refusal.
BROKEN = [
    ("nothing_of_the_kind=1", "nothing_of_the_kind"),
    ("stage=later", "stage"),
    ("model=/nowhere/model", "no such folder"),
    ("data=/nowhere/set", "no such data set"),
    ("out=s3://bucket/run", "is a URL"),
    ("epochs=2", "both steps and epochs"),
    ("updates=3", "choose 3 or 6 questions"),
    ("reward.preset=none", "no reward preset"),
    ("reward.settings.unheard_of=1", "unknown reward settings"),
    ("reward.settings.weights=[0, 0, 0, 0]", "weights"),
    ("drpo.preset=none", "no DRPO preset"),
    ("drpo.preset=paper", "reference"),
    ("drpo.settings.unheard_of=1", "unheard_of"),
    ("drpo.settings.part_weights=[0.5, 0.5]", "one reward"),
    ("drpo.settings.reward_range=[0.5, 0.6]", r"\[0, 1\]"),
    ("rollouts.per_question=1", "set it to 2 or more"),
    ("rollouts.prompt_tokens=20", "training records cannot be shown .*chest_xray: . by length"),
    ("rollouts={unfit: leave_out, prompt_tokens: 20, response_tokens: 8}", "(.+) of \\1 training"),
    ("rollouts.batch_tokens=24", "hold no response of 24"),
    ("rollouts.backend=vllm", "address"),
    ("rollouts={backend: vllm, url: 'localhost:1'}", "is no address"),
    ("rollouts.backend=sglang", "address"),
    ("rollouts.backend=vllm_colocated", "vllm is not installed"),
    ("rollouts.memory=1", "memory"),
    ("rollouts.overlong_buffer=2000", "2000 tokens before"),
    ("micro_tokens=24", "hold no response of 24"),
    ("ecg={tokens: 7}", "50 patches cannot be 7 tokens"),
    ("ecg={width: 8}", "heads"),
    ("ecg_weights=/nowhere/encoder.pt", "no such file"),
    ("log.wandb=project", "wandb is not installed"),
    ("optimizer.betas=[0.9, 1.0]", "not in"),
    ("optimizer.learning_rate=0", "learning_rate"),
    ("lora.targets=[none_of_them]", "lora.targets"),
    ("lora.targets=[q_proj, v_prj]", "no layer is called v_prj"),
    ("lora.targets=[]", "lora.targets"),
    ("lora.rank=0", "rank"),
    ("mix.by=colour", "names no components"),
    ("mix.unheard_of=1", "unheard_of"),
    ("mix={by: domain, weights: {mri: 1}}", "has the weight None"),
    ("min_pixels=999999999", "pixels"),
    ("engine={name: torch, zero: 1}", "torch alone"),
    ("engine.offload=all", "needs zero 3"),
    ("engine.attention=flash_attention_2", "flash_attn"),
    ("validation={every: 1, split: train, best: none}", "no figure"),
    ("validation={every: 1, split: train, best: domains.fundus.accuracy}", "is not asked"),
    ("learn_from=traces", "own rollouts"),
    ("{stage: sft, learn_from: traces}", "reasoning of a policy"),
    ("{stage: align, ecg: none}", "nothing to align"),
]


@pytest.fixture
def train(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable:
    """Run `qoqtrain ARGS`; returns exit code, standard output and standard error."""
    return runner("qoqtrain", qoqtrain.cli.run, monkeypatch, capsys)


@pytest.mark.parametrize(("assignment", "words"), BROKEN)
def test_each_is_one_line_and_exit_code_2(
    small: dict[str, Any], assignment: str, words: str, train: Callable, tmp_path: Path
) -> None:
    for package in ("wandb", "flash_attn", "vllm"):
        if package in words and importlib.util.find_spec(package):
            pytest.skip(f"{package} is installed here")
    several = yaml.safe_load(assignment) if assignment.startswith("{") else {}
    path = tmp_path / "train.yaml"
    path.write_text(yaml.safe_dump(small | several))
    given = [] if several else ["--set", assignment]
    code, out, err = train("train", "--config", path, "--dry-run", *given)
    # A data set that cannot be used is a finding, a setting a matter of usage.
    assert (code, out) == (1 if assignment.startswith("data=") else 2, "")
    assert err.count("\n") == 1 and re.search(words, err) and "Fix:" in err


def test_a_folder_that_cannot_be_written_is_refused(small: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="no folder"):
        qoqtrain.dry_run({**small, "out": str(tmp_path / "file" / "run")})


def test_a_checkpoint_of_another_run_is_refused_by_the_dry_run(
    small: dict[str, Any], warm: Any, tmp_path: Path
) -> None:
    loop.train(read_settings(values={**small, "steps": 1}))
    assert qoqtrain.dry_run({**small, "steps": 2}).plan.shape.steps == 2
    for more, words in (
        ({"seed": 40}, f"settings are others .*: seed was {small['seed']} and is 40"),
        ({"loss": {"kl": 0.5}}, r"loss\.kl was 0\.0 and is 0\.5"),
        ({"model": damaged(warm, tmp_path / "another", lambda _: None)}, "model was .*another"),
    ):
        with pytest.raises(UsageError, match=words):
            qoqtrain.dry_run({**small, "steps": 2, **more})


def test_a_validation_without_a_question_is_refused(
    small: dict[str, Any], demo: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "set"
    shutil.copytree(demo, copy)
    ids = qoqdata.open(copy).metadata(["id", "split"]).filter(pl.col("split") == "validation")
    verdicts = ids.select("id", keep=pl.lit(False), rule=pl.lit("leakage"))
    (copy / "curation").mkdir(exist_ok=True)
    verdicts.write_parquet(copy / "curation" / "verdicts.parquet")
    given = {**small, "data": str(copy), "stage": "sft"}
    assert qoqtrain.dry_run(given).plan.records.height
    with pytest.raises(QoqdataError, match="no record to ask in the split validation"):
        qoqtrain.dry_run({**given, "validation": {"every": 1}})


def damaged(warm: Any, folder: Path, damage: Callable[[Path], None]) -> str:
    """A copy of the taught policy with something done to it."""
    shutil.copytree(warm.model, folder)
    damage(folder)
    return str(folder)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def listing(model: Path) -> None:
    """Weights in several files, of which one is not there."""
    index = {"metadata": {}, "weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))


def special_think(model: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<think>", "</think>"]})
    tokenizer.save_pretrained(model)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda model: (model / "model.safetensors").unlink(), "no weights"),
        (lambda model: cut(model / "model.safetensors"), "no whole safetensors file"),
        (listing, "model-2.safetensors: weights are missing"),
        (lambda model: (model / "ecg" / "model.safetensors").unlink(), "weights are missing"),
        (lambda model: (model / "config.json").unlink(), "cannot be loaded"),
        (special_think, "no answer could be read"),
    ],
)
def test_a_policy_that_lacks_something_is_refused(
    small: dict[str, Any], warm: Any, tmp_path: Path, damage: Callable, words: str
) -> None:
    given = {**small, "model": damaged(warm, tmp_path / "model", damage)}
    with pytest.raises(QoqdataError, match=words):
        qoqtrain.dry_run(given)
    # The run checks the same before it loads anything.
    with pytest.raises(QoqdataError, match=words):
        loop.train(read_settings(values=given))


def test_ecg_weights_that_do_not_fit_are_refused(small: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "encoder.pt"
    torch.save({"encoder": {"W_P.weight": torch.zeros(3, 50)}}, path)
    with pytest.raises(UsageError, match=r"shape: patch_embedding.weight \(3, 50\)"):
        qoqtrain.dry_run({**small, "ecg_weights": str(path)})


def told(models: Any) -> Callable[[str, Any], tuple[int, bytes]]:
    """A server that says what it serves and takes everything else."""
    return lambda path, body: (200, json.dumps(models).encode() if path == "/v1/models" else b"")


def test_a_server_that_is_not_there_is_told_and_one_that_cannot_serve_is_refused(
    small: dict[str, Any], train: Callable, tmp_path: Path
) -> None:
    """The machine that plans need not see the servers; a run does, before it loads anything."""

    def asking(*urls: str) -> dict[str, Any]:
        rollouts = {**small["rollouts"], "backend": "vllm", "url": list(urls)}
        return {**small, "mix": None, "ecg": "none", "rollouts": rollouts}

    nobody = "http://127.0.0.1:9/v1"
    planned = qoqtrain.dry_run(asking(nobody))
    assert len(planned.notes) == 1 and planned.notes[0].startswith(f"{nobody}: does not answer")
    with pytest.raises(QoqdataError, match="does not answer"):
        loop.train(read_settings(values=asking(nobody)))
    model = small["model"]
    with serving(told({"data": [{"id": model, "max_model_len": 4120}]})) as address:
        assert qoqtrain.dry_run(asking(f"{address}/v1")).notes == ()
        assert len(qoqtrain.dry_run(asking(f"{address}/v1", nobody)).notes) == 1
    for one, words in (
        ({"id": model, "max_model_len": 4119}, r"serves 4,119 tokens, .* 4,120"),
        ({"id": "another"}, "serves another"),
    ):
        with (
            serving(told({"data": [one]})) as address,
            pytest.raises(UsageError, match=words),
        ):
            qoqtrain.dry_run(asking(f"{address}/v1"))
