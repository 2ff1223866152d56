"""Every record of the demo's data set, from the stream to logits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import qoqdata
from qoqdata.stream.decode.budget import budget_of
from qoqtrain.data.collate import Collator
from qoqtrain.model.tiny import tiny_policy
from tests.qoqtrain.model.clinical import FAMILIES


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from qoqdata.demo import SALT, stage
    from qoqdata.pipeline.build import build
    from qoqdata.pipeline.config import BuildSetting

    root = tmp_path_factory.mktemp("demo")
    build(stage(root / "raw"), root / "set", BuildSetting(SALT, workers=1))
    return root / "set"


@pytest.mark.parametrize("family", FAMILIES)
def test_all_domains_reach_the_policy(demo: Path, family: str) -> None:
    policy, processor = tiny_policy(family, ["What does this show?"])
    opened = qoqdata.open(demo)
    records = list(
        opened.stream(
            "train", seed=0, epochs=1, images="array", budget=budget_of(processor.image_processor)
        )
    )
    domains = {record["domain"] for record in records}
    assert {"ecg", "ct", "mri", "ultrasound", "dermoscopy", "chest_xray"} <= domains
    batch = Collator(processor)(records)
    assert len(batch) == len(records)
    assert sum(batch.window_counts) == sum(record["ecg"] is not None for record in records) > 0
    assert sum(batch.image_counts) == sum(len(record["images"] or ()) for record in records)
    assert max(batch.image_counts) > 1
    # The budget is the processor's own rule, so nothing is resized twice.
    assert all(truth.stored_sizes == truth.seen_sizes for truth in batch.truths)
    with torch.no_grad():
        assert policy.eval()(**batch.inputs(), logits_to_keep=1).isfinite().all()
