"""Images that stand twice in one study are told; questions that show an image again are none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import qoqdata as library
from qoqdata.curation.study_copies import STUDY_COPIES, study_copies
from tests.cli.conftest import qoqdata  # noqa: F401
from tests.curation.test_duplicates import BLANK, same

Row = tuple[int, int, str | None, str | None, int | None]


def views(*rows: Row) -> pl.DataFrame:
    types = (pl.UInt32, pl.Int32, pl.String, pl.String, pl.Int32)
    names = ("record", "place", "view", "laterality", "index")
    return pl.DataFrame(rows, schema=dict(zip(names, types, strict=True)), orient="row")


def found(contents: list[tuple[str, list[int]]], *rows: Row) -> list[tuple[str, int, str, int]]:
    """Of records of (study, contents)."""
    records = [(f"r{n}", study, "view", "PA", own) for n, (study, own) in enumerate(contents)]
    table = study_copies(same(records), views(*rows))
    assert dict(table.schema) == STUDY_COPIES
    return table.select("id", "image", "other", "other_image").rows()


def test_one_image_at_two_places_of_a_record_and_once_a_study() -> None:
    """The second question of the study shows both again."""
    rows: list[Row] = [
        (record, place, view, None, None)
        for record in (0, 1)
        for place, view in enumerate(("frontal", "lateral"))
    ]
    assert found([("s", [3, 3]), ("s", [3, 3])], *rows) == [("r0", 0, "r0", 1)]
    assert found([("s", [3, 4]), ("s", [3, 4])], *rows) == []
    # Views need not be known where a record shows both.
    unknown: list[Row] = [(record, place, None, None, None) for record, place, *_ in rows]
    assert found([("s", [3, 3]), ("s", [3, 3])], *unknown) == [("r0", 0, "r0", 1)]


@pytest.mark.parametrize(
    ("here", "there", "is_told"),
    [
        (("MLO", "left"), ("MLO", "right"), True),
        (("CC", None), ("MLO", None), True),
        (("CC", "left"), ("CC", "left"), False),
        # A question that does not say the view may well show the same one.
        (("CC", "left"), (None, "left"), False),
    ],
)
def test_two_records_of_a_study(
    here: tuple[str | None, str | None], there: tuple[str | None, str | None], is_told: bool
) -> None:
    rows: list[Row] = [(0, 0, *here, None), (1, 0, *there, None)]
    told = [("r0", 0, "r1", 0)] if is_told else []
    assert found([("s", [3]), ("s", [3])], *rows) == told
    assert found([("s", [3]), ("z", [3])], *rows) == []


def test_slices_and_uniform_images_may_be_equal() -> None:
    assert found([("s", [3, 3])], (0, 0, "axial", None, 8), (0, 1, "axial", None, 9)) == []
    assert found([("s", [BLANK, BLANK])], (0, 0, "PA", None, None), (0, 1, "LL", None, None)) == []


def test_a_frontal_film_that_is_stored_as_the_lateral_too(
    tmp_path: Path,
    qoqdata: Callable,  # noqa: F811
) -> None:
    """In a made-up tree of another's layout, once as it is and once with the copy."""
    library.simulate("mimic_cxr", n=12, out=tmp_path / "raw")
    for name in ("sound", "copied"):
        if name == "copied":
            study = next(
                films
                for folder in sorted((tmp_path / "raw").rglob("s*"))
                if folder.is_dir() and len(films := sorted(folder.glob("*.jpg"))) > 1
            )
            study[1].write_bytes(study[0].read_bytes())
        library.build("mimic_cxr", raw=tmp_path / "raw", out=tmp_path / name, workers=0)
    sound = library.curate(tmp_path / "sound", burned_in=False)
    assert not sound.study_copies.height
    code, out, _ = qoqdata("curate", tmp_path / "copied", "--no-burned-in", "--json")
    told = json.loads(out)["study_copies"]
    assert code == 0 and [(row["records"], row["outcome"]) for row in told] == [(1, "reported")]
    written = pl.read_parquet(tmp_path / "copied" / "curation" / "study_copies.parquet")
    assert written.height == 1 and written["id"][0] == written["other"][0]
