"""Questions of every kind about a user's own images, built from a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from PIL import Image

import qoqdata
from qoqdata.errors import UsageError
from qoqdata.pipeline.build import build
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.records.identity import Salt, record_id
from qoqdata.sources import catalogue
from qoqdata.sources.protocol import Job, Refused, Unit
from qoqdata.sources.rawtree import open_raw
from qoqdata.yaml_document import parse_yaml

SALT = Salt(b"s" * 32)
MAPPING: dict[str, Any] = {"slug": "films", "name": "Films", "domain": "ct", "question": "What?"}


def built(folder: Path, table: str, columns: dict[str, Any], **changes: Any) -> Any:
    """The records of a build of two films, a.png and b.png, by item, and the data set."""
    raw = folder / "raw"
    raw.mkdir()
    for name, grey in (("a", 50), ("b", 90)):
        Image.fromarray(np.full((4, 6), grey, np.uint8)).save(raw / f"{name}.png")
        mask = np.zeros((4, 6), np.uint8)
        mask[1:3, 2:5] = 1
        (raw / "masks").mkdir(exist_ok=True)
        Image.fromarray(mask).save(raw / "masks" / f"{name}.png")
    (raw / "t.csv").write_text(table)
    mapping = MAPPING | {"table": {"file": "t.csv", "key": "file"} | columns}
    mapping |= {"mask": "masks/{stem}.png", "mask_codes": {1: "lesion"}} | changes
    request = SourceRequest(source="image_table", raw=raw, mapping=mapping)
    setting = BuildSetting(SALT, workers=0)
    build(BuildConfig(sources=(request,)), folder / "set", setting)
    dataset = qoqdata.open(folder / "set")
    rows = [row for path in dataset.paths for row in pq.read_table(path).to_pylist()]
    return sorted(rows, key=lambda row: (row["item"] or "", row["answer"])), dataset


def test_films_of_one_mask_are_refused(tmp_path: Path) -> None:
    """Each of two folders numbers its films from 1, and the masks lie together."""
    for name in ("one/a", "two/a", "two/c", "masks/a", "masks/c", "one/masks/a", "two/masks/a"):
        path = tmp_path / "raw" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 6), "masks" in name, np.uint8)).save(path)
    table = "file,label\none/a.png,x\ntwo/a.png,x\ntwo/c.png,x\n"
    (tmp_path / "raw" / "t.csv").write_text(table)
    for mask, answered in (
        ("masks/{stem}.png", {"two/c.png"}),
        ("{folder}/masks/{stem}.png", {"one/a.png", "two/a.png", "two/c.png"}),
        # One mask for all, such as a field of view, is meant.
        ("masks/a.png", {"one/a.png", "two/a.png", "two/c.png"}),
    ):
        source = catalogue.find_source("image_table")
        mapping = MAPPING | {"labels": {"x": "X"}, "mask": mask, "mask_codes": {1: "lesion"}}
        mapping |= {"table": {"file": "t.csv", "key": "file", "labels": "label"}}
        assert source.configure is not None
        card, settings = source.configure(source.card, mapping)
        planned = list(source.plan(Job(card, open_raw(tmp_path / "raw"), mapping=settings)))
        assert {item.key for item in planned if isinstance(item, Unit)} == answered
        told = [str(item.error) for item in planned if isinstance(item, Refused)]
        shared = [one for one in told if "masks/a.png is that of 2 images" in one]
        assert len(shared) == 3 - len(answered)


def test_several_questions_about_one_film(tmp_path: Path) -> None:
    table = (
        "file,qid,ask,A,B,key\n"
        'a.png,q1,Which side?,"Left, lower",Right,A\n'
        "a.png,q2,,Mass,Cyst,Cyst\n"
        "b.png,q3,Which side?,Left,Right,B\n"
        "b.png,q4,Which side?,Left,Right,\n"
    )
    columns = {"item": "qid", "question": "ask", "options": ["A", "B"], "answer": "key"}
    (first, second, third), dataset = built(tmp_path, table, columns, kind="choice")
    assert [r["item"] for r in (first, second, third)] == ["q1", "q2", "q3"]
    assert first["question"] == "Which side? Choose exactly one:\nLeft, lower\nRight"
    assert (first["answer"], first["options"]) == ("Left, lower", ["Left, lower", "Right"])
    assert second["question"] == "What? Choose exactly one:\nMass\nCyst"
    assert first["labels"] is second["labels"] is None
    # One study, told apart by the item alone.
    assert first["study"] == second["study"] != third["study"]
    assert first["images"][0]["bytes"] == second["images"][0]["bytes"]
    ids = [record_id("films", "a.png", "diagnosis", item, salt=SALT) for item in ("q1", "q2")]
    assert [first["id"], second["id"]] == ids
    counts = dataset.manifest.sources["films"].counts
    assert (counts.records, counts.converted, counts.filtered) == (3, 2, 1)


def test_without_items_a_repeated_key_is_refused(tmp_path: Path) -> None:
    table = "file,text\na.png,One.\na.png,Two.\nb.png,Three.\n"
    rows, dataset = built(tmp_path, table, {"answer": "text"}, kind="open")
    assert [row["answer"] for row in rows] == ["Three."]
    assert dataset.manifest.sources["films"].counts.quarantined == 2
    frame = pl.read_parquet(dataset.layout.quarantine("films"))
    assert frame["reason"].to_list() == ["duplicate_key"] * 2
    assert "name a column under `item`" in frame["message"][0]


def test_quantities(tmp_path: Path) -> None:
    table = "file,width\na.png,12.50\nb.png,3\n"
    forms = ["How wide?", "What is the width?"]
    rows, _ = built(
        tmp_path,
        table,
        {"answer": "width"},
        kind="number",
        number={"unit": "mm", "tolerance": 2},
        forms=forms,
    )
    assert [row["answer"] for row in rows] == ["12.5 mm", "3 mm"]
    assert rows[0]["number"] == {"value": 12.5, "unit": "mm", "tolerance": 2.0}
    assert rows[0]["options"] is rows[0]["labels"] is None
    for row in rows:
        wording = ["What?", *forms][int(row["id"][:16], 16) % 3]
        assert row["question"] == f"{wording} Answer with a number in mm."


def test_grades(tmp_path: Path) -> None:
    table = "file,grade\na.png,2\nb.png,0\n"
    labels = {"0": "Mild", "1": "Moderate", "2": "Severe"}
    rows, _ = built(
        tmp_path, table, {"labels": "grade"}, kind="number", labels=labels, number={"tolerance": 1}
    )
    assert [row["answer"] for row in rows] == ["Mild", "Severe"]
    assert rows[1]["number"] == {"value": 2.0, "unit": None, "tolerance": 1.0}
    assert rows[1]["options"] == ["Mild", "Moderate", "Severe"]


def test_boxes(tmp_path: Path) -> None:
    rows, _ = built(tmp_path, "file\na.png\nb.png\n", {}, kind="boxes", question="Where is it?")
    assert [(row["answer"], row["question"]) for row in rows] == [("lesion", "Where is it?")] * 2
    (region,) = rows[0]["regions"]
    edges = [region[name] for name in ("x_min", "y_min", "x_max", "y_max")]
    assert edges == [2.0, 1.0, 5.0, 3.0] and region["role"] == "target"


def masked(folder: Path, mask: Image.Image, name: str, **changes: Any) -> tuple[list[Any], Any]:
    """Records of two films of 64 x 64 with the same mask, and their quarantine's messages."""
    raw = folder / "raw"
    (raw / "masks").mkdir(parents=True, exist_ok=True)
    for film in ("a", "b"):
        Image.fromarray(np.full((64, 64), 90, np.uint8)).save(raw / f"{film}.png")
        mask.save(raw / "masks" / f"{film}{name}", **({"quality": 90} if name == ".jpg" else {}))
    (raw / "t.csv").write_text("file\na.png\nb.png\n")
    mapping = MAPPING | {"table": {"file": "t.csv", "key": "file"}, "kind": "boxes"}
    mapping |= {"mask": "masks/{stem}" + name, "mask_codes": {255: "lesion"}} | changes
    request = SourceRequest(source="image_table", raw=raw, mapping=mapping)
    out = folder / f"set{len(list(folder.iterdir()))}"
    build(BuildConfig(sources=(request,)), out, BuildSetting(SALT, workers=0))
    dataset = qoqdata.open(out)
    rows = [row for path in dataset.paths for row in pq.read_table(path).to_pylist()]
    quarantine = dataset.layout.quarantine("films")
    left_out = pl.read_parquet(quarantine)["message"].to_list() if quarantine.exists() else []
    return rows, left_out


def rectangle(level: int = 255) -> np.ndarray:
    """Columns 10 to 49, rows 20 to 39."""
    mask = np.zeros((64, 64), np.uint8)
    mask[20:40, 10:50] = level
    return mask


def edges(rows: list[Any]) -> list[list[float]]:
    names = ("x_min", "y_min", "x_max", "y_max")
    return [[region[name] for name in names] for row in rows for region in row["regions"]]


def test_jpeg_masks_whose_levels_leave_no_doubt(tmp_path: Path) -> None:
    rows, left_out = masked(tmp_path, Image.fromarray(rectangle()).convert("RGB"), ".jpg")
    assert edges(rows) == [[10, 20, 50, 40]] * 2 and not left_out
    assert (
        "mask: binarised at 128, 0 of 4,096 pixels between 64 and 191"
        in (rows[0]["provenance"]["notes"])
    )


def test_a_refused_mask_names_the_field_that_mends_it(tmp_path: Path) -> None:
    """Soft edges a pixel wide around columns 10 to 49: at 128 the inner half is the structure."""
    drawn = rectangle()
    drawn[19:41, 9] = drawn[19:41, 50] = drawn[19, 9:51] = drawn[40, 9:51] = 127
    for name in (".png", ".jpg"):
        folder = tmp_path / name[1:]
        rows, left_out = masked(folder, Image.fromarray(drawn), name)
        assert not rows and len(left_out) == 2
        assert all("set `binarise: true`" in message for message in left_out)
    rows, left_out = masked(tmp_path / "png", Image.fromarray(drawn), ".png", binarise=True)
    assert edges(rows) == [[10, 20, 50, 40]] * 2 and not left_out
    rows, left_out = masked(tmp_path / "png", Image.fromarray(drawn), ".png", binarise=127)
    assert edges(rows) == [[9, 19, 51, 41]] * 2 and not left_out
    rows, left_out = masked(tmp_path / "jpg", Image.fromarray(drawn), ".jpg", binarise=64)
    assert edges(rows) == [[9, 19, 51, 41]] * 2 and not left_out


def test_painted_masks(tmp_path: Path) -> None:
    colours = np.zeros((64, 64, 3), np.uint8)
    colours[rectangle() > 0] = (0, 128, 0)
    image = Image.fromarray(colours)
    rows, left_out = masked(tmp_path, image, ".png")
    assert not rows and all("mask_colours:" in message for message in left_out)
    rows, left_out = masked(tmp_path, image, ".png", mask_colours={"#000000": 0, "#008000": 255})
    assert edges(rows) == [[10, 20, 50, 40]] * 2 and not left_out


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"binarise": True, "mask_codes": {1: "a", 2: "b"}}, "one code under mask_codes, not 2"),
        ({"binarise": 300}, "binarise"),
        ({"binarise": True, "mask_colours": {"#000000": 0}}, "not both"),
        ({"mask_colours": {"#00000": 0}}, "mask_colours"),
        ({"mask_colours": {"#ff0000": 3}}, "code 3, which mask_codes does not name"),
    ],
)
def test_settings_of_masks_that_contradict(changes: dict[str, Any], told: str) -> None:
    source = catalogue.find_source("image_table")
    assert source.configure is not None
    own = {"kind": "boxes", "mask": "m/{stem}.png", "mask_codes": {1: "lesion"}}
    own |= {"table": {"file": "t.csv", "key": "file"}}
    with pytest.raises(UsageError, match=told):
        source.configure(source.card, MAPPING | own | changes)


def test_denied_labels(tmp_path: Path) -> None:
    table = "file,mass,node,cyst\na.png,1,0,\nb.png,-1,1,0\n"
    labels = {"mass": "Mass", "node": "Node", "cyst": "Cyst"}
    rows, _ = built(tmp_path, table, {"labels": [*labels]}, kind="multi", labels=labels)
    states = [(row["labels"], row["uncertain"], row["absent"]) for row in rows]
    assert states == [(["Mass"], [], ["Node"]), (["Node"], ["Mass"], ["Cyst"])]


def documented() -> list[dict[str, Any]]:
    """The kinds that the example of `qoqdata sources image_table` shows as comments."""
    folder = catalogue.find_source("image_table").folder
    text = (folder / "example" / "mapping.yaml").read_text()
    comments = text[text.index("# Labels may") :].splitlines()
    blocks: list[list[str]] = [[]]
    for line in comments:
        if line.startswith("#   "):
            blocks[-1].append(line.removeprefix("#   "))
        elif blocks[-1]:
            blocks.append([])
    return [parse_yaml("\n".join(block), where="block") for block in blocks if block]


def test_every_kind_is_documented() -> None:
    kinds = {one["kind"] for one in documented() if "kind" in one}
    assert kinds == {"multi", "number", "choice", "open", "boxes"}


@pytest.mark.parametrize("number", range(len(documented())))
def test_what_is_documented_is_a_mapping(number: int) -> None:
    source = catalogue.find_source("image_table")
    assert source.configure is not None
    own = documented()[number]
    if "kind" not in own:
        own["options"] = ["Clear", "Opacity"]
    card, _ = source.configure(source.card, MAPPING | own)
    task = card.tasks["diagnosis"]
    assert task.kind == own.get("kind", "single") and task.unit == own.get("number", {}).get("unit")
