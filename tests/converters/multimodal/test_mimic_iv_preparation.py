"""Preparing MIMIC-IV's tables: blocks of whole rows, interruptions, damage."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import polars as pl
import pytest
from qoqdata.converters.multimodal.mimic_iv import prepare as preparation
from qoqdata.converters.multimodal.mimic_iv.prepare import FOLDER, prepare
from qoqdata.converters.multimodal.mimic_iv.tables import read_blocks
from typer.testing import CliRunner

import qoqdata
from qoqdata.cli.main import app
from qoqdata.errors import BadTable, MissingFile, UnreadableFile, UsageError
from qoqdata.simulation import write_csv
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Job
from qoqdata.sources.rawtree import open_raw
from tests.converters.multimodal.tables import Tables


def _tables(stays: int = 7) -> Tables:
    tables = Tables()
    for stay in range(1, stays + 1):
        tables.stay(stay, patient=stay)
        for turn in range(12):
            tables.chart(stay, turn * 3, 60 + stay + turn, patient=stay)
            tables.lab(turn * 3, 1 + turn / 10, patient=stay)
    return tables


def _bytes(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("block_bytes", [64, 900, 1 << 20])
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_blocks_hold_whole_rows(tmp_path: Path, block_bytes: int, suffix: str) -> None:
    """Comments hold line breaks and quotes; where a block ends must not matter."""
    rows = [{"a": n, "b": 'line\n"two", of\nit' * (n % 3), "c": f"c{n}"} for n in range(60)]
    write_csv(tmp_path / f"t{suffix}", rows)
    blocks = list(read_blocks(tmp_path / f"t{suffix}", ("c", "a"), block_bytes=block_bytes))
    found = pl.concat([table for _, table in blocks])
    assert found.rows() == [(f"c{n}", str(n)) for n in range(60)]
    offsets = [offset for offset, _ in blocks]
    middle = offsets[len(offsets) // 2]
    rest = list(read_blocks(tmp_path / f"t{suffix}", ("c", "a"), start=middle))
    assert [row for _, table in rest for row in table.rows()] == [
        row for offset, table in blocks if offset > middle for row in table.rows()
    ]


def test_bytes_do_not_depend_on_the_size_of_blocks_and_parts(tmp_path: Path) -> None:
    _tables().write(tmp_path / "raw")
    prepare(tmp_path / "raw", tmp_path / "a")
    prepare(tmp_path / "raw", tmp_path / "b", block_bytes=700, part_rows=5)
    assert _bytes(tmp_path / "a") == _bytes(tmp_path / "b")


@pytest.mark.parametrize("last", range(0, 27, 5))
def test_an_interrupted_run_goes_on_and_gives_the_same(tmp_path: Path, last: int) -> None:
    _tables().write(tmp_path / "raw")
    prepare(tmp_path / "raw", tmp_path / "whole")
    calls: list[tuple[str, int]] = []

    def stop(step: str, done: int) -> None:
        calls.append((step, done))
        if len(calls) > last:
            raise KeyboardInterrupt

    small = {"block_bytes": 500, "part_rows": 10}
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path / "raw", tmp_path / "out", progress=stop, **small)  # type: ignore[arg-type]
    again: list[tuple[str, int]] = []
    prepare(tmp_path / "raw", tmp_path / "out", progress=lambda s, d: again.append((s, d)), **small)  # type: ignore[arg-type]
    assert _bytes(tmp_path / "out") == _bytes(tmp_path / "whole")
    if last > 8:
        assert again[0] not in calls[:4], "it began anew"


def test_what_is_whole_is_kept_and_other_tables_begin_anew(tmp_path: Path) -> None:
    tables = _tables()
    tables.write(tmp_path / "raw")
    first = prepare(tmp_path / "raw", tmp_path / "out")
    steps: list[str] = []
    assert (
        prepare(tmp_path / "raw", tmp_path / "out", progress=lambda s, _: steps.append(s)) == first
    )
    assert steps == []
    tables.chart(1, 5, 61)
    tables.write(tmp_path / "raw")
    second = prepare(tmp_path / "raw", tmp_path / "out")
    assert second["events"]["icu/chartevents"]["rows"] == 85
    assert second["digests"] != first["digests"]


def test_other_items_begin_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of stays that were gathered under other settings must not stand beside new ones."""
    _tables().write(tmp_path / "raw")
    first = prepare(tmp_path / "raw", tmp_path / "out")
    monkeypatch.setattr(preparation, "RUN_STAYS", 3)
    second = prepare(tmp_path / "raw", tmp_path / "out")
    assert len(first["digests"]) == 3 and len(second["digests"]) == 5
    assert len(list((tmp_path / "out" / "inputs").iterdir())) == 3


def test_a_table_that_is_cut_short_is_told(tmp_path: Path) -> None:
    """Half of a gzip stream decodes well up to its end: rows would be missing without a word."""
    _tables().write(tmp_path)
    path = tmp_path / "icu/chartevents.csv.gz"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UnreadableFile, match="cut short"):
        prepare(tmp_path, tmp_path / FOLDER)
    assert not (tmp_path / FOLDER / "receipt.json").exists()


def test_tables_of_another_kind_are_refused(tmp_path: Path) -> None:
    _tables().write(tmp_path)
    dictionary = tmp_path / "icu/d_items.csv.gz"
    text = gzip.decompress(dictionary.read_bytes()).decode().replace("Heart Rate", "Heart Rhythm")
    dictionary.write_bytes(gzip.compress(text.encode()))
    with pytest.raises(BadTable, match="220045 is 'Heart Rhythm', not 'Heart Rate'"):
        prepare(tmp_path, tmp_path / FOLDER)
    dictionary.unlink()
    with pytest.raises(MissingFile, match="icu/d_items"):
        prepare(tmp_path, tmp_path / FOLDER)


def test_a_lost_column_is_told(tmp_path: Path) -> None:
    tables = _tables()
    for row in tables.rows["icu/chartevents"]:
        del row["storetime"]
    tables.write(tmp_path)
    with pytest.raises(BadTable, match="lacks the column 'storetime'"):
        prepare(tmp_path, tmp_path / FOLDER)


def test_the_command_prepares_and_says_what(tmp_path: Path) -> None:
    _tables().write(tmp_path / "mimiciv" / "3.1")
    result = CliRunner().invoke(app, ["prepare", "mimic_iv", "--raw", str(tmp_path), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["stays"] == 7
    assert (tmp_path / FOLDER / "receipt.json").is_file()
    with pytest.raises(UsageError, match="no tables to prepare"):
        qoqdata.prepare("lc25000", raw=tmp_path)


def test_another_table_of_the_same_size_is_another_table(tmp_path: Path) -> None:
    """Its size alone told what had been prepared: labels of the old table stayed."""
    _tables().write(tmp_path, suffix=".csv")
    prepare(tmp_path, tmp_path / FOLDER)
    path = tmp_path / "hosp" / "patients.csv"
    before = path.read_text()
    path.write_text(before.replace(",F,", ",M,"))
    assert path.stat().st_size == len(before) and path.read_text() != before
    source = find_source("mimic_iv")
    with pytest.raises(BadTable, match="is not the table that was prepared"):
        list(source.plan(Job(source.card, open_raw(tmp_path), options={"report_hours": 12})))
    prepare(tmp_path, tmp_path / FOLDER)
    stays = pl.read_parquet(tmp_path / FOLDER / "stays.parquet")
    assert set(stays["sex"]) == {"male"}


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"charttime": "03/01/2150 12:37:00"}, "no_time 84"),
        ({"valuenum": "88,56"}, "no_value 84"),
        ({"valueuom": "Hz"}, "other_unit 84"),
    ],
)
def test_a_table_of_which_next_to_nothing_can_be_read_is_refused(
    tmp_path: Path, cells: dict[str, str], reason: str
) -> None:
    """Stays would have no values, and nothing but a count would tell it."""
    tables = _tables()
    for row in tables.rows["icu/chartevents"]:
        row |= cells
    tables.write(tmp_path)
    with pytest.raises(BadTable, match=f"84 values of the items asked for 84 cannot.*{reason}"):
        prepare(tmp_path, tmp_path / FOLDER)


def test_codes_with_dots_and_in_small_letters_are_the_same_codes(tmp_path: Path) -> None:
    for name, codes in (("plain", ("10:N179", "10:A419")), ("dotted", ("10:n17.9", "10:A41.9 "))):
        tables = Tables()
        tables.stay(1, codes=codes)
        tables.chart(1, 2, 81)
        tables.lab(2, 1.0)
        tables.write(tmp_path / name)
        prepare(tmp_path / name, tmp_path / name / FOLDER)
        outcomes = pl.read_parquet(tmp_path / name / FOLDER / "outcomes.parquet")
        assert outcomes["codes"].to_list() == ["10:N179 10:A419"]
