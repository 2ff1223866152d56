"""A DeepSpeed checkpoint for another number of ranks: in its universal form, a folder a parameter.

DeepSpeed's own converter writes it, in a process of its own: it prints, and its memory is given
back.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from qoqdata.errors import QoqdataError

_CONVERTER = "deepspeed.checkpoint.ds_to_universal"
#: What a launcher tells a rank; the converter is none.
_LAUNCHERS = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def write_universal(checkpoint: Path, out: Path) -> None:
    """Write the DeepSpeed checkpoint in the folder `checkpoint` to `out`, whole or not at all.

    Takes as much disk as the checkpoint. Raises QoqdataError where DeepSpeed cannot convert it.
    """
    draft = out.with_name(f"{out.name}.tmp")
    for folder in (draft, out):
        shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", _CONVERTER, "--inject_missing_state"]
    command += ["--num_extract_workers", "1", "--num_merge_workers", "1"]
    command += ["--input_folder", str(checkpoint), "--output_folder", str(draft)]
    environment = {name: value for name, value in os.environ.items() if name not in _LAUNCHERS}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        shutil.rmtree(draft, ignore_errors=True)
        said = (ended.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise QoqdataError(
            f"cannot be made ready for another number of ranks: {said}",
            where=str(checkpoint),
            fix="go on with as many ranks as wrote it, or check that the disk is not full",
        )
    draft.rename(out)
