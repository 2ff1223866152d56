"""Models, repositories and packages that are not there: a line that says what brings them."""

from __future__ import annotations

import http.server
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from qoqdata.extras import install_command
from tests.cli.told import only_line


class _Hub(http.server.BaseHTTPRequestHandler):
    """Answers as the Hub does for a repository that is not there, and counts."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(401)
        self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("X-Error-Message", "Repository not found")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """A Hub without repositories in place of the real one; returns the paths it is asked for."""
    asked: list[str] = []
    handler = type("Handler", (_Hub,), {"asked": asked})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    use_hub(monkeypatch, url)
    yield asked
    server.shutdown()
    server.server_close()


def use_hub(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", url)
    monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", url)
    monkeypatch.setenv("HF_ENDPOINT", url)


@pytest.fixture
def weighted(qoqdata: Callable, films: Path, tmp_path: Path) -> Path:
    """The set with statistics, which training asks for first."""
    folder = shutil.copytree(films, tmp_path / "weighted")
    assert qoqdata("stats", folder, "--prior")[0] == 0
    return folder


def test_a_model_name_that_is_mistyped_is_asked_for_once(
    train: Callable, weighted: Path, hub: list[str], tmp_path: Path
) -> None:
    name = "our-lab/mistyped-once"
    code, _, told = train("train", "--data", weighted, "--model", name, "--out", tmp_path / "run")
    assert code == 2
    line = only_line(told)
    assert line.startswith(f"{name}: there is no such folder, and no such model on the Hub")
    assert "check its spelling" in line
    assert len([path for path in hub if name in path]) == 1


def test_a_hub_that_is_out_of_reach_is_asked_once(
    train: Callable, weighted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_hub(monkeypatch, "http://127.0.0.1:9")  # Nobody listens at the port "discard".
    name = "our-lab/out-of-reach"
    code, _, told = train("train", "--data", weighted, "--model", name, "--out", tmp_path / "run")
    assert code == 2
    assert "the Hub cannot be asked" in only_line(told)


def test_a_path_of_a_model_that_is_mistyped(train: Callable, weighted: Path) -> None:
    code, _, told = train("train", "--data", weighted, "--model", "./nowhere")
    assert code == 2
    assert only_line(told).startswith("./nowhere: no such folder. Fix: give a folder or a hub name")


def test_a_repository_of_data_that_is_mistyped(
    qoqdata: Callable, hub: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import HfFileSystem

    monkeypatch.setenv("QOQDATA_CACHE", str(tmp_path / "cache"))
    HfFileSystem.clear_instance_cache()
    code, _, told = qoqdata("validate", "hf://datasets/our-lab/mistyped")
    assert code == 2
    line = only_line(told)
    assert line.startswith("hf://datasets/our-lab/mistyped: there is no such repository for you")
    assert "check its name" in line
    assert len(hub) <= 2


def test_torch_is_not_installed(weighted: Path) -> None:
    """Weights need no torch; training says what brings it."""
    script = """import sys
sys.modules["torch"] = None
import qoqtrain.cli
sys.argv = ["qoqtrain", *sys.argv[1:]]
qoqtrain.cli.run()"""
    common = [sys.executable, "-c", script]
    asked = ["train", "--data", str(weighted), "--model", "our-lab/model"]
    done = subprocess.run([*common, *asked], capture_output=True, text=True, check=False)
    assert (done.returncode, only_line(done.stderr)) == (
        2,
        "needs torch, which is not installed. Fix: pip install 'qoqdata[train]'",
    )
    assert subprocess.run([*common, "weights", weighted], capture_output=True).returncode == 0


@pytest.mark.parametrize(
    ("module", "extra"),
    [("torch", "train"), ("transformers.utils", "train"), ("flask", "view"),
     ("presidio_analyzer", "phi"), ("h5py", "hdf5"), ("trl", "trl"), ("ray", "ray")],
)  # fmt: skip
def test_extras_by_module(module: str, extra: str) -> None:
    assert install_command(module) == f"pip install 'qoqdata[{extra}]'"


@pytest.mark.parametrize("module", ["pytest", "numpy", "nothing", ""])
def test_modules_of_no_extra(module: str) -> None:
    assert install_command(module) is None


def test_an_extra_that_is_missing_is_a_line(
    qoqdata: Callable, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(films, tmp_path / "copy")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, _, told = qoqdata("card", copy)
    assert code == 2
    assert "pip install 'qoqdata[plot]'" in only_line(told)
