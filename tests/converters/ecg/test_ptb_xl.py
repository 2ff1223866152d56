"""PTB-XL: the rate as a person writes it, files without a row, and headers of other records."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

import qoqdata
from qoqdata.errors import UnreadableFile
from qoqdata.simulation import ecg, write_wfdb
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Job, Refused, Unit
from qoqdata.sources.rawtree import open_raw

SOURCE = find_source("ptb_xl")
LEADS = ("I", "II", "V1")


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Two records at both rates, with the rows of the example."""
    root = tmp_path / "raw"
    root.mkdir()
    example = SOURCE.folder / "example" / "raw"
    shutil.copy(example / "scp_statements.csv", root)
    table = pl.read_csv(example / "ptbxl_database.csv", infer_schema=False)[:2]
    stems = [f"records{{rate}}/00000/{number:05}_{{suffix}}" for number in (1, 2)]
    names = {
        name: [stem.format(rate=rate, suffix=suffix) for stem in stems]
        for name, rate, suffix in (("filename_hr", 500, "hr"), ("filename_lr", 100, "lr"))
    }
    table.with_columns(**{name: pl.Series(paths) for name, paths in names.items()}).write_csv(
        root / "ptbxl_database.csv"
    )
    for column, rate in (("filename_hr", 500), ("filename_lr", 100)):
        for number, name in enumerate(names[column]):
            signal = ecg(np.random.default_rng(number), rate, 2, LEADS)
            write_wfdb(root / name, signal, rate, LEADS)
    return root


@pytest.mark.parametrize("rate", [100, "100", 500])
def test_the_rate_is_a_number_or_its_text(raw: Path, tmp_path: Path, rate: object) -> None:
    out, salt = tmp_path / "set", tmp_path / "salt"
    salt.write_text("00" * 32)
    options = {"rate": rate}
    qoqdata.build("ptb_xl", raw=raw, out=out, options=options, workers=0, salt_file=salt)
    rows = [row for path in qoqdata.open(out).paths for row in pq.read_table(path).to_pylist()]
    assert len(rows) == 2
    assert {(row["ecg"]["fs"], len(row["ecg"]["signal"][0])) for row in rows} == {
        (float(rate), 2 * int(rate))  # type: ignore[call-overload]
    }


def test_files_without_a_row_are_refused_by_record(raw: Path) -> None:
    folder = raw / "records500" / "00000"
    shutil.copy(folder / "00001_hr.hea", folder / "00007_hr.hea")
    shutil.copy(folder / "00001_hr.dat", folder / "00007_hr.dat")
    shutil.copy(folder / "00001_hr.dat", folder / "00009_hr.dat")
    planned = list(SOURCE.plan(Job(SOURCE.card, open_raw(raw), {"rate": "500"})))
    assert [item.key for item in planned if isinstance(item, Unit)] == ["1", "2"]
    refused = [(item.error.code, item.files) for item in planned if isinstance(item, Refused)]
    stem = "records500/00000"
    assert refused == [
        ("missing_key", (f"{stem}/00007_hr.hea", f"{stem}/00007_hr.dat")),
        ("missing_key", (f"{stem}/00009_hr.dat",)),
    ]


def test_a_header_that_names_the_signal_of_another_record_is_refused(raw: Path) -> None:
    """Another patient's signal: first values and checksums are right, for they are its own."""
    folder = raw / "records500" / "00000"
    shutil.copy(folder / "00002_hr.hea", folder / "00001_hr.hea")
    job = Job(SOURCE.card, open_raw(raw), {"rate": "500"})
    one, two = (item for item in SOURCE.plan(job) if isinstance(item, Unit))
    assert len(SOURCE.convert(two, job)) == 1
    with pytest.raises(UnreadableFile, match=r"names 00002_hr.dat for its signal, not 00001_hr"):
        SOURCE.convert(one, job)
