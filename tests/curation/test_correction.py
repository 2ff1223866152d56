"""A corrected set has the answers that people gave and says so; no reader meets the wrong ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

import qoqdata
from qoqdata.curation.correction import Uncorrectable, corrected, corrected_counts
from qoqdata.curation.decision_log import PersonDecision, read_log
from qoqdata.dataset import Dataset, open_dataset
from qoqdata.errors import UsageError
from qoqdata.publication.facts import gather_facts
from qoqdata.publication.readme import readme
from qoqdata.readers import encode
from qoqdata.statistics.difficulty import read_difficulty
from qoqdata.validation import find
from tests.cli.conftest import qoqdata as command
from tests.records.sound_rows import HEIGHT, WIDTH, image_row, mask_info, region
from tests.validation.written_set import write

__all__ = ["command"]

OPTIONS = ["Clear", "Opacity", "Effusion"]


def noise(seed: int) -> bytes:
    return encode.png(np.random.default_rng(seed).integers(0, 255, (HEIGHT, WIDTH), np.uint8))


def row(n: int, answer: str, **changes: Any) -> dict[str, Any]:
    """Record r<n>, a single question without boxes, of an image of its own."""
    return image_row(
        id=f"r{n}",
        patient=f"p{n}",
        study=f"s{n}",
        kind="single",
        options=OPTIONS,
        answer=answer,
        labels=[answer],
        images=[{"bytes": noise(n), "path": f"{n}.png"}],
        **({"regions": None, "masks": None, "mask_info": None} | changes),
    )


@pytest.fixture
def written(tmp_path: Path) -> Dataset:
    """r0 to r2 in train, r3 alone in test; r2 has a box of its answer."""
    boxed = {"regions": [region(label="opacity")]}
    return write(
        tmp_path / "set",
        [
            row(0, "Opacity", reasoning="It is white, so opacity.", reasoning_policy="p"),
            row(1, "Clear"),
            row(2, "Opacity", **boxed),
            row(3, "Clear", split="test"),
        ],
    )


def told(answer: str, **changes: Any) -> PersonDecision:
    return PersonDecision(
        order=1, author="ana", id="r0", keep=False, why="seen", answer=answer, **changes
    )


def streamed(dataset: Dataset, split: str = "train") -> dict[str, str]:
    return {one["id"]: one["answer"] for one in dataset.stream(split, epochs=1)}


def test_a_relabelled_record_is_in_no_stream_until_it_is_corrected(
    written: Dataset, tmp_path: Path
) -> None:
    qoqdata.relabel(written, "r0", "Effusion", why="a meniscus", author="ana")
    qoqdata.decide(written, "r1", False, why="cut off", author="ben")
    assert streamed(written) == {"r2": "Opacity"}
    assert qoqdata.export(written, to="records", out=tmp_path / "x").written == {
        "train": 1,
        "test": 1,
    }

    done = qoqdata.correct(written, out=tmp_path / "new")
    assert (dict(done.corrected), dict(done.left_out)) == ({"films": 1}, {})
    new = open_dataset(tmp_path / "new")
    assert streamed(new) == {"r0": "Effusion", "r2": "Opacity"}  # r1 is dropped there too
    assert list(find(new)) == []
    # The set that it comes from is what it was.
    assert streamed(open_dataset(written.root)) == {"r2": "Opacity"}
    assert list(find(open_dataset(written.root))) == []


def test_nothing_but_the_answer_and_what_follows_from_it_changes(
    written: Dataset, tmp_path: Path
) -> None:
    qoqdata.relabel(written, "r0", "Effusion", why="a meniscus", author="ana")
    qoqdata.correct(written, out=tmp_path / "new")
    shard = "data/films/train-00000.parquet"
    before, after = (pq.read_table(root / shard) for root in (written.root, tmp_path / "new"))
    changed = {
        name: [
            (a, b)
            for a, b in zip(before[name].to_pylist(), after[name].to_pylist(), strict=True)
            if a != b
        ]
        for name in before.column_names
        if not before[name].equals(after[name])
    }
    assert set(changed) == {"answer", "labels", "reasoning", "reasoning_policy", "provenance"}
    assert changed["answer"] == [("Opacity", "Effusion")]
    assert changed["labels"] == [(["Opacity"], ["Effusion"])]
    assert changed["reasoning"] == [("It is white, so opacity.", None)]
    ((old, new),) = changed["provenance"]
    assert new["notes"] == [
        *old["notes"],
        "corrected answer: 'Effusion', was 'Opacity'; by ana: a meniscus",
    ]
    # A shard without a relabelled record is the same file.
    one, other = (
        root / "data/films/test-00000.parquet" for root in (written.root, tmp_path / "new")
    )
    assert one.stat().st_ino == other.stat().st_ino


def test_same_decisions_same_bytes(written: Dataset, tmp_path: Path) -> None:
    qoqdata.relabel(written, "r0", "Effusion", why="a meniscus", author="ana")
    for name in ("a", "b"):
        qoqdata.correct(written, out=tmp_path / name)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*.parquet"))
    assert files and all(
        (tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files
    )


def test_the_log_goes_with_it_and_curation_knows_what_is_done(
    written: Dataset, tmp_path: Path
) -> None:
    qoqdata.relabel(written, "r0", "Effusion", why="a meniscus", author="ana")
    qoqdata.comment(written, "r3", "rotated", author="ben")
    qoqdata.correct(written, out=tmp_path / "new")
    new = open_dataset(tmp_path / "new")
    assert read_log(new.layout) == read_log(written.layout)
    for _ in range(2):
        verdicts = pl.read_parquet(new.layout.verdicts).filter(id="r0")
        assert verdicts.select("keep", "rule", "reason").rows() == [
            (True, "corrected", "a meniscus")
        ]
        qoqdata.curate(new)
    # Undone, relabelled or corrected again: the answer that lies there counts.
    with pytest.raises(UsageError, match="was carried out"):
        qoqdata.undo(new, "r0", author="ana")
    with pytest.raises(UsageError, match="no record that is relabelled"):
        qoqdata.correct(new, out=tmp_path / "newer")
    qoqdata.relabel(new, "r0", "Clear", why="no", author="ben")
    assert "r0" not in streamed(new)
    qoqdata.undo(new, "r0", author="ben")
    assert streamed(new)["r0"] == "Effusion"


def test_an_undone_decision_corrects_nothing(written: Dataset, tmp_path: Path) -> None:
    qoqdata.relabel(written, "r0", "Effusion", why="a meniscus", author="ana")
    qoqdata.undo(written, "r0", author="ana")
    with pytest.raises(UsageError, match="no record that is relabelled"):
        qoqdata.correct(written, out=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_what_is_no_option_is_refused(written: Dataset) -> None:
    with pytest.raises(UsageError, match="'Oedema' is none of the options"):
        qoqdata.relabel(written, "r0", "Oedema", why="wet", author="ana")


def test_a_box_of_what_is_not_there_keeps_its_record_out(written: Dataset, tmp_path: Path) -> None:
    qoqdata.relabel(written, "r2", "Clear", why="a nipple", author="ana")
    with pytest.raises(UsageError, match="its boxes or masks mark what it does not show"):
        qoqdata.correct(written, out=tmp_path / "new")
    assert not (tmp_path / "new").exists()
    qoqdata.relabel(written, "r0", "Clear", why="a nipple", author="ana")
    done = qoqdata.correct(written, out=tmp_path / "new")
    assert (sum(done.corrected.values()), sum(done.left_out.values())) == (1, 1)
    assert streamed(open_dataset(tmp_path / "new")) == {"r0": "Clear", "r1": "Clear"}


def test_regions_masks_and_places_follow() -> None:
    """By hand: a box of something else stays; of masks without boxes the card tells the names."""
    lesion = row(0, "Opacity", regions=[region(label="lesion")])
    assert corrected(lesion, told("Effusion"))["regions"] == lesion["regions"]
    given = row(0, "Opacity", regions=[region(label="Opacity", role="given")])
    assert corrected(given, told("Clear"))["regions"] == given["regions"]
    none = row(0, "Clear", regions=[])
    assert corrected(none, told("Opacity"))["regions"] is None
    masked = row(0, "Opacity", mask_info=[mask_info()])
    assert corrected(masked, told("Clear"), ["lesion"])["answer"] == "Clear"
    with pytest.raises(Uncorrectable):
        corrected(masked, told("Clear"), ["Opacity"])
    place = {"value": 0.0, "unit": None, "tolerance": 0.0}
    grade = row(0, "Clear") | {"kind": "number", "number": place}
    assert corrected(grade, told("Effusion"))["number"] == place | {"value": 2.0}


def test_label_states_follow() -> None:
    several = image_row(regions=None, uncertain=["Clear"], absent=[]) | {"masks": None}
    several |= {"mask_info": None, "labels": ["Opacity"], "answer": "Opacity"}
    made = corrected(several, told("Clear, Effusion"))
    assert (made["labels"], made["uncertain"], made["absent"]) == (["Clear", "Effusion"], [], [])
    text = image_row(kind="open", options=None, answer="a white lung", regions=None, labels=["x"])
    assert corrected(text, told("a black lung"), ())["labels"] == ["x"]
    said = text | {"labels": ["a white lung"]}
    assert corrected(said, told("a black lung"), ())["labels"] == ["a black lung"]


def test_difficulty_of_the_wrong_answer_does_not_go_with_it(
    written: Dataset, tmp_path: Path
) -> None:
    qoqdata.difficulty(written, prior=True)
    qoqdata.relabel(written, "r0", "Effusion", why="a meniscus", author="ana")
    qoqdata.correct(written, out=tmp_path / "new")
    (path,) = (tmp_path / "new" / "difficulty").glob("*.parquet")
    before = read_difficulty(written.root / "difficulty" / path.name)["id"].to_list()
    assert read_difficulty(path)["id"].to_list() == [id_ for id_ in before if id_ != "r0"]


def test_what_people_wrote_is_searched_and_counted(written: Dataset, tmp_path: Path) -> None:
    why = "Patient John Smith had an effusion drained"
    qoqdata.relabel(written, "r0", "Effusion", why=why, author="ana")
    qoqdata.relabel(written, "r1", "Effusion", why="a meniscus", author="ana")
    qoqdata.correct(written, out=tmp_path / "new")
    new = open_dataset(tmp_path / "new")
    found = qoqdata.curate(new).findings
    assert set(found["id"]) == {"r0"} and set(found["column"]) == {"provenance.notes"}
    assert set(streamed(new)) == {"r1", "r2"}
    assert corrected_counts(new) == {"films": 2}
    page = readme(gather_facts(new), None)
    assert "answer a person corrected" in page and "| films | 2 |" in page
    assert "answer a person corrected" not in readme(gather_facts(written), None)


def test_wrong_folders_are_told(written: Dataset, tmp_path: Path, command: Callable) -> None:
    qoqdata.relabel(written, "r0", "Effusion", why="a meniscus", author="ana")
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "file", written.root):
        code, _, err = command("correct", written.root, "--out", out)
        assert code == 2 and f"{out}: is in use" in err and err.count("\n") == 1
    code, out, _ = command("correct", written.root, "--out", tmp_path / "new", "--json")
    assert code == 0 and '"films": 1' in out
