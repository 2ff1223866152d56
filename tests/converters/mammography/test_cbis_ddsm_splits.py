"""CBIS-DDSM: the four tables, and which split a film is in."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from qoqdata.errors import BadTable
from qoqdata.pipeline.planning import make_plan
from qoqdata.simulation import write_csv
from qoqdata.sources.protocol import Refused, Unit
from tests.converters.mammography.cbis_tree import SIMULATE, SOURCE, Tree, job, planned


def test_a_lost_table_refuses_the_source(tree: Tree) -> None:
    """Films of two tables would keep the labels of one."""
    of = tree.write()
    (tree.root / "calc_case_description_test_set.csv").unlink()
    with pytest.raises(BadTable, match="fetch all four"):
        list(SOURCE.plan(of))


@pytest.mark.parametrize("table", ["mass_train", "calc_train"])
def test_a_table_cut_after_any_row_changes_no_survivor(tmp_path: Path, table: str) -> None:
    """Lesions are lost with their film, never from it."""
    SIMULATE.simulate(tmp_path, 16, seed=3)
    whole = {item.key: item for item in SOURCE.plan(job(tmp_path)) if isinstance(item, Unit)}
    kind, split = table.split("_")
    path = tmp_path / f"{kind}_case_description_{split}_set.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for count in range(1, len(rows)):
        write_csv(path, rows[:count])
        items = list(SOURCE.plan(job(tmp_path)))
        survivors = {item.key: item for item in items if isinstance(item, Unit)}
        assert {item.key for item in items} == set(whole)
        assert 0 < len(survivors) < len(whole)
        assert all(whole[key] == item for key, item in survivors.items())


def test_the_table_decides_the_split(tree: Tree) -> None:
    of = tree.write()
    splits = {one.key: one.split for one in make_plan(SOURCE, of).units}
    assert list(map(splits.get, (f"P_0090{n}_LEFT_CC" for n in range(4)))) == ["train", "test"] * 2


def test_patients_in_train_and_test_go_to_test_whole(tree: Tree) -> None:
    """Of two films, one in both tables: neither trains."""
    for name in (
        "Mass-Training_P_00001_LEFT_CC",
        "Mass-Training_P_00002_LEFT_CC",
        "Calc-Test_P_00002_LEFT_CC",
        "Mass-Training_P_00002_LEFT_MLO",
    ):
        tree.film(name)
        tree.lesion(f"{name}_1")
    of = tree.write()
    splits = {one.key: (one.split, one.group) for one in make_plan(SOURCE, of).units}
    assert splits["P_00001_LEFT_CC"] == ("train", "P_00001")
    assert splits["P_00002_LEFT_CC"] == splits["P_00002_LEFT_MLO"] == ("test", "P_00002")
    strict = of.card.model_copy(
        update={"splits": of.card.splits.model_copy(update={"conflict": "refuse"})}
    )
    item = planned(replace(of, card=strict), "P_00002_LEFT_CC")
    assert isinstance(item, Refused) and item.error.code == "torn_group"


@pytest.mark.parametrize("loss", ["row", "files"])
def test_a_lost_film_moves_no_other_of_its_patient(tree: Tree, loss: str) -> None:
    """The patient is one of the test, whatever is lost of the film that says so."""
    for name in ("Mass-Training_P_00002_LEFT_MLO", "Calc-Test_P_00002_LEFT_CC"):
        tree.film(name)
        tree.lesion(f"{name}_1")
    if loss == "row":
        tree.rows["calc_test"].pop()
    of = tree.write()
    if loss == "files":
        for path in (tree.root / "CBIS-DDSM").glob("Calc-Test_P_00002*/*/*/*.dcm"):
            path.unlink()
    plan = make_plan(SOURCE, job(of.raw.root))
    assert {one.key: one.split for one in plan.units}["P_00002_LEFT_MLO"] == "test"
    assert [row["unit"] for row in plan.left_out] == ["P_00002_LEFT_CC"]
