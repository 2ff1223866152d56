"""PTB-XL: the rate as a person writes it, files without a row, and headers of other records."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

import qoqdata
from qoqdata.errors import BadTable, DuplicateKey, UnreadableFile
from qoqdata.readers.ecg.leads import TWELVE
from qoqdata.records.content import Record
from qoqdata.simulation import ecg, write_wfdb
from qoqdata.sources.catalogue import find_source, quirks
from qoqdata.sources.protocol import Job, Refused, Unit
from qoqdata.sources.rawtree import open_raw
from qoqdata.suite.examples import build_example

SOURCE = find_source("ptb_xl")
MODULE = SOURCE.module.removesuffix("source")
simulate = import_module(f"{MODULE}simulate").simulate
signal_quality = import_module(f"{MODULE}signal_quality")
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
    assert sum(row["task"] == "diagnosis" for row in rows) == 2
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
    assert SOURCE.convert(two, job)
    with pytest.raises(UnreadableFile, match=r"names 00002_hr.dat for its signal, not 00001_hr"):
        SOURCE.convert(one, job)


def convert(raw: Path, **cells: str) -> dict[tuple[str, str | None], Any]:
    """What the first record becomes with other cells in its row: by task and item."""
    table = pl.read_csv(raw / "ptbxl_database.csv", infer_schema=False)
    row = {name: [cell, *table[name][1:]] for name, cell in cells.items()}
    table.with_columns(**{n: pl.Series(c, dtype=pl.String) for n, c in row.items()}).write_csv(
        raw / "ptbxl_database.csv"
    )
    job = Job(SOURCE.card, open_raw(raw), {"rate": "500"})
    unit = next(item for item in SOURCE.plan(job) if isinstance(item, Unit))
    return {(one.task, one.item): one for one in SOURCE.convert(unit, job)}


def test_all_classes_of_a_record_are_kept(raw: Path, tmp_path: Path) -> None:
    """The old pipeline drew one of them by chance, and called sinus rhythm normal."""
    simulate(tmp_path / "other", 1, seconds=0.2)
    shutil.copy(tmp_path / "other" / "scp_statements.csv", raw)
    codes = "{'LVH': 100.0, 'ISC_': 35.0, 'IRBBB': 0.0, 'SR': 0.0, 'LNGQT': 100.0}"
    found = convert(raw, scp_codes=codes)
    diagnosis = found["diagnosis", None]
    assert diagnosis.labels == ("ST-T change", "Conduction disturbance", "Hypertrophy")
    assert diagnosis.uncertain == ()
    assert found["statements", None].uncertain == ("Ischemic ST-T change",)
    # A code of two kinds is asked about as both.
    assert found["form", None].labels == ("Prolonged QT interval",)
    assert "Prolonged QT interval" in found["statements", None].labels
    assert found["rhythm", None].labels == ("Sinus rhythm",)
    assert "Left ventricular hypertrophy" in found["subclass", None].labels


def _codes(raw: Path, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    path = raw / "scp_statements.csv"
    change(pl.read_csv(path, infer_schema=False)).write_csv(path)


def test_kinds_may_be_zeros_in_place_of_blanks(raw: Path) -> None:
    """As whoever fills blanks with 0 leaves them: each code was of all kinds then."""

    def labels() -> dict[Any, Any]:
        return {key: getattr(one, "labels", None) for key, one in convert(raw).items()}

    before = labels()
    kinds = pl.col("diagnostic", "form", "rhythm").fill_null("0.0")
    _codes(raw, lambda table: table.with_columns(kinds))
    assert labels() == before
    _codes(raw, lambda table: table.with_columns(form=pl.lit("yes")))
    with pytest.raises(BadTable, match="form is 'yes'"):
        convert(raw)


def test_a_code_of_two_rows_is_refused(raw: Path) -> None:
    other = pl.col("diagnostic_class").replace("NORM", "MI")
    _codes(raw, lambda table: pl.concat([table, table.with_columns(other)]))
    with pytest.raises(DuplicateKey, match="two rows"):
        convert(raw)


def test_sex_is_told_in_any_spelling_of_the_number(raw: Path) -> None:
    for cell, sex in (("0", "male"), ("1.0", "female"), (" 1 ", "female"), ("", None)):
        assert convert(raw, sex=cell)["diagnosis", None].sex == sex
    convert(raw, sex="2")
    planned = list(SOURCE.plan(Job(SOURCE.card, open_raw(raw), {"rate": "500"})))
    (refused,) = (item for item in planned if isinstance(item, Refused))
    assert (refused.key, refused.error.code) == ("1", "bad_label")


def test_form_and_rhythm_alone_assert_no_class(raw: Path) -> None:
    found = convert(raw, scp_codes="{'SR': 0.0, 'ABQRS': 0.0}")
    reasons = {found[task, None].reason for task in ("diagnosis", "subclass", "statements")}
    assert reasons == {"no_diagnostic_statement"}
    assert found["rhythm", None].answer == "Sinus rhythm"


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("LAD", "Normal axis"),  # "linkstyp" of the report: -30 to 30 degrees
        ("ALAD", "Left axis deviation"),
        ("RAD", "Right axis deviation"),
        ("MID", "Normal axis"),
        ("AXL", "unexplained_code"),
    ],
)
def test_axis_is_no_hypertrophy(raw: Path, code: str, answer: str) -> None:
    """The old pipeline counted axis deviation as hypertrophy."""
    found = convert(raw, heart_axis=code, scp_codes="{'NORM': 100.0}")
    axis = found["axis", None]
    assert getattr(axis, "answer", None) == answer or getattr(axis, "reason", None) == answer
    assert found["diagnosis", None].labels == ("Normal ECG",)
    assert f"heart_axis {code}" in found["diagnosis", None].notes


@pytest.mark.parametrize(
    ("cell", "leads"),
    [
        (" , I-V1,  ", "I II III aVR aVL aVF V1"),
        ("II,III,AVF", "II III aVF"),
        (" , V1,2", "V1 V2"),
        (" , II-AVL,AVF", "II III aVR aVL aVF"),
        (" , alles,  ", "I II III aVR aVL aVF V1 V2 V3 V4 V5 V6"),
        ("V2-4", "V2 V3 V4"),
        ("noisy recording", None),
        ("V6-V1", None),
        ("I,2", None),
    ],
)
def test_leads_of_a_disturbance(cell: str, leads: str | None) -> None:
    found = signal_quality.disturbed_leads(cell)
    assert found == (None if leads is None else tuple(leads.split()))


def test_stages_and_remarks(raw: Path) -> None:
    found = convert(
        raw,
        infarction_stadium1="Stadium III",
        infarction_stadium2="Stadium I-II",
        static_noise="V3",
        extra_beats="1SVES,2VES",
        pacemaker="?, nan",
    )
    assert found["infarction_stage", None].labels == ("Stage I-II", "Stage III")
    assert found["technical", None].labels == ("Static noise", "Extra beats")
    assert found["extra_beats", None].number.value == 3
    disturbed = found["disturbed_leads", "static_noise"]
    assert disturbed.labels == ("V3",) and "static noise" in disturbed.forms[0]
    assert "{" not in " ".join(disturbed.forms)
    unknown = convert(raw, infarction_stadium1="unknown", infarction_stadium2="", extra_beats="VES")
    assert unknown["infarction_stage", None].reason == "unknown"
    assert unknown["extra_beats", None].reason == "not_counted"


def test_folds_are_the_splits_and_hold_patients_together(tmp_path: Path) -> None:
    """The old pipeline split by record: 829 test records had their patient in train."""
    simulate(tmp_path, 60, seed=1, seconds=0.2)
    table = pl.read_csv(tmp_path / "ptbxl_database.csv", infer_schema=False)
    folds = dict(table.select("ecg_id", "strat_fold").iter_rows())
    job = Job(SOURCE.card, open_raw(tmp_path), {"rate": "500"})
    units = [item for item in SOURCE.plan(job) if isinstance(item, Unit)]
    assert len(units) == 60
    names = {"9": "validation", "10": "test"}
    assert {unit.key: unit.split for unit in units} == {
        key: names.get(fold, "train") for key, fold in folds.items()
    }
    by_patient: dict[str | None, set[str | None]] = {}
    for unit in units:
        by_patient.setdefault(unit.patient, set()).add(unit.split)
    assert len(by_patient) < 60 and {len(splits) for splits in by_patient.values()} == {1}


def test_known_faults(tmp_path: Path) -> None:
    simulate(tmp_path / "raw", 20, seed=1, quirks=True, seconds=0.5)
    built = build_example(SOURCE, tmp_path / "set", raw=tmp_path / "raw")
    counts = built.dataset.manifest.sources[SOURCE.card.slug].counts
    assert counts.units == 20 == counts.converted + counts.quarantined
    assert {row["reason"] for row in built.quarantine} == quirks(SOURCE)


def test_exchanged_limb_leads_are_masked_in_every_question(raw: Path) -> None:
    stem = raw / "records500" / "00000" / "00001_hr"
    signal = ecg(np.random.default_rng(0), 500, 2, TWELVE)
    signal[[0, 1]] = signal[[1, 0]]
    write_wfdb(stem, signal, 500, TWELVE)
    records = [one for one in convert(raw).values() if isinstance(one, Record)]
    for record in records:
        assert record.ecg is not None
        assert record.ecg.valid.any(1).tolist() == [False, False, *([True] * 10)]
        assert "leads I and II seem exchanged, both masked" in record.notes


def _planned(raw: Path) -> dict[str, Unit | Refused]:
    planned = SOURCE.plan(Job(SOURCE.card, open_raw(raw), {"rate": "500"}))
    return {item.key: item for item in planned if isinstance(item, Unit | Refused)}


def test_a_file_of_another_ecg_is_refused(raw: Path) -> None:
    """A column of files that slipped by a row gave each patient the signal of the one before."""
    path = raw / "ptbxl_database.csv"
    table = pl.read_csv(path, infer_schema=False)
    table.with_columns(filename_hr=pl.col("filename_hr").reverse()).write_csv(path)
    for refused in _planned(raw).values():
        assert isinstance(refused, Refused) and "which is of another ECG" in refused.error.what


def test_a_statement_that_stands_twice_is_refused(raw: Path) -> None:
    """A dictionary would keep the last one, here that of a likelihood of 0."""
    path = raw / "ptbxl_database.csv"
    cells = ["{'NORM': 100.0, 'NORM': 0.0}", "{'NORM': 100.0}"]
    table = pl.read_csv(path, infer_schema=False)
    table.with_columns(scp_codes=pl.Series(cells)).write_csv(path)
    refused, sound = (_planned(raw)[key] for key in "12")
    assert isinstance(refused, Refused) and "states a code twice" in refused.error.what
    assert isinstance(sound, Unit)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("/mV", "/uV", "leads span .* mV, which no ECG does"),
        (" 1000/mV", " 1/mV", "leads span .* mV, which no ECG does"),
        (" 3 500 ", " 3 250 ", "the header says 250 Hz, and recordings of this source have 500"),
        ("/mV", "/mV", None),
    ],
)
def test_headers_that_lie_about_units_and_rate(
    raw: Path, old: str, new: str, fault: str | None
) -> None:
    """The signal would be a thousandth or a thousandfold of what it is, or twice as slow."""
    header = raw / "records500/00000/00001_hr.hea"
    assert old in header.read_text()
    header.write_text(header.read_text().replace(old, new))
    unit = _planned(raw)["1"]
    assert isinstance(unit, Unit)
    job = Job(SOURCE.card, open_raw(raw), {"rate": "500"})
    if fault is None:
        assert SOURCE.convert(unit, job)
        return
    with pytest.raises(UnreadableFile, match=fault):
        SOURCE.convert(unit, job)
