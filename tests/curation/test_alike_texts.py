"""Texts that are nearly the same are found, and no number, unit, side or negation is overlooked."""

from __future__ import annotations

from itertools import combinations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.curation.audit.alike_texts import SIMILAR, _joined, find_alike_texts

REPORT = (
    "Chest radiograph in two views. There is a 5 mm nodule in the left upper lobe. The heart is "
    "of usual size and shape. No pleural effusion and no pneumothorax are seen. The mediastinal "
    "contours are stable in comparison with the prior examination. Grade II changes of the spine."
)


def found(*texts: str, splits: tuple[str, ...] = ("train", "test")) -> pl.DataFrame:
    rows = [
        {"id": f"r{n}", "source": "a", "split": splits[n % 2], "study": f"s{n}", "context": text}
        for n, text in enumerate(texts)
    ]
    return find_alike_texts(pl.DataFrame(rows))


def test_a_report_that_was_pasted_on() -> None:
    again = REPORT.replace("prior", "previous").upper().replace(".", " .")
    row = found(REPORT, again).to_dicts()[0]
    assert (row["id"], row["other"], row["split"], row["other_split"]) == (
        "r1",
        "r0",
        "test",
        "train",
    )
    # One of the different words is another one: n - 1 of n + 1.
    assert row["differs"] == "previous | prior"
    assert 0.9 < row["similarity"] < 1


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ("5 mm", "6 mm"),
        ("5 mm", "5 cm"),
        ("5 mm", "5.5 mm"),
        ("left upper", "right upper"),
        ("No pleural effusion", "A pleural effusion"),
        ("no pneumothorax", "pneumothorax"),
        ("There is a 5", "There is not a 5"),
        ("two views", "three views"),
        ("Grade II", "Grade III"),
    ],
)
def test_what_must_not_be_overlooked_keeps_texts_apart(then: str, now: str) -> None:
    assert then in REPORT
    assert found(REPORT, REPORT.replace(then, now)).is_empty()


def test_other_languages() -> None:
    german = (
        "Röntgen des Thorax in zwei Ebenen ohne Erguss, Herz links verbreitert, Mediastinum "
        "schlank, Hili gefäßtypisch, Zwerchfell glatt begrenzt, Skelett altersgemäß unauffällig, "
    )
    assert found(german + "alt", german + "neu").height == 1
    assert found(german, german.replace("links", "rechts")).is_empty()
    assert found(german, german.replace("ohne", "mit")).is_empty()
    chinese = "胸部正位片显示右肺上叶结节影边界清楚无胸腔积液心影大小形态正常纵隔居中骨质未见异常"
    assert found(chinese + "。", chinese).height == 1
    assert found(chinese, chinese.replace("右", "左")).is_empty()
    assert found(chinese, chinese.replace("无", "有")).is_empty()


def test_equal_texts_are_told_across_splits_and_of_other_studies_alone() -> None:
    assert found("Clear lungs.", "Clear lungs.").height == 1
    assert found("Clear lungs.", "Clear lungs.", splits=("train", "train")).is_empty()
    same = pl.DataFrame({"id": ["a", "b"], "split": ["train", "test"], "study": ["s", "s"]})
    same = same.with_columns(source=pl.lit("a"), context=pl.lit(REPORT))
    assert find_alike_texts(same).is_empty()
    assert found(None, None).is_empty()  # type: ignore[arg-type]


WORDS = st.frozensets(st.sampled_from([f"w{n}" for n in range(24)]), min_size=1)


@given(st.lists(WORDS, max_size=12))
def test_no_pair_is_missed(sets: list[frozenset[str]]) -> None:
    """Each set that is like an earlier representative is joined with one, by all pairs."""
    joined = {one: (other, similarity) for one, other, similarity in _joined(sets)}
    alone: list[int] = []
    for number, own in enumerate(sets):
        like = {
            other: len(own & sets[other]) / len(own | sets[other])
            for other in alone
            if len(own & sets[other]) / len(own | sets[other]) >= SIMILAR
        }
        if like:
            other, similarity = joined[number]
            assert like[other] == similarity
        else:
            assert number not in joined
            alone.append(number)
    assert all(
        len(sets[a] & sets[b]) / len(sets[a] | sets[b]) < SIMILAR for a, b in combinations(alone, 2)
    )
