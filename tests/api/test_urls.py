"""The Python API on a data set behind a URL: what it gives for its folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import qoqdata
from qoqdata.errors import UsageError
from tests.api.conftest import rollouts_of, tree
from tests.cli.conftest import runner
from tests.publication.conftest import raw_of
from tests.remote.servers import Site, serving


def test_a_folder_a_path_and_an_opened_set_are_the_same(built: Path, tmp_path: Path) -> None:
    opened = qoqdata.open(built)
    for dataset in (str(built), built, f"file://{built}", opened):
        assert qoqdata.validate(dataset) == []
        assert qoqdata.diff(dataset, opened).records.height == 0


def test_from_a_url_as_from_the_folder(
    command: Callable, built: Path, url: str, tmp_path: Path
) -> None:
    assert qoqdata.validate(url) == qoqdata.validate(qoqdata.open(url)) == []
    code, out, _ = command("validate", url)
    assert code == 0 and out.startswith("valid: 77 records")
    code, out, _ = command("diff", url, built)
    assert (code, out) == (0, "the same records\n")
    for dataset, name in ((built, "a"), (url, "b")):
        code, _, _ = command("export", dataset, "--to", "webdataset", "--out", tmp_path / name)
        assert code == 0
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    arguments = ("--from", rollouts_of(built, tmp_path), "--policy", "p", "--out")
    for dataset, name in ((built, "c"), (url, "d")):
        assert command("traces", dataset, *arguments, tmp_path / name / "set")[0] == 0
    local, remote = tree(tmp_path / "c" / "set"), tree(tmp_path / "d" / "set")
    # Reports of curation stay where the set was built.
    left = {name for name in local if name not in remote}
    assert {name for name in left if not name.startswith("curation/likeness/")} == {
        "curation/burned_in.html",
        "curation/burned_in.json",
        "curation/burned_in.parquet",
        "curation/duplicates.parquet",
        "curation/leakage.parquet",
        "curation/likeness.json",
        "curation/phi.json",
        "curation/phi.parquet",
        "curation/quality.parquet",
        "curation/study_copies.parquet",
    }
    assert remote.items() <= local.items()
    assert qoqdata.validate(tmp_path / "d" / "set") == []


def test_training_commands_take_a_url(
    url: str, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    import qoqtrain.cli

    train = runner("qoqtrain", qoqtrain.cli.run, monkeypatch, capsys)
    assert train("weights", url, "--json") == train("weights", built, "--json")
    ids = qoqdata.open(built).kept().filter(pl.col("split") == "train")["id"]
    answers = tmp_path / "answers.jsonl"
    answers.write_text("".join(json.dumps({"id": i, "response": "A"}) + "\n" for i in ids))
    arguments = ("--predictions", answers, "--split", "train", "--bootstrap", "0", "--json")
    shown = [json.loads(train("evaluate", "--data", d, *arguments)[1]) for d in (url, built)]
    assert shown[0]["counts"]["missing"] == 0
    assert [shown[0].pop("run")["dataset"]] == [shown[1].pop("run")["dataset"]]
    assert shown[0] == shown[1]


def test_a_damaged_shard_behind_a_url_is_a_finding(
    command: Callable, built: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(built, tmp_path / "site" / "set"))
    first, second = sorted((copy / "data").rglob("*.parquet"))[:2]
    first.write_bytes(first.read_bytes()[::-1])
    second.unlink()
    with serving(Site(copy.parent)) as site:
        findings = qoqdata.validate(f"{site.url}/set")
        code, _, _ = command("validate", f"{site.url}/set")
    assert code == 1
    assert [(finding.where, finding.rule) for finding in findings] == [
        (path.relative_to(copy).as_posix(), "every shard can be read") for path in (first, second)
    ]
    assert "digest" in findings[0].what and "not in the store" in findings[1].what


def test_a_release_is_rebuilt_from_its_url(fresh: Path, tmp_path: Path) -> None:
    qoqdata.publish(fresh, to=tmp_path / "site" / "releases")
    raw = raw_of("lc25000")
    local = qoqdata.rebuild(tmp_path / "site" / "releases", raw=raw, out=tmp_path / "a", workers=0)
    with serving(Site(tmp_path / "site")) as site:
        remote = qoqdata.rebuild(f"{site.url}/releases", raw=raw, out=tmp_path / "b", workers=0)
    assert remote == local
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


@pytest.mark.parametrize("name", ["curate", "stats", "difficulty", "card", "publish"])
def test_nothing_is_written_behind_a_web_server(
    command: Callable, url: str, tmp_path: Path, name: str
) -> None:
    options = {"difficulty": ["--prior"], "publish": ["--to", tmp_path / "releases"]}
    code, _, err = command(name, url, *options.get(name, []))
    assert code == 2
    assert err == (
        f"error: {url}: `qoqdata {name}` writes into the set. "
        "Fix: work on the folder or bucket where the set was built, and publish it again\n"
    )
    settings: dict[str, dict[str, Any]] = {
        "difficulty": {"prior": True},
        "publish": {"to": tmp_path / "releases"},
    }
    with pytest.raises(UsageError, match="writes into the set"):
        getattr(qoqdata, name)(qoqdata.open(url), **settings.get(name, {}))


def test_records_behind_a_url(built: Path, url: str) -> None:
    local, remote = qoqdata.open(built), qoqdata.open(url)
    assert len(remote) == len(local) == 77
    assert remote[-1] == local[-1]
    assert repr(remote) == repr(local).replace(str(built), url)
    assert "<img" in local._repr_html_() and "<img" not in remote._repr_html_()
