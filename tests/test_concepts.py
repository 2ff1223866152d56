"""Tables of concepts: what is read, what is refused and where, and the view that they give."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from qoqdata.concepts import (
    Concept,
    known_labels,
    read_concepts,
    refuse_unknown_labels,
    shipped_tables,
    with_concepts,
    without_concept,
)
from qoqdata.errors import UsageError
from qoqdata.sources import catalogue
from tests.statistics.training_rows import frame, record

HEAD = "source,label,concept,system,code\n"
#: The labels x and y of source a and p of source b mean the same; z has no concept.
TABLE = HEAD + "a,x,Opacity,RadLex,RID1\na,y,Opacity,RadLex,RID1\n\nb,p,Opacity,RadLex,RID1\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "own.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    """Quoted cells, blanks, columns beside, a byte-order mark."""
    text = (
        "\ufeffsource,label,concept,system,code,note\n"
        'a, x ,"Opacity, any",,,seen\na,y,Mass,SNOMED CT,254626006,\n'
    )
    table = read_concepts(written(tmp_path, text))
    assert table.name == "own"
    assert dict(table.concepts) == {
        ("a", "x"): Concept("Opacity, any"),
        ("a", "y"): Concept("Mass", "SNOMED CT", "254626006"),
    }
    assert table.lines[("a", "y")] == 3


def test_the_digest_is_of_the_content(tmp_path: Path) -> None:
    one = read_concepts(written(tmp_path, HEAD + "a,x,X,,\na,y,Y,,\n")).digest
    assert read_concepts(written(tmp_path, HEAD + "a,y,Y,,\na,x,X,,\n")).digest == one
    assert read_concepts(written(tmp_path, HEAD + "a,x,Y,,\na,y,X,,\n")).digest != one


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("source,label,concept,code\n", 1, "lacks system"),
        (HEAD + "a,x,X,,\na,x,Z,,\n", 3, "'x' of a stands for 'X' already"),
        (HEAD + "a,x,X,,\na,x,X,,\n", 3, "keep this line or line 2"),
        (HEAD + "a,x,X,,254626006\n", 2, "254626006 has no system"),
        (HEAD + "a,x,X,RadLex,\n", 2, "RadLex is named without a code"),
        (HEAD + "a,x,X,RadLex,28530\n", 2, "no code of RadLex"),
        # Two digits of 254626006 changed places.
        (HEAD + "a,x,X,SNOMED CT,254262006\n", 2, "last digit does not fit"),
        (HEAD + "a,x,X,,\nb,x,X,RadLex,RID1\n", 3, "another code than in line 2"),
        (HEAD + "a,x,,,\n", 2, "the concept is empty"),
        (HEAD + "a,x,X\n", 2, "has 3 cells, 5 columns"),
        (HEAD, None, "holds no label"),
        (HEAD + 'a,"x,X,,\n', None, "is no CSV file"),
    ],
)
def test_tables_at_fault(tmp_path: Path, text: str, line: int | None, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(UsageError, match=message) as raised:
        read_concepts(path)
    assert raised.value.where == (str(path) if line is None else f"{path}, line {line}")


def test_what_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one of ecg_groups, findings, malignancy"):
        read_concepts("finding")
    with pytest.raises(UsageError, match="is no table"):
        read_concepts(tmp_path)


def test_a_label_that_its_source_does_not_have(tmp_path: Path) -> None:
    table = read_concepts(written(tmp_path, TABLE))
    refuse_unknown_labels(table, {"a": "xyz"})  # b is not of this data set
    with pytest.raises(UsageError, match=r"line 5: b has no label 'p'. Fix: it has 'q'"):
        refuse_unknown_labels(table, {"a": "xyz", "b": "q"})


@pytest.mark.parametrize("name", shipped_tables())
def test_shipped_tables_fit_the_catalogue(name: str) -> None:
    table = read_concepts(name)
    cards = {slug: catalogue.find_source(slug).card for slug, _ in table.concepts}
    known = known_labels(frame(), cards)
    assert all(known.values())
    refuse_unknown_labels(table, known)


def test_labels_that_are_known() -> None:
    rows = frame(
        record(0, "free", uncertain=["perhaps"], absent=None, source="b"), record(1, absent=["w"])
    )
    card = catalogue.find_source("covid_blues").card
    assert known_labels(rows, {"covid_blues": card}) == {
        "covid_blues": {
            *("Score 0", "Score 1", "Score 2", "Score 3"),
            *("COVID-19 negative", "COVID-19 positive"),
            *("A-lines", "No A-lines", "B-lines", "No B-lines"),
        },
        "a": {"w"},
        "b": {"free", "perhaps"},
    }


@pytest.mark.parametrize(
    ("labels", "uncertain", "absent", "view"),
    [
        (["x"], [], [], (["Opacity"], [], [])),
        (["x", "y"], [], [], (["Opacity"], [], [])),
        (["z"], ["z"], ["z"], ([], [], [])),
        # x is denied and y asserted: what both stand for is there.
        (["y"], [], ["x"], (["Opacity"], [], [])),
        ([], ["y"], ["x"], ([], ["Opacity"], [])),
        ([], [], ["x", "y"], ([], [], ["Opacity"])),
        # y is sure, so a doubt about x is none about the concept.
        (["y"], ["x"], [], (["Opacity"], [], [])),
        # As a source lists what it asserts with little likelihood.
        (["x"], ["x"], [], (["Opacity"], ["Opacity"], [])),
        (None, None, None, ([], [], [])),
    ],
)
def test_the_view(
    tmp_path: Path, labels: list | None, uncertain: list, absent: list, view: tuple
) -> None:
    table = read_concepts(written(tmp_path, TABLE))
    rows = frame(record(0, labels=labels, uncertain=uncertain, absent=absent), record(1, "p"))
    found = with_concepts(rows, table)
    names = ("concepts", "uncertain_concepts", "absent_concepts")
    assert found.select(names).rows() == [view, ([], [], [])]  # p is a label of b alone
    assert found.drop(names).equals(rows)


def test_labels_without_a_concept(tmp_path: Path) -> None:
    table = read_concepts(written(tmp_path, TABLE))
    rows = frame(record(0, "x", "z"), record(1, "p"), record(2, "p", source="b"))
    bare = without_concept(rows, "labels", table)
    assert bare.select("id", "label").rows() == [("r000", "z"), ("r001", "p")]
    assert without_concept(rows, "absent", table).is_empty()
    assert isinstance(bare, pl.DataFrame)
