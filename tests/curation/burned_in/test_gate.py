"""No pixel leaves that nobody looked at, and a review holds for what was reviewed only."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl
import pytest

import qoqdata
from qoqdata.dataset import Dataset, open_dataset
from qoqdata.errors import DatasetError, UsageError
from qoqdata.publication.folder import Folder
from qoqdata.publication.release import prepare
from qoqdata.suite.examples import SALT
from tests.attacks.hostile_sets import change
from tests.curation.burned_in.films import LINE, films, films_set, three_films, without_ocr
from tests.scenes import scene


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    dataset = films_set(three_films(folder / "raw"), folder / "set")
    with pytest.MonkeyPatch.context() as patch:
        without_ocr(patch)
        qoqdata.curate(dataset)
    return dataset.root


@pytest.fixture
def root(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    without_ocr(monkeypatch)
    return Path(shutil.copytree(built, tmp_path / "set"))


def published(root: Path, **more: Any) -> Dataset:
    target = Folder(f"file://{root.parent}/releases")
    return prepare(open_dataset(root), target, salt=SALT, **more).staged


def test_open_findings_hold_the_pixels_back(root: Path) -> None:
    with pytest.raises(DatasetError, match=r"1 findings .* of mine are open.*burned_in.html"):
        published(root)


def test_a_review_names_its_reviewer_and_lasts(root: Path) -> None:
    assert published(root, reviewed=["mine"], reviewer="A. Reader").metadata().height == 3
    review = json.loads((root / "curation" / "review.json").read_text())["sources"]["mine"]
    receipt = json.loads((root / "curation" / "burned_in.json").read_text())
    assert review["reviewer"] == "A. Reader"
    assert (review["data"], review["findings"]) == (receipt["data"], receipt["findings"])
    staged = published(root)
    names = {path.name for path in staged.root.rglob("*")}
    assert not names & {"review.json", "burned_in.json", "burned_in.parquet", "burned_in.html"}
    assert not any(b"A. Reader" in p.read_bytes() for p in staged.root.rglob("*") if p.is_file())


def remove(name: str) -> Callable[[Path], None]:
    return lambda root: (root / "curation" / name).unlink()


def edit(name: str, key: str, value: Any) -> Callable[[Path], None]:
    def apply(root: Path) -> None:
        def one(content: dict[str, Any]) -> None:
            (content["sources"]["mine"] if name == "review.json" else content)[key] = value

        change(root / "curation" / name, one)

    return apply


def accept_all(root: Path) -> None:
    path = root / "curation" / "burned_in.parquet"
    pl.read_parquet(path).with_columns(outcome=pl.lit("accepted")).write_parquet(path)


def forget_the_source(root: Path) -> None:
    change(root / "curation" / "burned_in.json", lambda receipt: receipt.update(sources={}))


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (remove("review.json"), "are open"),
        (remove("burned_in.json"), "nobody has looked"),
        (remove("burned_in.parquet"), "is not the table of findings"),
        (edit("review.json", "data", "0" * 64), "reviewed mine again"),
        (edit("review.json", "findings", "0" * 64), "reviewed mine again"),
        (edit("review.json", "reviewer", ""), "is no list of reviews"),
        (edit("burned_in.json", "data", "0" * 64), "in other data"),
        (edit("burned_in.json", "rules", 0), "has changed since"),
        (edit("burned_in.json", "findings", "0" * 64), "is not the table of findings"),
        (edit("burned_in.json", "sources", None), "is no receipt"),
        (forget_the_source, "nobody has looked for text burned into the images of mine"),
        (accept_all, "is not the table of findings"),
    ],
)
def test_what_was_changed_since_the_review_shuts_the_gate(
    root: Path, damage: Callable[[Path], None], what: str
) -> None:
    published(root, reviewed=["mine"], reviewer="A. Reader")
    damage(root)
    with pytest.raises(DatasetError, match=what):
        published(root)


def test_a_review_of_other_data_does_not_count(root: Path, tmp_path: Path) -> None:
    published(root, reviewed=["mine"], reviewer="A. Reader")
    raw = films(tmp_path / "raw", one=scene(5, 240), two=scene(6, 240))
    other = films_set(raw, tmp_path / "other")
    qoqdata.curate(other)
    shutil.copy(root / "curation" / "review.json", other.root / "curation")
    with pytest.raises(DatasetError, match="reviewed mine again"):
        published(other.root)


def test_a_private_source_without_findings_needs_a_person_too(tmp_path: Path) -> None:
    raw = films(tmp_path / "raw", one=scene(5, 240), two=scene(6, 240))
    dataset = films_set(raw, tmp_path / "set")
    with pytest.MonkeyPatch.context() as patch:
        without_ocr(patch)
        assert qoqdata.curate(dataset).pixels.receipt.open == 0
    with pytest.raises(DatasetError, match="no person has looked"):
        published(dataset.root)


def test_no_review_without_a_pass(root: Path) -> None:
    remove("burned_in.json")(root)
    with pytest.raises(DatasetError, match=r"nobody has looked.*Fix: qoqdata curate .*--burned-in"):
        published(root, reviewed=["mine"], reviewer="A. Reader")
    assert not (root / "curation" / "review.json").exists()


def test_blanked_boxes_are_black_in_the_release_only(root: Path) -> None:
    qoqdata.curate(root, recipe={"burned_in": {"on_finding": "blank"}})
    staged = published(root, reviewed=["mine"], reviewer="A. Reader")
    assert qoqdata.validate(staged) == []
    before, after = (
        {row["id"]: row for row in open_dataset(folder)} for folder in (root, staged.root)
    )
    findings = pl.read_parquet(root / "curation" / "burned_in.parquet").filter(kind="text")
    (named,) = findings["id"]
    assert set(before) == set(after)
    for id_, row in before.items():
        old, new = row["images"][0]["bytes"], after[id_]["images"][0]["bytes"]
        assert (old == new) == (id_ != named)
    x0, y0, x1, y1 = findings.select("x0", "y0", "x1", "y1").row(0)
    old, new = (
        cv2.imdecode(np.frombuffer(rows[named]["images"][0]["bytes"], np.uint8), cv2.IMREAD_COLOR)
        for rows in (before, after)
    )
    assert new.shape == old.shape
    assert new[y0 + 2 : y1 - 2, x0 + 2 : x1 - 2].max() <= 8
    # No bright stroke of the line is left, and the rest of the image is what it was.
    assert old[LINE[1] : LINE[3], LINE[0] : LINE[2]].max() > 240
    rest = np.abs(new[60:].astype(int) - old[60:])
    assert rest.max() <= 12
    assert "text burned into images: blanked" in after[named]["provenance"]["notes"]


def test_exports_and_streams_blank_what_a_release_blanks(root: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("burned_in: {on_finding: blank}\n")
    qoqdata.curate(root, recipe=recipe)
    release = {row["id"]: row["images"] for row in published(root, reviewed=["mine"])}
    dataset = open_dataset(root)
    before = {row["id"]: row["images"] for row in dataset}
    assert sum(before[id_] != images for id_, images in release.items()) == 1

    blanking = qoqdata.blanking(root)
    qoqdata.export(root, to="records", out=tmp_path / "records", blanking=blanking)
    copied = pl.read_parquet(tmp_path / "records" / "data" / "*.parquet").to_dicts()
    assert {row["id"]: row["images"] for row in copied} == release
    streamed = dataset.stream("train", epochs=1, change=blanking)
    plain = {id_: [image["bytes"] for image in images] for id_, images in release.items()}
    assert {row["id"]: row["images"] for row in streamed} == plain
    (pixels,) = (
        row["images"][0]
        for row in dataset.stream("train", epochs=1, images="array", change=blanking)
        if release[row["id"]] != before[row["id"]]
    )
    x0, y0, x1, y1 = LINE
    assert (pixels[y0 + 4 : y1 - 6, x0 + 6 : x1 - 20] == 0).all()
    qoqdata.export(root, to="climb", out=tmp_path / "climb", blanking=blanking)
    files = [cv2.imread(str(path)) for path in (tmp_path / "climb").rglob("*.png")]
    assert sum(bool((file[y0 + 4 : y1 - 6, x0 + 6 : x1 - 20] == 0).all()) for file in files) == 1
    # As the data set itself keeps them, where nobody asks.
    untouched = {id_: [image["bytes"] for image in images] for id_, images in before.items()}
    assert {row["id"]: row["images"] for row in dataset.stream("train", epochs=1)} == untouched

    with pytest.raises(UsageError, match=r"change: needs the id"):
        dataset.stream("train", columns=["images"], change=blanking)
    dataset.layout.burned_in_receipt.unlink()
    with pytest.raises(DatasetError, match="nobody has looked"):
        qoqdata.blanking(root)
