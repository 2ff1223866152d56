"""Which records repeat another one."""

from __future__ import annotations

import numpy as np
import polars as pl

from qoqdata.curation.alike import ALIKE
from qoqdata.curation.duplicates import find_duplicates
from qoqdata.curation.sameness import Sameness

#: The content that is uniform.
BLANK = 7


def same(rows: list[tuple[str, str, str, str, list[int]]], *alike: tuple[int, int]) -> Sameness:
    """Records of (id, study, task, answer, contents), all in train unless the id begins with t."""
    facts = pl.DataFrame(
        [
            (n, id_, "films", "test" if id_[0] == "t" else "train", task, None, study, answer)
            for n, (id_, study, task, answer, _) in enumerate(rows)
        ],
        schema={
            "record": pl.UInt32,
            **dict.fromkeys(
                ("id", "source", "split", "task", "item", "study", "answer"), pl.String
            ),
        },
        orient="row",
    )
    shown = pl.DataFrame(
        [
            (n, "image", place, content, None if content == BLANK else content)
            for n, row in enumerate(rows)
            for place, content in enumerate(row[4])
        ],
        schema={
            "record": pl.UInt32,
            "medium": pl.String,
            "place": pl.Int32,
            "content": pl.UInt32,
            "bits": pl.UInt64,
        },
        orient="row",
    )
    pairs = pl.DataFrame(
        [(one, other, "upright", 2, 0.9) for one, other in alike], schema=ALIKE, orient="row"
    )
    return Sameness(shown, facts.with_columns(side="split"), pairs, np.empty(0, np.uint32))


def found(ground: Sameness) -> set[tuple[str, str, str, bool]]:
    rows = find_duplicates(ground).select("id", "kept", "copy", "contradicts")
    return set(rows.iter_rows())


def test_equal_and_alike_ones_repeat_the_first() -> None:
    ground = same(
        [
            ("a", "s1", "view", "PA", [0]),
            ("b", "s2", "view", "PA", [0]),
            ("c", "s3", "view", "AP", [1]),
            ("d", "s4", "view", "PA", [2]),
        ],
        (0, 1),
    )
    assert found(ground) == {("b", "a", "equal", False), ("c", "a", "alike", True)}


def test_another_question_another_split_and_the_same_study_are_none() -> None:
    ground = same(
        [
            ("a", "s1", "view", "PA", [0]),
            ("b", "s1", "side", "left", [0]),
            ("t", "s2", "view", "PA", [0]),
            ("c", "s3", "side", "left", [0, 1]),
        ]
    )
    assert found(ground) == set()


def test_uniform_ones_repeat_nothing() -> None:
    rows = [(f"r{n}", f"s{n}", "view", "PA", [BLANK]) for n in range(8)]
    rows += [(f"q{n}", f"z{n}", "view", "PA", [content]) for n, content in enumerate(range(7))]
    assert found(same(rows)) == set()


def test_all_of_what_several_images_show_counts_in_any_order() -> None:
    ground = same(
        [
            ("a", "s1", "view", "PA", [0, 1]),
            ("b", "s2", "view", "PA", [1, 0]),
            ("c", "s3", "view", "PA", [2, 1]),
            ("d", "s4", "view", "PA", [0]),
        ],
        (0, 2),
    )
    assert found(ground) == {("b", "a", "equal", False), ("c", "a", "alike", False)}


def test_chains_of_alike_ones_are_one_group() -> None:
    rows = [(f"r{n}", f"s{n}", "view", "PA", [n]) for n in range(4)]
    ground = same(rows, (0, 1), (1, 2))
    assert found(ground) == {("r1", "r0", "alike", False), ("r2", "r0", "alike", False)}


def test_a_pair_is_told_in_both_orders_the_turn_reversed() -> None:
    ground = same([("a", "s1", "view", "PA", [0]), ("b", "s2", "view", "PA", [1])])
    pairs = pl.DataFrame([(0, 1, "turned 90", 0, 0.9)], schema=ALIKE, orient="row")
    both = Sameness(ground.shown, ground.records, pairs, ground.crowded).pairs_both_ways()
    found = set(both.select("content", "other_content", "way").iter_rows())
    assert found == {
        *((0, 0, "upright"), (1, 1, "upright")),
        *((0, 1, "turned 90"), (1, 0, "turned 270")),
    }


def test_only_records_of_which_something_stands_elsewhere_are_looked_at() -> None:
    rows = [("a", "s1", "view", "PA", [0, 5]), ("b", "s2", "view", "PA", [0])]
    rows += [("c", "s3", "view", "PA", [1]), ("d", "s4", "view", "PA", [2])]
    rows += [("e", "s5", "view", "PA", [3])]
    ground = same(rows, (1, 3))
    # Of `a` also what it alone shows; `d` shares nothing.
    assert ground.shared.select("record", "content").rows() == [
        (0, 0),
        (0, 5),
        (1, 0),
        (2, 1),
        (4, 3),
    ]
    own = ground.pairs_both_ways().filter(pl.col("content") == pl.col("other_content"))
    assert own["content"].sort().to_list() == [0, 1, 3, 5]
