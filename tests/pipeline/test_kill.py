"""SIGKILL at any moment, then the same command again: the bytes of an unbroken build."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import qoqdata
from qoqdata.pipeline.config import SourceRequest

Films = Callable[..., SourceRequest]

COMMAND = "from qoqdata.cli.main import run; run()"


def command(config: Path, out: Path, salt: Path) -> list[str]:
    arguments = ["build", "--config", str(config), "--out", str(out), "--workers", "2"]
    return [sys.executable, "-c", COMMAND, *arguments, "--salt-file", str(salt)]


def kill_when(process: subprocess.Popen, ready: Callable[[], bool]) -> bool:
    """Kill the process group as soon as `ready`; false when the process ended before."""
    deadline = time.monotonic() + 300
    while not ready():
        if process.poll() is not None:
            return False
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return True


@pytest.mark.slow
def test_killed_and_resumed_is_unbroken(films: Films, tmp_path: Path) -> None:
    request = films(150)
    config, salt = tmp_path / "build.yaml", tmp_path / "salt"
    content = {"sources": [request.model_dump(mode="json")], "shard_units": 6}
    config.write_text(yaml.safe_dump(content))
    salt.write_text("ab" * 32)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    subprocess.run(command(config, whole, salt), check=True, capture_output=True)
    expected = {s.path: s.sha256 for s in qoqdata.open(whole).manifest.shards}
    assert len(expected) > 20

    def receipts() -> int:
        return len(list(broken.glob(".build/receipts/*/*.json")))

    def drafting() -> bool:
        return any(broken.glob("data/*/.*.tmp"))

    kills = 0
    moments: list[Callable[[], bool]] = [
        lambda: (broken / ".build").is_dir(),
        lambda: receipts() >= 1,
        lambda: receipts() >= 5 and drafting(),
        lambda: receipts() >= 12,
        lambda: (broken / ".build" / "sources").is_dir(),
    ]
    for moment in moments:
        process = subprocess.Popen(
            command(config, broken, salt),
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        kills += kill_when(process, moment)
    assert kills >= 3
    subprocess.run(command(config, broken, salt), check=True, capture_output=True)
    manifest = qoqdata.open(broken).manifest
    assert {s.path: s.sha256 for s in manifest.shards} == expected
    assert (broken / "manifest.json").read_bytes().replace(b"broken", b"whole") == (
        whole / "manifest.json"
    ).read_bytes()
    on_disk = {str(p.relative_to(broken)) for p in (broken / "data").rglob("*") if p.is_file()}
    assert on_disk == set(expected)


@pytest.mark.slow
def test_parts_that_are_killed_and_repeated_in_any_order(films: Films, tmp_path: Path) -> None:
    """With 1, 2 and 4 workers, two parts at a time, and each of them killed at some moment."""
    chance = random.Random(0)
    request = films(150)
    config, salt = tmp_path / "build.yaml", tmp_path / "salt"
    content = {"name": "films", "sources": [request.model_dump(mode="json")], "shard_units": 6}
    config.write_text(yaml.safe_dump(content))
    salt.write_text("ab" * 32)
    whole, shared, log = tmp_path / "whole", tmp_path / "shared", tmp_path / "log"

    def run(*arguments: object) -> subprocess.Popen:
        words = [sys.executable, "-c", COMMAND, *map(str, arguments), "--salt-file", str(salt)]
        with log.open("wb") as stream:
            return subprocess.Popen(words, start_new_session=True, stdout=stream, stderr=stream)

    assert run("build", "--config", config, "--out", whole, "--workers", 2).wait() == 0
    assert run("plan", "--config", config, "--out", shared).wait() == 0
    parts = [(number, of) for of in (2, 3) for number in range(1, of + 1)]
    chance.shuffle(parts)

    def receipts() -> int:
        return len(list(shared.glob(".build/receipts/*/*.json")))

    kills = 0
    for place, (number, of) in enumerate(parts):
        arguments = ("build", "--part", f"{number}/{of}", "--out", shared)
        first = run(*arguments, "--workers", (1, 2, 4)[place % 3])
        second = run("build", "--part", f"1/{of}", "--out", shared, "--workers", 1)
        done = receipts() + 1
        kills += kill_when(first, lambda least=done: receipts() >= least)
        assert second.wait() == 0
        if place == 2:
            assert run("finish", "--out", shared).wait() == 3
            assert "chunks are missing: of part" in log.read_text()
    assert kills >= 2
    for number in (2, 1):
        assert run("build", "--part", f"{number}/2", "--out", shared).wait() == 0
    finishes = [run("finish", "--out", shared) for _ in range(2)]
    assert 0 in {process.wait() for process in finishes} <= {0, 2}
    assert (shared / "manifest.json").read_bytes() == (whole / "manifest.json").read_bytes()
    manifest = qoqdata.open(shared).manifest
    on_disk = {str(p.relative_to(shared)) for p in (shared / "data").rglob("*") if p.is_file()}
    assert on_disk == {shard.path for shard in manifest.shards}


def test_a_decoder_that_kills_its_process_costs_one_unit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import polars as pl

    from qoqdata.pipeline.build import build_requests
    from qoqdata.pipeline.config import BuildSetting
    from qoqdata.sources import catalogue
    from qoqdata.suite.scaffold import scaffold
    from tests.pipeline.conftest import SALT

    package = tmp_path / "crash_package"
    package.mkdir()
    folder = scaffold("crasher", "fundus", package).folder
    text = (folder / "source.py").read_text()
    crash = '    if unit.key == "0002.png":\n        __import__("os")._exit(9)\n'
    marker = "    image, notes ="
    (folder / "source.py").write_text(text.replace(marker, crash + marker))
    monkeypatch.syspath_prepend(tmp_path)
    source = catalogue.load_source(folder, "crash_package.crasher.source")
    request = SourceRequest(source="crasher", raw=folder / "example" / "raw")
    out = tmp_path / "set"
    manifest = build_requests([(source, request)], out, BuildSetting(SALT, workers=2))
    counts = manifest.sources["crasher"].counts
    assert (counts.records, counts.quarantined) == (2, 1)
    row = pl.read_parquet(out / "quarantine" / "crasher.parquet").to_dicts()[0]
    assert (row["unit"], row["reason"]) == ("0002.png", "worker_died")
