"""What may not leave: gates believe no file that anyone could have edited since the build."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import qoqdata
from qoqdata.atomic import digest
from qoqdata.curation.phi import require_phi_receipt
from qoqdata.dataset import Dataset, open_dataset
from qoqdata.differences import SetDifference
from qoqdata.errors import DatasetError, UsageError
from qoqdata.pipeline.build import build
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.publication import privacy, release
from qoqdata.publication.folder import Folder
from qoqdata.publication.licences import require_terms
from qoqdata.publication.release import next_version, prepare
from qoqdata.suite.examples import SALT
from tests.attacks.hostile_sets import change
from tests.publication.conftest import build_set, raw_of
from tests.publication.test_staging import drop


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sources, of which lc25000 must not leave with its pixels."""
    dataset = build_set(tmp_path_factory.mktemp("gates") / "set", "ham10000", "lc25000")
    qoqdata.curate(dataset)
    return dataset.root


@pytest.fixture
def root(curated: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(curated, tmp_path / "set"))


def published(root: Path, **more: Any) -> Dataset:
    target = Folder(f"file://{root.parent}/releases")
    return prepare(open_dataset(root), target, salt=SALT, **more).staged


def test_the_gate_is_open_for_what_nobody_touched(root: Path) -> None:
    staged = published(root)
    assert staged.manifest.release is not None
    assert staged.manifest.release.recipes == ("lc25000",)


def allow(card: dict[str, Any]) -> None:
    card["redistribution"] = "allowed"


def test_an_edited_card_opens_nothing(root: Path) -> None:
    change(root / "cards" / "lc25000.json", allow)
    with pytest.raises(DatasetError, match=r"lc25000.json.*differs from its digest.*Fix: build"):
        published(root)


def test_nor_does_one_whose_digest_was_edited_too(root: Path) -> None:
    card = root / "cards" / "lc25000.json"
    change(card, allow)

    def confirm(own: dict[str, Any]) -> None:
        own["sources"]["lc25000"]["card_digest"] = digest(json.loads(card.read_text()))
        own["sources"]["lc25000"]["redistribution"] = "allowed"

    change(root / "manifest.json", confirm)
    with pytest.raises(DatasetError, match="records differ on redistribution"):
        published(root)


def test_the_installed_card_has_the_last_word(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a build by a changed copy of the source: its records say what its card said."""
    from qoqdata.sources import catalogue

    source = catalogue.find_source("ham10000")
    stricter = source.card.model_copy(update={"redistribution": "forbidden"})
    dataset = open_dataset(root)
    require_terms(dataset)
    monkeypatch.setattr(
        catalogue, "find_source", lambda slug: type(source)(**vars(source) | {"card": stricter})
    )
    with pytest.raises(DatasetError, match="'forbidden' on the card of the installed source"):
        require_terms(dataset)

    def gone(slug: str) -> None:
        raise UsageError("there is no such source")

    monkeypatch.setattr(catalogue, "find_source", gone)
    with pytest.raises(DatasetError, match=r"is not installed.*Fix: install"):
        require_terms(dataset)


def test_a_private_source_is_held_against_its_mapping_alone(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else has its card: the converter of a mapping says nothing of terms. A source that is
    installed and calls itself private is held against its card as any other."""
    cards = {
        slug: card.model_copy(update={"access": "own"})
        for slug, card in open_dataset(root).cards.items()
    }
    monkeypatch.setattr(Dataset, "cards", cards)
    dataset = open_dataset(root)
    with pytest.raises(DatasetError, match=r"access is 'own', and '.*' on the card of the inst"):
        require_terms(dataset)
    entries = {
        slug: entry.model_copy(update={"converter": "of_a_mapping"})
        for slug, entry in dataset.manifest.sources.items()
    }
    manifest = dataset.manifest.model_copy(update={"sources": entries})
    require_terms(replace(dataset, manifest=manifest))


@pytest.mark.parametrize(
    ("kinds", "another_schema", "wanted"),
    [
        ([], False, "1.2.4"),
        (["added"], False, "1.3.0"),
        (["relabelled"], False, "1.3.0"),
        (["changed"], False, "1.3.0"),
        (["moved"], False, "2.0.0"),
        (["removed"], False, "2.0.0"),
        (["added", "moved"], False, "2.0.0"),
        ([], True, "2.0.0"),
    ],
)
def test_a_version_tells_whether_figures_still_compare(
    kinds: list[str], another_schema: bool, wanted: str
) -> None:
    records = pl.DataFrame({"kind": kinds}, schema={"kind": pl.String})
    assert next_version("1.2.3", SetDifference(records, another_schema)) == wanted


def test_words_that_identify_nobody_are_letters_alone(root: Path) -> None:
    """What stands in a card's options may be the key of nobody; a number there still may."""
    words = privacy._vocabulary(open_dataset(root).cards, ["Carcinoma, 12345 of B2"])
    assert {"carcinoma", "melanoma"} <= words
    assert not words & {"12345", "b2", "", "carcinoma,"}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("hf://datasets/lab/set", "hf://datasets/lab/set"),
        ("s3://bucket/set", "s3://bucket/set"),
        ("file:///home/somebody/set", None),
        ("/home/somebody/set", None),
        ("releases", None),
    ],
)
def test_no_release_tells_a_folder_of_this_machine(url: str, shown: str | None) -> None:
    assert release._public(url) == shown


def lose(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    pl.read_parquet(path).clear().write_parquet(path)


def keep_all(path: Path) -> None:
    pl.read_parquet(path).with_columns(keep=pl.lit(True)).write_parquet(path)


@pytest.mark.parametrize("how", [lose, empty, keep_all])
def test_without_the_verdicts_nothing_leaves(root: Path, how: Callable[[Path], None]) -> None:
    dataset = open_dataset(root)
    drop(dataset, [dataset.metadata()["id"][0]])
    qoqdata.curate(root)
    assert published(root).metadata().height == dataset.metadata().height - 1 - 30
    how(dataset.layout.verdicts)
    with pytest.raises(DatasetError, match=r"verdicts.parquet: are not .*Fix: qoqdata curate"):
        published(root)
    with pytest.raises(DatasetError, match="are not those that curation left"):
        require_phi_receipt(dataset)


def private(tmp_path: Path) -> Path:
    mapping = {
        "slug": "mine",
        "name": "My films",
        "domain": "dermoscopy",
        "question": "What is it?",
        "options": ["a", "b"],
        "redistribution": "allowed",
        "table": {"file": "labels.csv", "key": "file", "labels": "label"},
    }
    raw = tmp_path / "raw"
    raw.mkdir()
    pictures = sorted(raw_of("ham10000").rglob("*.jpg"))
    for name, picture in zip("ab", pictures, strict=False):
        shutil.copy(picture, raw / f"{name}.jpg")
    (raw / "labels.csv").write_text("file,label\na.jpg,a\nb.jpg,b\n")
    root = tmp_path / "mine"
    request = SourceRequest(source="image_table", raw=raw, mapping=mapping)
    build(BuildConfig(sources=(request,)), root, BuildSetting(SALT, workers=0))
    qoqdata.curate(root)
    return root


def test_private_pixels_leave_after_a_review_only(tmp_path: Path) -> None:
    root = private(tmp_path)
    with pytest.raises(DatasetError, match=r"text burned into the images of mine.*--pixels-rev"):
        published(root)
    with pytest.raises(UsageError, match="has no source others"):
        published(root, reviewed=["others"])
    assert published(root, reviewed=["mine"]).metadata().height == 2


def test_every_way_of_reading_gives_the_same_rows(root: Path, tmp_path: Path) -> None:
    from datasets import load_dataset

    dataset = open_dataset(root)
    frame = dataset.metadata()
    lost = frame["id"][3]
    drop(dataset, [lost])
    wanted: dict[str, list[str]] = {}
    for id_, split in frame.select("id", "split").filter(pl.col("id") != lost).iter_rows():
        wanted.setdefault(split, []).append(id_)
    in_order = [id_ for id_ in frame["id"] if id_ != lost]

    assert len(dataset) == len(in_order)
    assert [row["id"] for row in dataset] == in_order
    assert dataset.records.select("id").collect()["id"].to_list() == in_order
    train = dataset.records.filter(pl.col("split") == "train").select("id").collect()
    assert train["id"].to_list() == wanted["train"]
    assert {split: rows["id"] for split, rows in dataset.to_hf().items()} == wanted
    qoqdata.export(root, to="records", out=tmp_path / "copy")
    copy = load_dataset(str(tmp_path / "copy"), cache_dir=str(tmp_path / "hf"))
    assert {split: list(rows["id"]) for split, rows in copy.items()} == wanted
    # A plain client on the working set gets the right split, and is told of the dropped record.
    plain = load_dataset(str(root), cache_dir=str(tmp_path / "hf"))
    with_lost = dict(frame.group_by("split").agg("id").iter_rows())
    assert {split: set(rows["id"]) for split, rows in plain.items()} == {
        split: set(ids) for split, ids in with_lost.items()
    }
    assert "qoqdata export set --to records" in (root / "README.md").read_text()
