"""Messages in quarantine name raw files from the raw root on, however it is spelled."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest

from qoqdata.pipeline import quarantine
from qoqdata.pipeline.build import build_requests
from qoqdata.pipeline.config import BuildSetting, SourceRequest
from qoqdata.sources import catalogue
from qoqdata.suite.examples import SALT


@pytest.mark.parametrize("root", ["relative", "absolute", "linked"])
def test_no_message_names_the_place_of_the_raw_root(
    root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = catalogue.find_source("chapman_shaoxing")
    shutil.copytree(source.folder / "example" / "raw", tmp_path / "raw_tree")
    for signal in (tmp_path / "raw_tree").rglob("*.mat"):
        signal.write_bytes(signal.read_bytes()[:100])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "raw_tree")
    paths = {
        "relative": Path("raw_tree"),
        "absolute": tmp_path / "raw_tree",
        "linked": Path("link"),
    }
    request = SourceRequest(source="chapman_shaoxing", raw=paths[root])
    build_requests([(source, request)], tmp_path / "set", BuildSetting(SALT, workers=0))
    rows = pl.read_parquet(tmp_path / "set" / "quarantine" / "chapman_shaoxing.parquet")
    messages = rows.filter(pl.col("stage") == "convert")["message"].to_list()
    assert messages and not any(str(tmp_path) in one or "raw_tree" in one for one in messages)
    assert all(one.startswith("WFDBRecords") for one in messages if ".mat" in one)
    assert quarantine.CONVERTER_ERROR not in rows["reason"].to_list()
