"""LC25000: augmented siblings stay together, whatever their names and folders say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qoqdata.errors import BadTable
from qoqdata.simulation import write_csv, write_jpeg
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Job, Planned, Refused, Unit
from qoqdata.sources.rawtree import open_raw

SOURCE = find_source("lc25000")
GROUPS = "lc25000_image_groups.csv"
#: Stem, folder and group: siblings are far apart in number, neighbours are of two originals.
TILES = (
    ("colonca2", "colon_aca", 10),
    ("colonca3", "colon_aca", 11),
    ("colonca4809", "colon_aca", 10),
    ("colonn2", "colon_n", 300),
    ("lungaca2", "lung_aca", 743),
    ("lungn2", "lung_n", 800),
    ("lungscc2", "lung_scc", 1000),
)


def _job(raw: Path, *, listed: bool = True, questions: str = "all") -> Job:
    for stem, folder, _ in TILES:
        write_jpeg(raw / folder / f"{stem}.jpeg", np.full((16, 16, 3), 150, np.uint8))
    if listed:
        rows = [{"stem": s, "label": folder, "group_id": group} for s, folder, group in TILES]
        write_csv(raw / GROUPS, rows)
    return Job(SOURCE.card, open_raw(raw), options={"questions": questions})


def _planned(job: Job) -> dict[str, Planned]:
    return {one.key: one for one in SOURCE.plan(job)}


def test_the_list_and_not_the_number_says_who_are_siblings(tmp_path: Path) -> None:
    units = _planned(_job(tmp_path))
    assert {key: getattr(unit, "group", None) for key, unit in units.items()} == {
        stem: str(group) for stem, _, group in TILES
    }
    assert {getattr(unit, "split", "refused") for unit in units.values()} == {None}


def test_without_the_list_no_tile_leaves_train(tmp_path: Path) -> None:
    units = _planned(_job(tmp_path, listed=False)).values()
    assert {(unit.group, unit.split) for unit in units if isinstance(unit, Unit)} == {
        ("no group list", "train")
    }
    assert len(units) == len(TILES)


@pytest.mark.parametrize(
    ("stem", "answers"),
    [
        ("colonca2", ["Colon adenocarcinoma", "Malignant", "Colon"]),
        ("colonn2", ["Normal colon tissue", "Benign", "Colon"]),
        ("lungaca2", ["Lung adenocarcinoma", "Malignant", "Lung"]),
        ("lungn2", ["Normal lung tissue", "Benign", "Lung"]),
        ("lungscc2", ["Lung squamous cell carcinoma", "Malignant", "Lung"]),
    ],
)
def test_a_tile_is_asked_for_tissue_tumour_and_organ(
    tmp_path: Path, stem: str, answers: list[str]
) -> None:
    job = _job(tmp_path)
    unit = _planned(job)[stem]
    assert isinstance(unit, Unit)
    assert [one.answer for one in SOURCE.convert(unit, job)] == answers
    (only,) = SOURCE.convert(unit, _job(tmp_path, questions="diagnosis"))
    assert only.task == "diagnosis"


def test_a_tile_in_another_folder_than_the_list_says_is_refused(tmp_path: Path) -> None:
    job = _job(tmp_path)
    (tmp_path / "lung_scc/lungscc2.jpeg").rename(tmp_path / "lung_aca/lungscc2.jpeg")
    refused = _planned(job)["lungscc2"]
    assert isinstance(refused, Refused) and isinstance(refused.error, BadTable)
