"""The dry run refuses what the run would refuse, before anything is loaded."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import polars as pl
import pytest

torch = pytest.importorskip("torch")

import qoqtrain  # noqa: E402
from qoqdata.errors import QoqdataError, UsageError  # noqa: E402
from qoqtrain.trainer import loop  # noqa: E402
from qoqtrain.trainer.plan.plan import plan_run  # noqa: E402
from qoqtrain.trainer.plan.refusals import refuse_unfit, unfit_records  # noqa: E402
from qoqtrain.trainer.plan.settings import read_settings  # noqa: E402

BROKEN = [
    ("reward.preset=none", "no reward preset"),
    ("reward.settings.unheard_of=1", "unknown reward settings"),
    ("reward.settings.weights=[0, 0, 0, 0]", "weights"),
    ("drpo.preset=none", "no DRPO preset"),
    ("drpo.preset=paper", "reference"),
    ("drpo.settings.part_weights=[0.5, 0.5]", "one reward"),
    ("drpo.settings.reward_range=[0.5, 0.6]", r"\[0, 1\]"),
    ("rollouts.backend=vllm", "address"),
    ("rollouts={backend: vllm, url: 'http://localhost:1/v1'}", "ECG"),
    ("rollouts.overlong_buffer=2000", "2000 tokens before"),
    ("ecg_weights=/nowhere/encoder.pt", "no such file"),
    ("log.wandb=project", "wandb is not installed"),
    ("optimizer.betas=[0.9, 1.0]", "not in"),
    ("lora.targets=[none_of_them]", "lora.targets"),
    ("mix.by=colour", "names no components"),
    ("min_pixels=999999999", "pixels"),
]


@pytest.mark.parametrize(("assignment", "words"), BROKEN)
def test_broken_settings_are_refused(small: dict[str, Any], assignment: str, words: str) -> None:
    if "wandb" in assignment and importlib.util.find_spec("wandb"):
        pytest.skip("wandb is installed here")
    with pytest.raises(QoqdataError, match=words):
        qoqtrain.dry_run(read_settings(values=small, assignments=[assignment]))


def test_a_folder_that_cannot_be_written_is_refused(small: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="no folder"):
        qoqtrain.dry_run({**small, "out": str(tmp_path / "file" / "run")})


def test_a_checkpoint_of_another_run_is_refused_by_the_dry_run(small: dict[str, Any]) -> None:
    loop.train(read_settings(values={**small, "steps": 1}))
    assert qoqtrain.dry_run({**small, "steps": 2}).plan.shape.steps == 2
    with pytest.raises(UsageError, match="settings are others"):
        qoqtrain.dry_run({**small, "steps": 2, "seed": 7})


def test_records_that_cannot_be_shown_are_found_by_their_sizes(
    small: dict[str, Any], demo: Path
) -> None:
    """A record of 6000 x 20, beyond the aspect that the processor takes."""
    from qoqtrain.model.processor import Processor
    from qoqtrain.trainer.engine.ranks import Ranks

    settings = read_settings(values=small)
    plan = plan_run(settings, Ranks())
    processor = Processor.from_pretrained(settings.model, ecg=plan.branch)
    assert unfit_records(plan.dataset, plan.records, processor, settings) == {}
    first = plan.records.filter(pl.col("n_images") > 0)["id"].sort()[0]

    class Long:
        """The data set's leaves with one image drawn long."""

        def __init__(self) -> None:
            self.files = self

        def leaves(self, names: list[str]) -> Any:
            frame = pl.DataFrame(plan.dataset.files.leaves(names))
            size = [{"width": 6000, "height": 20}]
            return frame.with_columns(
                pl.when(pl.col("id") == first)
                .then(pl.lit(size, dtype=frame.schema["image_info"]))
                .otherwise("image_info")
                .alias("image_info")
            ).to_arrow()

    unfit = unfit_records(Long(), plan.records, processor, settings)  # type: ignore[arg-type]
    assert list(unfit) == [first] and "200" in unfit[first]
    with pytest.raises(UsageError, match=f"record {first}: 1 of"):
        refuse_unfit(unfit, settings, plan.records.height)
    leave_out = read_settings(values=small, assignments=["rollouts.unfit=leave_out"])
    refuse_unfit(unfit, leave_out, plan.records.height)
    with pytest.raises(UsageError, match="1 of 1"):
        refuse_unfit(unfit, leave_out, 1)


def test_a_limit_below_the_images_is_found_for_the_whole_epoch(small: dict[str, Any]) -> None:
    given = {**small, "rollouts": {**small["rollouts"], "unfit": "leave_out", "prompt_tokens": 300}}
    planned = qoqtrain.dry_run(given)
    assert all("a prompt are allowed" in why for why in planned.unfit.values())
    tight = {**given, "rollouts": {**given["rollouts"], "unfit": "stop", "prompt_tokens": 20}}
    with pytest.raises(UsageError, match="cannot be shown"):
        qoqtrain.dry_run(tight)
