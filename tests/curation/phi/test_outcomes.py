"""What becomes of a finding: held back, dropped, accepted or open, and the receipt."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import yaml

from qoqdata.curation.phi import require_phi_receipt
from qoqdata.curation.phi.rules import RULES_VERSION
from qoqdata.curation.recipe import CurationRecipe, load_recipe
from qoqdata.curation.verdicts import curate
from qoqdata.errors import DatasetError, UsageError
from tests.cli.conftest import qoqdata  # noqa: F401
from tests.curation.phi.scenes import texts


def test_findings_hold_no_text(tmp_path: Path) -> None:
    dataset = texts(tmp_path, "MRN: 00123456 of Dr. Miller")
    curate(dataset, load_recipe(None))
    for path in (dataset.layout.phi_findings, dataset.layout.phi_receipt, dataset.layout.verdicts):
        assert b"00123456" not in path.read_bytes() and b"Miller" not in path.read_bytes()


def test_records_with_findings_are_held_back_and_not_lost(tmp_path: Path) -> None:
    dataset = texts(tmp_path, "clear lungs", "MRN: 00123456")
    result = curate(dataset, load_recipe(None))
    assert dataset.kept()["id"].to_list() == ["r0"]
    assert [record["id"] for record in dataset] == ["r0"]
    assert result.verdicts.to_dicts() == [
        {
            "id": "r1",
            "keep": False,
            "rule": "phi_held",
            "reason": "record_number in context",
            "evidence": None,
        }
    ]
    receipt = require_phi_receipt(dataset)
    assert (receipt.held, receipt.dropped, receipt.open) == (1, 0, 0)
    assert dataset.files.records().select("id").collect()["id"].to_list() == ["r0", "r1"]


def test_held_records_come_back_when_they_are_accepted(tmp_path: Path) -> None:
    dataset = texts(tmp_path, "clear lungs", "MRN: 00123456")
    curate(dataset, load_recipe(None))
    accept = {"id": "r1", "rule": "record_number", "why": "made up"}
    result = curate(dataset, CurationRecipe.model_validate({"phi": {"accept": [accept]}}))
    assert (result.phi.held, result.phi.accepted) == (0, 1)
    assert dataset.kept()["id"].to_list() == ["r0", "r1"]


def test_held_records_are_dropped_one_by_one(tmp_path: Path) -> None:
    dataset = texts(tmp_path, "MRN: 00123456", "MRN: 00123457")
    drop = {"id": "r1", "why": "names the patient"}
    result = curate(dataset, CurationRecipe.model_validate({"phi": {"drop": [drop]}}))
    assert result.verdicts.select("id", "rule").rows() == [("r0", "phi_held"), ("r1", "phi")]
    assert (result.phi.held, result.phi.dropped) == (1, 1)


def test_a_record_is_dropped_or_held_once(tmp_path: Path) -> None:
    dataset = texts(tmp_path, "MRN: 00123456, seen on 2019-03-14")
    decided = {"drop": [{"rule": "date", "why": "x"}], "accept": [{"rule": "date", "why": "y"}]}
    result = curate(dataset, CurationRecipe.model_validate({"phi": decided}))
    assert result.verdicts.select("id", "rule", "reason").rows() == [
        ("r0", "phi", "date, record_number in context")
    ]
    assert result.findings.select("rule", "outcome").rows() == [
        ("record_number", "held"),
        ("date", "dropped"),
    ]


def test_records_are_dropped_where_the_recipe_says_so(tmp_path: Path) -> None:
    dataset = texts(tmp_path, "MRN: 00123456")
    result = curate(dataset, CurationRecipe.model_validate({"phi": {"on_finding": "drop"}}))
    assert result.verdicts["rule"].to_list() == ["phi"]
    assert require_phi_receipt(dataset).dropped == 1


def test_the_receipt_counts_by_rule_and_language(tmp_path: Path) -> None:
    dataset = texts(
        tmp_path, "the MRN: 00123456 of the patient", "vom 17. Januar 2024 bei der Frau"
    )
    receipt = curate(dataset, load_recipe(None)).phi
    assert receipt.findings == {"date": 1, "record_number": 1}
    assert receipt.languages == {"de": 1, "en": 1}
    assert receipt.recogniser is None


def test_open_findings_stop_publication_and_drop_nothing(tmp_path: Path) -> None:
    dataset = texts(tmp_path, "MRN: 00123456")
    (tmp_path / "recipe.yaml").write_text("phi: {on_finding: open}")
    assert curate(dataset, load_recipe(tmp_path / "recipe.yaml")).phi.open == 1
    assert dataset.kept().height == 1
    with pytest.raises(DatasetError, match="1 PHI findings are open"):
        require_phi_receipt(dataset)


def test_accepted_findings_change_nothing(tmp_path: Path) -> None:
    dataset = texts(tmp_path, "seen on 2019-03-14", "seen on 2019-03-14, MRN: 00123456")
    (tmp_path / "recipe.yaml").write_text(
        "phi: {accept: [{rule: date, source: films, why: shifted by the source}]}"
    )
    result = curate(dataset, load_recipe(tmp_path / "recipe.yaml"))
    assert (result.phi.accepted, result.phi.held, result.phi.open) == (2, 1, 0)
    assert dataset.kept()["id"].to_list() == ["r0"]


def test_verdicts_of_other_rules_stay(tmp_path: Path) -> None:
    dataset = texts(tmp_path, "clear", "clear", "MRN: 00123456")
    columns = {"id": ["r1"], "keep": [False], "rule": ["reviewer"], "reason": ["not a film"]}
    frame = pl.DataFrame(columns).with_columns(evidence=pl.lit("r0"))
    dataset.layout.verdicts.parent.mkdir()
    frame.write_parquet(dataset.layout.verdicts)
    curate(dataset, load_recipe(None))
    curate(dataset, load_recipe(None))
    assert pl.read_parquet(dataset.layout.verdicts).select("id", "rule").rows() == [
        ("r1", "reviewer"),
        ("r2", "phi_held"),
    ]


def test_a_decision_that_matches_nothing_is_told(
    tmp_path: Path,
    qoqdata: Callable,  # noqa: F811
) -> None:
    """A rule that is misspelt, and a record of another set."""
    dataset = texts(tmp_path, "MRN: 00123456")
    accept = [
        {"rule": "record_nmber", "why": "made up"},
        {"id": "r7", "why": "made up"},
        {"rule": "record_number", "why": "made up"},
    ]
    recipe = CurationRecipe.model_validate({"phi": {"accept": accept}})
    unmatched = curate(dataset, recipe).unmatched
    assert [one.model_dump(exclude_none=True) for one in unmatched] == accept[:2]
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({"phi": {"accept": accept}}))
    code, _, err = qoqdata("curate", dataset.root, "--no-burned-in", "--recipe", path)
    assert code == 0 and err.count("matches no finding") == 2 and "record_nmber" in err


def test_a_recipe_at_fault_is_named(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("phi: {on_finding: ignore}")
    with pytest.raises(UsageError, match="on_finding"):
        load_recipe(tmp_path / "recipe.yaml")


def test_a_decision_about_everything_is_refused(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("phi: {accept: [{why: all of it is fine}]}")
    with pytest.raises(UsageError, match="would match every finding"):
        load_recipe(tmp_path / "recipe.yaml")


def test_a_receipt_of_older_rules_asks_for_a_new_scan(tmp_path: Path) -> None:
    dataset = texts(tmp_path, "clear")
    curate(dataset, load_recipe(None))
    path = dataset.layout.phi_receipt
    path.write_text(path.read_text().replace(f'"rules": {RULES_VERSION}', '"rules": 1'))
    with pytest.raises(DatasetError, match="have changed since"):
        require_phi_receipt(dataset)


def test_the_recipes_of_the_docs_are_recipes() -> None:
    text = (Path(__file__).parents[3] / "docs" / "curation.md").read_text(encoding="utf-8")
    snippets = map(yaml.safe_load, re.findall(r"```yaml\n(.*?)```", text, re.DOTALL))
    # What has a size is a target of `qoqdata select`.
    recipes = [CurationRecipe.model_validate(one) for one in snippets if "size" not in one]
    assert [recipe.phi.on_finding for recipe in recipes] == ["hold"] * 3
    assert recipes[2] == CurationRecipe()  # It shows the defaults.
    assert recipes[0].phi.accept[0].source == "ptb_xl" and recipes[1].phi.presidio
