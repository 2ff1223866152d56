"""Files that no unit can have cost one row each, and the build goes on."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from qoqdata import console
from qoqdata.pipeline.build import build
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.pipeline.progress import Warned
from qoqdata.suite.examples import SALT

MAPPING: dict[str, Any] = {
    "slug": "films",
    "name": "Films",
    "domain": "ct",
    "question": "What?",
    "labels": {"clear": "Clear"},
    "table": {"file": "t.csv", "key": "file", "labels": "label"},
}


def film(place: str | Path) -> None:
    Image.fromarray(np.full((4, 6), 50, np.uint8)).save(place, "PNG")


def built(folder: Path, rows: list[str], **changes: Any) -> tuple[int, dict[str, dict], list[str]]:
    """Records, quarantine rows by unit, and warnings of a build of `folder`/raw."""
    (folder / "raw" / "t.csv").write_text("file,label\n" + "".join(f"{r},clear\n" for r in rows))
    request = SourceRequest(source="image_table", raw=folder / "raw", mapping=MAPPING | changes)
    events: list[Any] = []
    setting = BuildSetting(SALT, workers=0, listen=events.append)
    manifest = build(BuildConfig(sources=(request,)), folder / "set", setting)
    path = folder / "set" / "quarantine" / "films.parquet"
    left_out = pl.read_parquet(path).to_dicts() if path.exists() else []
    warned = [event.message for event in events if isinstance(event, Warned)]
    rows_by_unit = {row["unit"]: row for row in left_out}
    assert len(rows_by_unit) == len(left_out)
    return manifest.sources["films"].counts.records, rows_by_unit, warned


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_one_bad_name_is_one_row(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    film(raw / "a.png")
    film(os.fsdecode(os.fsencode(raw) + b"/caf\xe9.png"))
    records, rows, _ = built(tmp_path, ["a.png"])
    assert (records, list(rows)) == (1, ["caf\\udce9.png"])
    assert rows["caf\\udce9.png"]["reason"] == "unreadable_file"
    assert "not UTF-8" in rows["caf\\udce9.png"]["message"]


def test_pipes_named_or_not_are_one_row_each(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    film(raw / "a.png")
    for name in ("named.png", "unnamed.png"):
        os.mkfifo(raw / name)
    records, rows, _ = built(tmp_path, ["a.png", "named.png"])
    assert records == 1 and sorted(rows) == ["named.png", "unnamed.png"]
    for row in rows.values():
        assert row["reason"] == "unreadable_file" and "named pipe" in row["message"]


def test_a_row_of_what_is_not_there_says_what_is(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    (raw / "old").mkdir(parents=True)
    for name in ("a.png", "old/b.png"):
        film(raw / name)
    (raw / "vector.svg").write_text("<svg/>")
    (raw / "inside").symlink_to("old")
    (raw / "secret.png").symlink_to(tmp_path / "beside.png")
    film(tmp_path / "beside.png")
    keys = ["a.png", "old/b.png", "vector.svg", "secret.png", "inside/b.png", "old", "gone.png"]
    records, rows, warned = built(tmp_path, keys, ignore=["old/**", "*.bak"])
    assert records == 1
    said = {key: (rows[key]["reason"], rows[key]["message"]) for key in keys[1:]}
    assert said["old/b.png"][0] == "missing_file" and "`ignore`" in said["old/b.png"][1]
    assert said["vector.svg"][0] == "unsupported_format" and "*.png" in said["vector.svg"][1]
    assert said["secret.png"][0] == "outside_root"
    assert "linked folder" in said["inside/b.png"][1]
    assert "there" in said["gone.png"][1] and said["gone.png"][0] == "missing_file"
    # The table has no patients, which is told first.
    assert "splits cannot be kept apart" in warned[0]
    assert warned[1:] == [
        "1 file or folder left out by 'old/**' under `ignore`: old",
        "the pattern '*.bak' under `ignore` leaves nothing out",
    ]


def test_hidden_files_and_litter_are_a_count(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    (raw / "__MACOSX").mkdir(parents=True)
    for name in ("a.png", "._a.png", "__MACOSX/a.png", ".synthetic.json"):
        film(raw / name)
    records, rows, warned = built(tmp_path, ["a.png"])
    assert (records, rows) == (1, {})
    assert warned == [
        "2 files and folders left out as hidden or the system's own: ._a.png, __MACOSX"
    ]


def test_controls_in_a_name_are_shown_as_escapes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    film(raw / "a.png")
    film(raw / "b\n\x1b[31m.png")
    _, rows, _ = built(tmp_path, ["a.png"])
    ((key, row),) = rows.items()
    assert key == "b\n\x1b[31m.png" and row["raw"] == [key]
    assert row["message"].startswith("b\\n\\x1b[31m.png: ")
    console.table(("unit",), [(key,)])
    console.say(f"done: {row['unit']}")
    shown = capsys.readouterr().out
    assert "\x1b" not in shown and "b\\n\\x1b[31m.png" in shown


def test_twins_by_case_or_form_of_unicode_are_never_mixed_up(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    for name in ("a.png", "A.png", "caf\u00e9.png", "cafe\u0301.png"):
        film(raw / name)
    records, rows, _ = built(tmp_path, ["a.png", "caf\u00e9.png"])
    assert records == 2
    assert sorted(rows) == ["A.png", "cafe\u0301.png"]
    assert {row["reason"] for row in rows.values()} == {"missing_key"}
