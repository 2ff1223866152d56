"""Sources of the same patients agree on their splits, or the source is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from qoqdata.contract.manifest import Manifest
from qoqdata.dataset import open_dataset
from qoqdata.errors import CardError, UsageError
from qoqdata.pipeline.splits import hashed_split
from qoqdata.records.identity import Salt, keyed
from qoqdata.sources.protocol import Source
from qoqdata.validation import find
from tests.pipeline.conftest import SALT
from tests.pipeline.toys import keys, raw_tree, run, toy

#: Of 60 patients of the hospital the first 40 are in the official list: every fifth is in test.
LISTED = {f"p{n}": "test" if n % 5 == 0 else "train" for n in range(40)}
TABLE = "subject,part\n" + "".join(
    f"{patient},{'TRAIN' if split == 'train' else 'TEST'}\n" * 2
    for patient, split in LISTED.items()
)
SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}


def follower(slug: str, file: str = "official.csv", **splits: Any) -> Source:
    patients = {
        "file": file,
        "key": "subject",
        "split": "part",
        "values": {"TRAIN": "train", "TEST": "test"},
        "source": "films",
    }
    own = {"rule": "official", "patients": patients} | splits
    return toy(slug, keys=keys("hospital"), splits=own)


FILMS, HEARTS = follower("films"), follower("hearts", "list/official.csv")


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Films of patients 0 to 39, with the official list."""
    studies = [(f"film{n}", f"p{n % 40}", "") for n in range(50)]
    return raw_tree(tmp_path / "films", studies, official=TABLE)


@pytest.fixture
def hearts(tmp_path: Path) -> Path:
    """ECGs of patients 20 to 59, without it."""
    return raw_tree(tmp_path / "hearts", [(f"ecg{n}", f"p{n}", "") for n in range(20, 60)])


def splits(root: Path, source: str) -> dict[str, set[str]]:
    """The splits of each patient's records in a source."""
    frame = open_dataset(root).metadata().filter(pl.col("source") == source)
    grouped = frame.group_by("patient").agg(pl.col("split").unique())
    return {patient: set(found) for patient, found in grouped.iter_rows()}


def disagreements(root: Path) -> list[str]:
    one, other = splits(root, "films"), splits(root, "hearts")
    return [patient for patient in one.keys() & other.keys() if one[patient] != other[patient]]


def shards(manifest: Manifest, source: str) -> dict[str, str]:
    return {shard.path: shard.sha256 for shard in manifest.shards if shard.source == source}


def official(patient: str) -> str:
    return LISTED.get(patient) or hashed_split("hospital", patient, SHARES)  # type: ignore[arg-type]


def test_all_patients_agree_with_the_list(films: Path, hearts: Path, tmp_path: Path) -> None:
    manifest = run(tmp_path / "set", (HEARTS, hearts), (FILMS, films))
    assert disagreements(tmp_path / "set") == []
    assert list(find(open_dataset(tmp_path / "set"))) == []
    wanted = {
        keyed("patient", "hospital", f"p{n}", salt=SALT): {official(f"p{n}")} for n in range(60)
    }
    found = splits(tmp_path / "set", "films") | splits(tmp_path / "set", "hearts")
    assert found == wanted
    lists = {entry.patient_splits for entry in manifest.sources.values()}
    assert len(lists) == 1 and len(lists.pop() or "") == 64


def test_without_the_list_they_do_not(films: Path, hearts: Path, tmp_path: Path) -> None:
    """The gate turned round: the same patients, and hearts that hash as they did before."""
    free = toy("hearts", keys=keys("hospital"), splits={"rule": "hash"})
    run(tmp_path / "set", (FILMS, films))
    manifest = run(tmp_path / "set", (free, hearts))
    shared = [f"p{n}" for n in range(20, 40)]
    torn = [one for one in shared if hashed_split("hospital", one, SHARES) != official(one)]  # type: ignore[arg-type]
    assert torn and manifest.sources["hearts"].counts.quarantined == len(torn)
    assert disagreements(tmp_path / "set") == []
    assert list(find(open_dataset(tmp_path / "set"))) == []


def test_the_order_of_building_changes_no_byte(films: Path, hearts: Path, tmp_path: Path) -> None:
    together = run(tmp_path / "a", (FILMS, films), (HEARTS, hearts))
    turned = run(tmp_path / "b", (HEARTS, hearts), (FILMS, films))
    run(tmp_path / "c", (FILMS, films))
    after = run(tmp_path / "c", (HEARTS, hearts))
    run(tmp_path / "d", (HEARTS, hearts), mounts={"list": films})
    mounted = run(tmp_path / "d", (FILMS, films))
    named = run(
        tmp_path / "e", (HEARTS, hearts), patient_splits={"hospital": films / "official.csv"}
    )
    assert together.digest == turned.digest == after.digest == mounted.digest
    assert shards(named, "hearts") == shards(together, "hearts")


def test_nothing_is_guessed(films: Path, hearts: Path, tmp_path: Path) -> None:
    """The source is refused, others go on, and building the list's source repairs it."""
    out = tmp_path / "set"
    plain = (toy("plain"), raw_tree(tmp_path / "plain", [("k", "p", "")]))
    manifest = run(out, (HEARTS, hearts), plain)
    refused = manifest.sources["hearts"].refused
    assert refused is not None and refused.startswith("missing_file: list/official.csv: ")
    assert "build films before it or with it" in refused
    assert "--patient-splits hospital=FILE" in refused
    assert manifest.sources["hearts"].counts.records == 0
    assert manifest.sources["plain"].counts.records == 1
    run(out, (FILMS, films))
    manifest = run(out, (HEARTS, hearts))
    assert manifest.sources["hearts"].refused is None and disagreements(out) == []


def test_hashing_is_possible_when_it_is_said(films: Path, hearts: Path, tmp_path: Path) -> None:
    out: Path = tmp_path / "set"
    said: dict[str, Any] = {"patient_splits": {"hospital": "hash"}}
    manifest = run(out, (HEARTS, hearts), **said)
    assert manifest.sources["hearts"].patient_splits == "hash"
    for n in range(20, 60):
        patient = keyed("patient", "hospital", f"p{n}", salt=SALT)
        assert splits(out, "hearts")[patient] == {hashed_split("hospital", f"p{n}", SHARES)}  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="the official list is there"):
        run(tmp_path / "other", (FILMS, films), (HEARTS, hearts), **said)
    with pytest.raises(UsageError, match="hearts was built with other splits"):
        run(out, (FILMS, films))
    with pytest.raises(UsageError, match="no source of this build needs"):
        run(out, (HEARTS, hearts), patient_splits={"hospitals": "hash"})


def test_another_version_of_the_list(films: Path, hearts: Path, tmp_path: Path) -> None:
    """Who stays as it was would contradict the new list; building both again follows it."""
    out = tmp_path / "set"
    run(out, (FILMS, films), (HEARTS, hearts))
    (films / "official.csv").write_text(TABLE.replace("p30,TEST", "p30,TRAIN"))
    with pytest.raises(UsageError, match="hearts was built with other splits"):
        run(out, (FILMS, films))
    run(out, (FILMS, films), (HEARTS, hearts))
    moved = keyed("patient", "hospital", "p30", salt=SALT)
    assert splits(out, "films")[moved] == splits(out, "hearts")[moved] == {"train"}


def test_the_list_is_kept_by_keyed_hash_only(films: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    run(out, (FILMS, films))
    (kept,) = (out / ".build" / "patient_splits").iterdir()
    text = kept.read_text()
    assert keyed("patient", "hospital", "p7", salt=SALT) in text
    assert '"p7"' not in text and "p7," not in text


def test_a_list_under_another_salt_is_none(films: Path, hearts: Path, tmp_path: Path) -> None:
    other = Salt(b"another salt of thirty-two bytes")
    run(tmp_path / "films-set", (FILMS, films), salt=other)
    left = tmp_path / "films-set" / ".build" / "patient_splits"
    place = tmp_path / "set" / ".build" / "patient_splits"
    place.mkdir(parents=True)
    (place / "hospital.json").write_bytes((left / "hospital.json").read_bytes())
    assert run(tmp_path / "set", (HEARTS, hearts)).sources["hearts"].refused


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (("p3,TRAIN", "p3,VAL"), "'VAL' is no split"),
        (("subject,part", "person,part"), "lacks the column 'subject'"),
    ],
)
def test_a_list_at_fault_refuses_its_namespace(
    films: Path, tmp_path: Path, change: tuple[str, str], what: str
) -> None:
    (films / "official.csv").write_text(TABLE.replace(*change, 1))
    plain = (toy("plain"), raw_tree(tmp_path / "plain", [("k", "p", "")]))
    manifest = run(tmp_path / "set", (FILMS, films), plain)
    assert what in (manifest.sources["films"].refused or "")
    assert manifest.sources["plain"].counts.records == 1


def test_two_lists_that_contradict_each_other(films: Path, hearts: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(TABLE.replace("p30,TEST", "p30,TRAIN"))
    manifest = run(
        tmp_path / "set",
        (FILMS, films),
        (HEARTS, hearts),
        patient_splits={"hospital": tmp_path / "mine.csv"},
    )
    for entry in manifest.sources.values():
        assert entry.refused is not None and "puts 'p30' into" in entry.refused


def test_a_source_that_contradicts_the_list_is_torn(films: Path, tmp_path: Path) -> None:
    raw = raw_tree(tmp_path / "own", [("a", "p0", "train"), ("b", "p1", "train")], official=TABLE)
    manifest = run(tmp_path / "set", (FILMS, raw))
    assert manifest.sources["films"].counts.quarantined == 1
    assert manifest.sources["films"].counts.by_split == {"train": 1}


def test_a_patient_whom_the_list_tears_is_refused_alone(films: Path, tmp_path: Path) -> None:
    (films / "official.csv").write_text(TABLE + "p3,TEST\n")
    manifest = run(tmp_path / "set", (FILMS, films))
    entry = manifest.sources["films"]
    assert entry.refused is None
    # Films 3 and 43 are of patient 3.
    assert (entry.counts.quarantined, entry.counts.converted) == (2, 48)
    # The next build, without the table, reads the same from what the first one left.
    (films / "official.csv").unlink()
    assert run(tmp_path / "set", (FILMS, films)).sources["films"].counts == entry.counts


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"shares": {"train": 0.5, "test": 0.5}}, "splits.shares differs"),
        ({"patients": None}, "splits.patients differs"),
    ],
)
def test_one_rule_in_a_namespace(
    films: Path, hearts: Path, tmp_path: Path, changes: dict[str, Any], what: str
) -> None:
    with pytest.raises(CardError, match=what):
        run(tmp_path / "set", (FILMS, films), (follower("hearts", **changes), hearts))
