"""Training processes for the tests: one, or several over gloo."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DRIVER = Path(__file__).with_name("train_driver.py")
ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Ended:
    code: int
    errors: str


def run(
    given: dict[str, Any], *, world: int = 1, kill_at: int = 0, kill_rank: int = 0
) -> list[Ended]:
    """Start `world` ranks and wait for all of them; a rank may die before a step."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    processes = []
    for rank in range(world):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "MASTER_PORT": port}
        environment = {name: str(value) for name, value in place.items()} if world > 1 else {}
        if world > 1:
            environment |= {"MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1"}
        processes.append(
            subprocess.Popen(
                [sys.executable, str(DRIVER), json.dumps(given), str(kill_at), str(kill_rank)],
                # DeepSpeed loads torch's compiler unasked, which takes longer than the steps.
                env={
                    **os.environ,
                    **environment,
                    "PYTHONPATH": str(ROOT),
                    "TORCHDYNAMO_DISABLE": "1",
                },
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    errors = [process.communicate()[1] for process in processes]
    return [
        Ended(process.returncode, text) for process, text in zip(processes, errors, strict=True)
    ]
