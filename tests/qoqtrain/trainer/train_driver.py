"""A training process: settings as JSON; it may kill itself before a step on a rank.

At its end every rank writes the sha256 of its weights beside the run, into OUT/weights-RANK.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from hashlib import sha256

import torch

from qoqdata import command_line


def main() -> None:
    given, kill_at, kill_rank = json.loads(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    torch.set_num_threads(1)
    from qoqtrain.trainer import loop
    from qoqtrain.trainer.plan.settings import read_settings

    if os.environ.get("RANK", "0") == kill_rank and kill_at:
        step_of = loop.policy_step

        def stop_before(run, taken, step):
            if step == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return step_of(run, taken, step)

        loop.policy_step = stop_before
    export = loop.export_model

    def write_digest(run):
        folder = export(run)
        state = run.engine.module.state_dict()
        digest = sha256()
        for name in sorted(state):
            digest.update(name.encode() + state[name].contiguous().numpy().tobytes())
        (folder.parent / f"weights-{run.ranks.rank}").write_text(digest.hexdigest())
        return folder

    loop.export_model = write_digest
    command_line.guard(lambda: loop.train(read_settings(values=given)))


if __name__ == "__main__":
    main()
