"""Ranks whose batches hold different modalities keep in step."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.qoqtrain.model.clinical import FAMILIES

ROOT = Path(__file__).resolve().parents[3]
WORKER = Path(__file__).with_name("unlike_ranks.py")


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_zero_3_makes_the_losses_of_zero_0(family: str, tmp_path: Path) -> None:
    losses = []
    for stage in (0, 3):
        out = tmp_path / f"{stage}.json"
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command += ["--nproc_per_node", "2", str(WORKER), str(stage), family, str(out)]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "DS_ACCELERATOR": "cpu"}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=800, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        losses.append(json.loads(out.read_text()))
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    assert len(set(losses[0])) == 3
