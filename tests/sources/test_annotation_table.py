"""Rows of a user's table: what each cell comes to mean, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from qoqdata.errors import BadTable, MissingFile
from qoqdata.sources.annotation_table import join, units
from qoqdata.sources.annotations import Annotation, annotated_unit
from qoqdata.sources.protocol import Filtered, Refused, Unit
from tests.sources.user_tables import COLUMNS, read


def test_every_column(tmp_path: Path) -> None:
    table = (
        "file,finding,who,family,set,age,sex,notes\n"
        "a.png,mass,P1,F1,train,61.5,F,Cough.\n"
        "b.png, clear ,NA,,NA,,,\n"
    )
    found = read(tmp_path, table, COLUMNS)
    assert found.refused == ()
    assert found.rows == {
        "a.png": (
            Annotation(
                ("mass",),
                patient="P1",
                group="F1",
                split="train",
                age=61,
                sex="female",
                context="Cough.",
            ),
        ),
        "b.png": (Annotation(("clear",)),),
    }


def test_units_carry_the_row(tmp_path: Path) -> None:
    table = "file,finding,who,age\na.png,mass,P1,61\nb.png,mass,,\n"
    columns = {"labels": "finding", "patient": "who", "age": "age"}
    rows = read(tmp_path, table, columns).rows
    first = annotated_unit("a.png", ("a.png", "a-mask.png"), rows["a.png"], slices=8)
    assert first == Unit(
        "a.png",
        ("a.png", "a-mask.png"),
        group="P1",
        patient="P1",
        facts={"questions": [{"labels": ("mass",), "age": 61}], "slices": 8},
    )
    assert annotated_unit("b.png", (), rows["b.png"]).group is None


def test_the_group_column_goes_before_the_patient(tmp_path: Path) -> None:
    table = "file,finding,who,family\na,mass,P1,F1\nb,mass,P2,F1\nc,mass,P3,\n"
    columns = {"labels": "finding", "patient": "who", "group": "family"}
    rows = read(tmp_path, table, columns).rows
    assert [annotated_unit(key, (), rows[key]).group for key in "abc"] == ["F1", "F1", "P3"]


# Labels in one column.


@pytest.mark.parametrize(
    ("cell", "labels"),
    [
        ("mass", ("mass",)),
        ("mass|node", ("mass", "node")),
        (" mass | node |", ("mass", "node")),
        ("", ()),
        ("NA", ()),
        ("|", ()),
    ],
)
def test_a_cell_of_several_labels(tmp_path: Path, cell: str, labels: tuple[str, ...]) -> None:
    columns = {"labels": "finding", "label_separator": "|"}
    found = read(tmp_path, f"file,finding\na,{cell}\n", columns)
    assert found.rows["a"][0].labels == labels


def test_without_a_separator_a_cell_is_one_label(tmp_path: Path) -> None:
    found = read(tmp_path, "file,finding\na,mass|node\n", {"labels": "finding"})
    assert found.rows["a"][0].labels == ("mass|node",)


@pytest.mark.parametrize("word", ["none", "NA", "Unknown"])
def test_a_mapped_label_is_one_even_if_it_sounds_absent(tmp_path: Path, word: str) -> None:
    """Grades such as "None" are findings where the user maps them."""
    table = f"file,finding\na,{word}\n"
    mapped = read(tmp_path, table, {"labels": "finding"}, labels={word: "Clear", "m": "Mass"})
    assert mapped.rows["a"][0].labels == (word,)
    options = read(tmp_path, table, {"labels": "finding"}, labels={}, options=[word, "Mass"])
    assert options.rows["a"][0].labels == (word,)
    assert read(tmp_path, table, {"labels": "finding"}).rows["a"][0].labels == ()


# Labels as columns.

WIDE = {"labels": ["mass", "node"]}


@pytest.mark.parametrize(
    ("cells", "present", "uncertain", "absent"),
    [
        ("1,0", ("mass",), (), ("node",)),
        ("1.0,True", ("mass", "node"), (), ()),
        ("yes,no", ("mass",), (), ("node",)),
        ("0,0", (), (), ("mass", "node")),
        ("1,-1", ("mass",), ("node",), ()),
        ("-1.0,uncertain", (), ("mass", "node"), ()),
        ("1,", ("mass",), (), ()),
        ("0,", (), (), ("mass",)),
        (",", (), (), ()),
        (" 1 , Y ", ("mass", "node"), (), ()),
    ],
)
def test_columns_of_labels_have_four_states(
    tmp_path: Path,
    cells: str,
    present: tuple[str, ...],
    uncertain: tuple[str, ...],
    absent: tuple[str, ...],
) -> None:
    (row,) = read(tmp_path, f"file,mass,node\na,{cells}\n", WIDE).rows["a"]
    assert (row.labels, row.uncertain, row.absent) == (present, uncertain, absent)
    assert row.answers == bool(present)


@pytest.mark.parametrize(
    ("cells", "present", "absent"),
    [
        ("0,0,1", ("node",), ("mass", "lump")),  # both deny it
        ("1,0,0", ("mass",), ("node",)),  # one asserts it
        (",0,1", ("node",), ()),  # one does not mention it
    ],
)
def test_columns_of_one_option_deny_it_together(
    tmp_path: Path, cells: str, present: tuple[str, ...], absent: tuple[str, ...]
) -> None:
    (row,) = read(
        tmp_path,
        f"file,mass,lump,node\na,{cells}\n",
        {"labels": ["mass", "lump", "node"]},
        labels={"mass": "Mass", "lump": "Mass", "node": "Node"},
    ).rows["a"]
    assert (row.labels, row.absent) == (present, absent)


@pytest.mark.parametrize("cell", ["2", "maybe", "0.5", "NA", "x"])
def test_a_cell_that_is_neither(tmp_path: Path, cell: str) -> None:
    found = read(tmp_path, f"file,mass,node\na,1,{cell}\nb,1,0\n", WIDE)
    assert list(found.rows) == ["b"]
    (refused,) = found.refused
    assert refused.key == "a" and isinstance(refused.error, BadTable)
    assert "t.csv, row 2" in str(refused.error) and repr(cell) in str(refused.error)


@pytest.mark.parametrize(
    ("cells", "labels"),
    [
        ("0,0", ("Clear",)),
        ("0,no", ("Clear",)),
        ("0,", ()),  # not mentioned is not absent
        (",", ()),
        ("0,-1", ()),
        ("1,0", ("mass",)),
    ],
)
def test_the_option_for_explicit_absence(
    tmp_path: Path, cells: str, labels: tuple[str, ...]
) -> None:
    (row,) = read(tmp_path, f"file,mass,node\na,{cells}\n", WIDE, none="Clear").rows["a"]
    assert row.labels == labels
    # That nothing is there is a statement about each column.
    assert labels != ("Clear",) or row.absent == ("mass", "node")


# Splits.


def test_words_for_splits(tmp_path: Path) -> None:
    table = "file,finding,set\na,mass,train\nb,mass,valid\nc,mass,holdout\nd,mass,\n"
    words = {"valid": "validation", "holdout": "test"}
    columns = {"labels": "finding", "split": "set"}
    found = read(tmp_path, table, columns, split_values=words)
    assert [row.split for (row,) in found.rows.values()] == ["train", "validation", "test", None]


def test_the_users_words_go_first(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "file,finding,set\na,mass,test\n",
        {"labels": "finding", "split": "set"},
        split_values={"test": "validation"},
    )
    assert found.rows["a"][0].split == "validation"


@pytest.mark.parametrize("word", ["Train", "dev", "0"])
def test_a_word_that_is_no_split(tmp_path: Path, word: str) -> None:
    found = read(
        tmp_path,
        f"file,finding,set\na,mass,{word}\nb,mass,test\n",
        {"labels": "finding", "split": "set"},
    )
    assert list(found.rows) == ["b"]
    assert "split_values" in str(found.refused[0].error)


def test_equal_cells_at_fault_are_told_with_the_row_of_each(tmp_path: Path) -> None:
    table = (
        "file,mass,node,set\na,1,0,dev\nb,x,0,test\nc,1,0,dev\nd,1,0,test\ne,x,0,test\nf,1,0,test\n"
    )
    found = read(tmp_path, table, {"labels": ["mass", "node"], "split": "set"})
    assert [(item.key, item.error.where) for item in found.refused] == [
        ("a", "t.csv, row 2"),
        ("b", "t.csv, row 3"),
        ("c", "t.csv, row 4"),
        ("e", "t.csv, row 6"),
    ]
    assert {key: (row.labels, row.split) for key, (row,) in found.rows.items()} == {
        "d": (("mass",), "test"),
        "f": (("mass",), "test"),
    }


# Keys.


def test_all_rows_of_a_repeated_key_are_refused(tmp_path: Path) -> None:
    table = "file,finding\na,mass\nb,node\n a ,clear\na,mass\n"
    found = read(tmp_path, table, {"labels": "finding"})
    assert list(found.rows) == ["b"]
    assert [item.key for item in found.refused] == ["a", "a", "a"]
    assert [item.error.code for item in found.refused] == ["duplicate_key"] * 3
    assert "in 3 rows" in str(found.refused[0].error)


def test_rows_without_a_key_are_refused_one_by_one(tmp_path: Path) -> None:
    found = read(tmp_path, "file,finding\n,mass\na,mass\nNA,mass\n", {"labels": "finding"})
    assert list(found.rows) == ["a"]
    assert [item.key for item in found.refused] == ["t.csv, row 2", "t.csv, row 4"]
    assert {item.error.code for item in found.refused} == {"missing_key"}


@pytest.mark.parametrize(
    ("table", "said"),
    [("file\na\n", "lacks the column 'finding'"), ("file,finding\n", "no rows"), ("", "empty")],
)
def test_tables_at_fault(tmp_path: Path, table: str, said: str) -> None:
    with pytest.raises(BadTable, match=said):
        read(tmp_path, table, {"labels": "finding"})


def test_no_table(tmp_path: Path) -> None:
    with pytest.raises(MissingFile):
        read(tmp_path, "", {"file": "none.csv"})
    with pytest.raises(BadTable, match="names no table"):
        read(tmp_path, "", {}, table=None)


# Joining with files.


def test_rows_and_files_are_paired_by_key(tmp_path: Path) -> None:
    table = "file,finding\nb,node\na,mass\nlost,mass\nmute,\ntwice,mass\ntwice,mass\n"
    found = read(tmp_path, table, {"labels": "finding"})
    files = {key: (f"{key}.png",) for key in ("a", "b", "mute", "stray", "twice")}
    joined = list(join(found, files, table="t.csv"))
    pairs = [item for item in joined if isinstance(item, tuple)]
    assert [(key, paths, row.labels) for key, paths, (row,) in pairs] == [
        ("b", ("b.png",), ("node",)),
        ("a", ("a.png",), ("mass",)),
    ]
    refused = {item.key: item.error.code for item in joined if isinstance(item, Refused)}
    assert refused == {"lost": "missing_file", "stray": "missing_key", "twice": "duplicate_key"}
    (filtered,) = [item for item in joined if isinstance(item, Filtered)]
    assert (filtered.key, filtered.reason, filtered.files) == ("mute", "no_label", ("mute.png",))
    # Everything that exists is named: 2 pairs, 2 rows of `twice`, lost, stray, mute.
    assert len(joined) == 7


def test_file_order_does_not_matter(tmp_path: Path) -> None:
    found = read(tmp_path, "file,finding\na,mass\nb,node\n", {"labels": "finding"})
    files = {key: (key,) for key in ("z", "a", "y", "b")}
    turned = dict(reversed(files.items()))
    assert [str(item) for item in units(found, files, table="t")] == [
        str(item) for item in units(found, turned, table="t")
    ]


def test_units_of_a_table(tmp_path: Path) -> None:
    found = read(tmp_path, "file,finding\na,mass\nb,\n", {"labels": "finding"})
    first, second = units(found, {"a": ("a",), "b": ("b",)}, table="t")
    assert isinstance(first, Unit) and first.facts["questions"][0]["labels"] == ("mass",)
    assert isinstance(second, Filtered)
