"""Counts by concept, worked out by hand, and the table that `qoqdata stats` writes of them."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

import qoqdata
from qoqdata.cli import main
from qoqdata.concepts import read_concepts
from qoqdata.contract.arrow import arrow_schema
from qoqdata.contract.statistics import CONCEPTS
from qoqdata.errors import UsageError
from qoqdata.statistics.concept_counts import concept_counts
from tests.cli.conftest import runner
from tests.publication.conftest import build_set
from tests.statistics.training_rows import frame, record

TABLE = (
    "source,label,concept,system,code\n"
    "a,x,Opacity,RadLex,RID1\na,y,Opacity,RadLex,RID1\nb,p,Opacity,RadLex,RID1\na,w,Mass,,\n"
)
RECORDS = frame(
    # Source a: three questions about two studies of one patient assert an opacity.
    record(0, "x", study="s0", patient="p0"),
    record(1, "x", "y", study="s0", patient="p0"),
    record(2, "y", study="s1", patient="p0", absent=["x"]),
    record(3, "z", study="s2", patient="p1", uncertain=["y"], absent=["w"]),
    record(4, "x", study="s3", patient="p2", split="test"),
    # Source b of the same domain shares study s1 with a, and names no patient.
    record(5, "p", source="b", study="s1", patient=None),
    record(6, "z", "q", source="b", study="s4", patient=None, domain="mri"),
)


def test_counts_by_hand(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text(TABLE)
    table = read_concepts(tmp_path / "own.csv")
    found = concept_counts(RECORDS, table)
    keys = ("concept", "label", "domain", "source", "split", "state")
    rows = {row[:6]: row[6:] for row in found.select(*keys, "^n_.*$").iter_rows()}
    assert rows == {
        ("Mass", None, "ct", "a", "train", "absent"): (1, 1, 1),
        ("Mass", None, "ct", None, "train", "absent"): (1, 1, 1),
        ("Opacity", None, "ct", "a", "train", "asserted"): (3, 2, 1),
        ("Opacity", None, "ct", "a", "train", "uncertain"): (1, 1, 1),
        ("Opacity", None, "ct", "a", "test", "asserted"): (1, 1, 1),
        ("Opacity", None, "ct", "b", "train", "asserted"): (1, 1, None),
        # Together: s0 and s1, which both ask about.
        ("Opacity", None, "ct", None, "train", "asserted"): (4, 2, 1),
        ("Opacity", None, "ct", None, "train", "uncertain"): (1, 1, 1),
        ("Opacity", None, "ct", None, "test", "asserted"): (1, 1, 1),
        (None, "z", "ct", "a", "train", "asserted"): (1, 1, 1),
        (None, "z", "mri", "b", "train", "asserted"): (1, 1, None),
        (None, "q", "mri", "b", "train", "asserted"): (1, 1, None),
    }
    assert set(found["table"]) == {"own"} and set(found["digest"]) == {table.digest}
    coded = found.filter(pl.col("concept") == "Opacity").select("system", "code").unique()
    assert coded.rows() == [("RadLex", "RID1")]
    assert concept_counts(RECORDS.reverse(), table).equals(found)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("concepts") / "set"
    return build_set(out, "ham10000", "lc25000", "covid_blues").root


def test_the_table_of_a_data_set(built: Path) -> None:
    stats = qoqdata.stats(built, harmonise="malignancy")
    assert stats.concepts is not None
    path = built / "stats" / "concepts.parquet"
    assert pq.read_schema(path).equals(arrow_schema(CONCEPTS))
    records = qoqdata.open(built).kept()
    melanoma = pl.col("labels").list.contains("Melanoma")
    carcinoma = pl.col("labels").list.contains("Basal cell carcinoma")
    expected = records.filter((melanoma | carcinoma) & (pl.col("source") == "ham10000"))
    found = stats.concepts.filter(
        pl.col("source") == "ham10000", pl.col("concept") == "Malignant neoplasm"
    )
    assert expected.height and found["n_records"].sum() == expected.height
    assert set(found["code"]) == {"363346000"}
    # Scores stand for no concept of this table, and are counted all the same.
    scores = stats.concepts.filter(pl.col("label").str.starts_with("Score"))
    is_score = pl.element().str.starts_with("Score")
    asked = records.filter(pl.col("labels").list.eval(is_score).list.any())
    assert scores["n_records"].sum() == asked.height and scores["concept"].null_count()
    # Every label of every record is in one row or another.
    in_rows = stats.concepts.filter(pl.col("source").is_not_null())["n_records"].sum()
    assert in_rows == len(records["labels"].explode().drop_nulls())


def test_the_digest_of_the_statistics_does_not_depend_on_concepts(built: Path) -> None:
    """And counts that nobody asked for again do not stay behind, stale."""
    with_table = qoqdata.stats(built, harmonise="findings")
    without = qoqdata.stats(built)
    assert without.concepts is None and without.digest == with_table.digest
    assert not (built / "stats" / "concepts.parquet").exists()


def test_a_table_that_names_another_label(built: Path, tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("source,label,concept,system,code\nham10000,melanoma,Melanoma,,\n")
    with pytest.raises(UsageError, match="ham10000 has no label 'melanoma'") as raised:
        qoqdata.stats(built, harmonise=path)
    assert f"{path}, line 2" in str(raised.value)


def test_the_command(
    built: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    run = runner("qoqdata", main.run, monkeypatch, capsys)
    code, out, _ = run("stats", built, "--harmonise", "malignancy")
    assert code == 0
    lines = [line.split() for line in out.splitlines() if line.startswith("Malignant neoplasm")]
    assert [(line[2], line[3], line[-1]) for line in lines] == [
        ("363346000", "dermoscopy", "ham10000"),
        ("363346000", "pathology", "lc25000"),
    ]
    assert "label without a concept" in out and "Score 0" in out
    code, out, _ = run("stats", built, "--harmonise", "malignancy", "--json")
    assert code == 0 and {row["table"] for row in json.loads(out)["concepts"]} == {"malignancy"}
    code, _, err = run("stats", built, "--harmonise", "malignant")
    assert code == 2 and "one of ecg_groups, findings, malignancy" in err
