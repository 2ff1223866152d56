"""From a built set to a release, a rebuild, a diff and exports, as a user types it."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import fsspec.implementations.local as local
import polars as pl
import pytest

from tests.publication.conftest import raw_of

SLUGS = ("ham10000", "lc25000", "covid_blues")


@pytest.fixture
def built(qoqdata: Callable, salt: Path, tmp_path: Path) -> Path:
    content = {"sources": [{"source": slug, "raw": str(raw_of(slug))} for slug in SLUGS]}
    (tmp_path / "build.yaml").write_text(json.dumps(content))
    out = tmp_path / "set"
    code, _, _ = qoqdata("build", "--config", tmp_path / "build.yaml", "--out", out, "--workers", 0)
    assert code == 0
    return out


def test_publish_rebuild_diff(qoqdata: Callable, built: Path, tmp_path: Path) -> None:
    releases, whole = tmp_path / "releases", tmp_path / "whole"
    code, _, err = qoqdata("publish", built, "--to", releases)
    assert code == 1 and "the PHI rules have not run" in err and "Fix: qoqdata curate" in err
    code, out, _ = qoqdata("curate", built)
    assert (code, out.split(": ")[1]) == (0, "0 findings, 0 records dropped, 0 findings open\n")
    code, out, err = qoqdata("publish", built, "--to", releases, "--dry-run")
    assert code == 0, err
    assert "dry run" in out and not releases.exists()
    code, out, _ = qoqdata("publish", built, "--to", releases)
    assert code == 0
    table = [line.split()[:2] for line in out.splitlines()[1:4]]
    assert table == [["ham10000", "pixels"], ["lc25000", "recipe"], ["covid_blues", "withheld"]]
    assert "version 1.0.0" in out and "digests verified" in out
    code, out, _ = qoqdata("publish", built, "--to", releases, "--json")
    assert code == 0 and json.loads(out)["sent"] == []

    release = releases / "1.0.0"
    code, out, _ = qoqdata(
        "rebuild", release, "--raw", raw_of("lc25000"), "--out", whole, "--workers", 0
    )
    assert code == 0 and out.splitlines()[1].split() == ["lc25000", "30", "0", "0"]
    code, out, _ = qoqdata("diff", built, whole)
    assert code == 0
    assert [line.split() for line in out.splitlines()] == [
        ["source", "added", "removed", "moved", "relabelled", "changed"],
        ["covid_blues", "0", "23", "0", "0", "0"],
    ]


def test_a_dry_run_without_a_target_shows_the_gates_offline(
    qoqdata: Callable, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise AssertionError("asked the network")

    monkeypatch.setattr("socket.socket.connect", unreachable)
    code, _, err = qoqdata("publish", built, "--dry-run")
    assert code == 1 and "the PHI rules have not run" in err
    assert qoqdata("curate", built)[0] == 0
    code, out, _ = qoqdata("publish", built, "--dry-run")
    assert code == 0 and "version 1.0.0" in out and "dry run" in out
    table = [line.split()[:2] for line in out.splitlines()[1:4]]
    assert table == [["ham10000", "pixels"], ["lc25000", "recipe"], ["covid_blues", "withheld"]]
    code, out, _ = qoqdata("publish", built, "--dry-run", "--json")
    found = json.loads(out)
    assert (code, found["version"]) == (0, "1.0.0")
    assert {"manifest.json", "README.md", "croissant.json"} <= set(found["files"])
    assert not [path for path in found["files"] if path.startswith("data/covid_blues")]


def test_where_to_publish(qoqdata: Callable, built: Path, tmp_path: Path) -> None:
    for arguments, words in (
        ((), "say where to publish"),
        (("--to", tmp_path / "a", "--repo-id", "a/b"), "say where to publish"),
        (("--repo-id", "only-a-name"), "is not ORG/NAME"),
    ):
        code, _, err = qoqdata("publish", built, *arguments)
        assert code == 2 and words in err


def test_rebuild_without_raw_folder(qoqdata: Callable, built: Path, tmp_path: Path) -> None:
    code, _, err = qoqdata("rebuild", built, "--raw", tmp_path, "--out", tmp_path / "x")
    assert code == 2 and "holds no recipe" in err


def test_card_and_export(qoqdata: Callable, built: Path, tmp_path: Path) -> None:
    code, out, _ = qoqdata("card", built, "--repo-id", "our-lab/our-set")
    assert code == 0 and str(built / "README.md") in out
    assert 'load_dataset("our-lab/our-set"' in (built / "README.md").read_text()
    code, out, _ = qoqdata("export", built, "--to", "sharegpt", "--out", tmp_path / "x")
    assert code == 0 and len((tmp_path / "x" / "train.jsonl").read_text().splitlines()) > 10
    code, _, err = qoqdata("export", built, "--to", "sharegpt", "--out", tmp_path / "x")
    assert code == 2 and "is not empty" in err
    code, _, err = qoqdata("export", built, "--to", "excel", "--out", tmp_path / "y")
    assert code == 2 and "there is no format 'excel'" in err


def test_traces(qoqdata: Callable, built: Path, tmp_path: Path) -> None:
    from qoqdata.dataset import open_dataset

    first = open_dataset(built).metadata()["id"].sort()[0]
    rollout = {
        "id": [first],
        "response": ["<think>It is round.</think>\\boxed{A}"],
        "reward": [1.0],
    }
    pl.DataFrame(rollout).write_parquet(tmp_path / "rollouts.parquet")
    code, _, err = qoqdata(
        "traces", built, "--from", tmp_path / "rollouts.parquet", "--out", tmp_path / "new"
    )
    assert code == 2 and "--policy NAME" in err
    code, out, _ = qoqdata(
        "traces",
        built,
        "--from",
        tmp_path / "rollouts.parquet",
        "--out",
        tmp_path / "new",
        "--policy",
        "p",
    )
    assert code == 0 and "1 rollouts of 1 questions: 1 traces" in out
    assert qoqdata("validate", tmp_path / "new")[0] == 0


@pytest.mark.parametrize(
    ("number", "fix"),
    [
        (errno.ENOSPC, "free space there"),
        (errno.EDQUOT, "free space there"),
        (errno.EROFS, "see who may write there"),
    ],
)
def test_a_disk_that_is_full_or_closed_has_the_code_that_it_has_in_a_build(
    qoqdata: Callable,
    built: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    fix: str,
) -> None:
    """A folder as a target; the same command then goes on."""
    assert qoqdata("curate", built)[0] == 0
    releases, copies = tmp_path / "releases", 0
    copied = local.shutil.copyfile

    def failing(source: str, target: str, **more: object) -> object:
        nonlocal copies
        copies += str(releases) in str(target)
        if copies > 4:
            raise OSError(number, os.strerror(number), source, None, target)
        return copied(source, target, **more)

    with monkeypatch.context() as patch:
        patch.setattr(local.shutil, "copyfile", failing)
        code, _, err = qoqdata("publish", built, "--to", releases)
    assert code == 3 and not (releases / "current.json").exists()
    told = err.splitlines()[-1]
    assert told.startswith(f"error: {releases}/1.0.0/") and fix in told
    assert os.strerror(number) in told
    assert qoqdata("publish", built, "--to", releases)[0] == 0
    assert qoqdata("publish", built, "--to", tmp_path / "sound")[0] == 0
    files = [
        {one.relative_to(root): one.read_bytes() for one in root.rglob("*") if one.is_file()}
        for root in (releases, tmp_path / "sound")
    ]
    assert files[0] == files[1]
