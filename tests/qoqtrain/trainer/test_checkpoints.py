"""Checkpoints: whole or not there, whatever moment the process dies at."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from qoqdata.errors import UsageError
from qoqtrain.trainer import checkpoints
from qoqtrain.trainer.engine.ranks import Ranks


def save(root: Path, step: int, keep: int = 2, content: str = "weights") -> Path:
    def write(folder: Path) -> None:
        (folder / "engine").mkdir()
        (folder / "engine" / "state.pt").write_text(f"{content} {step}")

    return checkpoints.write_checkpoint(root, step, write, {"step": step}, keep=keep, ranks=Ranks())


def test_the_latest_is_found_and_old_ones_go(tmp_path):
    assert checkpoints.latest_checkpoint(tmp_path / "none") is None
    for step in (2, 4, 6):
        save(tmp_path, step)
    found = checkpoints.latest_checkpoint(tmp_path)
    assert found is not None
    assert checkpoints.read_checkpoint(found) == {"step": 6}
    assert (found / "engine" / "state.pt").read_text() == "weights 6"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "latest",
        "step-00000004",
        "step-00000006",
    ]


def test_a_step_is_saved_again(tmp_path):
    save(tmp_path, 2, content="old")
    save(tmp_path, 2, content="new")
    found = checkpoints.latest_checkpoint(tmp_path)
    assert found is not None
    assert (found / "engine" / "state.pt").read_text() == "new 2"


def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path):
    save(tmp_path, 2)
    last = save(tmp_path, 4)
    (last / "engine" / "state.pt").write_text("w")
    found = checkpoints.latest_checkpoint(tmp_path)
    assert found is not None
    assert checkpoints.read_checkpoint(found)["step"] == 2
    (found / checkpoints.SIZES).write_text("{")
    assert checkpoints.latest_checkpoint(tmp_path) is None


def test_a_run_file_that_is_lost_is_named(tmp_path):
    folder = save(tmp_path, 2)
    (folder / checkpoints.RUN).write_text("{")
    with pytest.raises(UsageError, match=r"run\.json"):
        checkpoints.read_checkpoint(folder)


def dies_at(root: Path, calls: int) -> None:
    """Save step 4, and die at the given call of what touches the disk."""
    seen = 0

    def counted(real):
        def call(*arguments, **named):
            nonlocal seen
            seen += 1
            if seen == calls:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **named)

        return call

    os.fsync, os.rename, os.unlink = counted(os.fsync), counted(os.rename), counted(os.unlink)
    os.replace, os.mkdir, os.rmdir = counted(os.replace), counted(os.mkdir), counted(os.rmdir)
    save(root, 4, keep=1)


@pytest.mark.parametrize("calls", range(1, 23))
def test_a_save_killed_anywhere_leaves_a_whole_checkpoint(tmp_path, calls):
    save(tmp_path, 2, keep=1)
    process = multiprocessing.get_context("fork").Process(target=dies_at, args=(tmp_path, calls))
    process.start()
    process.join()
    found = checkpoints.latest_checkpoint(tmp_path)
    assert found is not None
    step = checkpoints.read_checkpoint(found)["step"]
    assert step in (2, 4)
    assert (found / "engine" / "state.pt").read_text() == f"weights {step}"
    # And the next save goes well over whatever was left.
    save(tmp_path, 4, keep=1)
    save(tmp_path, 6, keep=1)
    assert [path.name for path in tmp_path.glob("step-*")] == ["step-00000006"]
