"""Options and label maps in files beside a card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from qoqdata.contract.card import Card
from qoqdata.contract.json_schema import all_schemas
from qoqdata.errors import CardError, UsageError
from qoqdata.sources import catalogue
from qoqdata.sources.card import card_digest, load_card, parse_card
from tests.contract.test_card import CONTENT

CODES = "code,name,note\n10, Sinus rhythm ,a\n11,Atrial fibrillation,\n12,Sinus rhythm,b\n"


def write(folder: Path, labels: Any = None, task_labels: Any = None, **task: Any) -> Path:
    """A card with one task, beside the file codes.csv."""
    (folder / "codes.csv").write_text(CODES)
    own = {
        "kind": "multi",
        "question": "Which?",
        "options": {"file": "codes.csv", "column": "name"},
    }
    task = own | task | ({"labels": task_labels} if task_labels else {})
    content = CONTENT | {"tasks": {"rhythm": task}, "labels": labels or {}}
    (folder / "card.yaml").write_text(yaml.safe_dump(content))
    return folder / "card.yaml"


MAP = {"file": "codes.csv", "key": "code", "value": "name"}
BOTH = {"10": "Sinus rhythm", "11": "Atrial fibrillation", "12": "Sinus rhythm"}


def test_a_table_beside_the_card(tmp_path: Path) -> None:
    card = load_card(write(tmp_path, labels=MAP, task_labels=MAP))
    assert card.tasks["rhythm"].options == ("Sinus rhythm", "Atrial fibrillation")
    assert card.labels == card.tasks["rhythm"].labels == BOTH
    # The card as built needs no file beside it.
    built = json.loads(json.dumps(card.model_dump(mode="json")))
    assert parse_card(built, where="x") == card and "codes.csv" not in json.dumps(built)


def test_yaml_beside_the_card(tmp_path: Path) -> None:
    (tmp_path / "names.yaml").write_text("[Sinus rhythm, Atrial fibrillation]\n")
    (tmp_path / "codes.yml").write_text('{"10": Sinus rhythm, "11": Atrial fibrillation}\n')
    card = load_card(write(tmp_path, options={"file": "names.yaml"}, labels={"file": "codes.yml"}))
    assert card.tasks["rhythm"].options == ("Sinus rhythm", "Atrial fibrillation")
    assert card.labels == {"10": "Sinus rhythm", "11": "Atrial fibrillation"}


def test_a_raw_label_may_be_called_file(tmp_path: Path) -> None:
    labels = {"file": "Sinus rhythm", "key": "Atrial fibrillation"}
    assert load_card(write(tmp_path, labels=labels)).labels == labels


def test_the_digest_counts_what_the_card_names(tmp_path: Path) -> None:
    card = write(tmp_path, labels=MAP)
    first = card_digest(card)
    (tmp_path / "other.csv").write_text("a\n")
    assert card_digest(card) == first
    (tmp_path / "codes.csv").write_text(CODES + "13,Sinus rhythm,\n")
    assert card_digest(card) != first


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "no such file": ({"file": "none.csv", "column": "name"}, "no such file"),
    "no such column": ({"file": "codes.csv", "column": "label"}, "lacks the column 'label'"),
    "column not named": ({"file": "codes.csv"}, "does not say which column"),
    "key in place of a column": ({"file": "codes.csv", "key": "code"}, "options, key"),
    "above the folder": ({"file": "../codes.csv", "column": "name"}, "inside the card's folder"),
    "absolute": ({"file": "/etc/codes.csv", "column": "name"}, "inside the card's folder"),
    "empty cell": ({"file": "codes.csv", "column": "note"}, "row 3: a cell is empty"),
    "column of YAML": ({"file": "codes.yaml", "column": "name"}, "a YAML file has no columns"),
    "folder": ({"file": "folder.csv", "column": "name"}, "is no file"),
    "not CSV": ({"file": "codes.txt", "column": "name"}, "options"),
    "link that leaves": ({"file": "link.csv", "column": "name"}, "inside the card's folder"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_files_at_fault(tmp_path: Path, name: str) -> None:
    options, said = FAULTS[name]
    folder = tmp_path / "films"
    (folder / "folder.csv").mkdir(parents=True)
    (folder / "codes.yaml").write_text("[a]")
    for other in (tmp_path / "codes.csv", folder / "codes.txt"):
        other.write_text(CODES)
    (folder / "link.csv").symlink_to(tmp_path / "codes.csv")
    card = write(folder, options=options)
    with pytest.raises(CardError, match=said) as raised:
        load_card(card)
    assert str(folder) in str(raised.value)


def test_a_table_of_the_domain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`../codes.csv` lies in the domain's folder, and a change of it is one of the card."""
    domain = tmp_path / "lab_domains" / "ecg"
    folder = domain / "films"
    folder.mkdir(parents=True)
    (domain / "codes.csv").write_text(CODES)
    card = write(folder, options={"file": "../codes.csv", "column": "name"})
    (folder / "codes.csv").unlink()
    found = load_card(card, domain)
    assert found.tasks["rhythm"].options == ("Sinus rhythm", "Atrial fibrillation")
    before = card_digest(card)
    (domain / "codes.csv").write_text(CODES + "13,Flutter,\n")
    assert card_digest(card) != before
    (folder / "source.py").write_text("def plan(job): ...\ndef convert(unit, job): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    source = catalogue.load_source(folder, "lab_domains.ecg.films.source")
    assert (source.card.tasks["rhythm"].options or ())[2:] == ("Flutter",)
    assert source.card_digest == card_digest(card)


@pytest.mark.parametrize(
    "name", ["../../codes.csv", "../../ecg/../codes.csv", "../other/../../codes.csv", "../link.csv"]
)
def test_a_table_above_the_domain(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "ecg" / "films"
    (tmp_path / "ecg" / "other").mkdir(parents=True)
    folder.mkdir()
    (tmp_path / "codes.csv").write_text(CODES)
    (tmp_path / "ecg" / "link.csv").symlink_to(tmp_path / "codes.csv")
    card = write(folder, options={"file": name, "column": "name"})
    with pytest.raises(CardError, match="inside the card's folder or its domain's"):
        load_card(card, tmp_path / "ecg")


def test_a_code_has_one_spelling(tmp_path: Path) -> None:
    card = write(tmp_path)
    text = card.read_text()
    card.write_text(f"{text}mask_codes: {{1: mass, 2: calcification}}\n")
    assert load_card(card).mask_codes == {1: "mass", 2: "calcification"}
    card.write_text(f"{text}mask_codes: {{1: mass, 01: calcification}}\n")
    with pytest.raises(CardError, match="'01' is no whole number"):
        load_card(card)


def test_a_raw_label_with_two_options(tmp_path: Path) -> None:
    card = write(tmp_path, labels=MAP)
    (tmp_path / "codes.csv").write_text(CODES + "10,Atrial fibrillation,\n")
    with pytest.raises(CardError, match="maps '10' to 'Sinus rhythm' and to 'Atrial fib"):
        load_card(card)


def test_what_a_file_says_keeps_the_cards_rules(tmp_path: Path) -> None:
    card = write(tmp_path)
    (tmp_path / "codes.csv").write_text('name\n"Left, upper"\nRight\n')
    with pytest.raises(CardError, match="scorer splits"):
        load_card(card)


def test_a_card_as_built_names_no_file() -> None:
    task = {"kind": "multi", "question": "?", "options": {"file": "codes.csv", "column": "name"}}
    with pytest.raises(UsageError, match=r"tasks\.rhythm\.options"):
        parse_card(CONTENT | {"tasks": {"rhythm": task}, "labels": {}}, where="x")


def test_the_published_schema_admits_both() -> None:
    import jsonschema

    schema = all_schemas()["card.v1.json"]
    inline = CONTENT | {"labels": {"0": "Clear"}}
    assert Card.model_validate(inline)
    for options in (["a", "b"], {"file": "codes.csv", "column": "name"}):
        for labels in ({"0": "a"}, MAP):
            task = {"kind": "multi", "question": "?", "options": options, "labels": labels}
            content = inline | {"tasks": {"rhythm": task}, "labels": labels}
            jsonschema.validate(content, schema)
    bad = {"kind": "multi", "question": "?", "options": {"table": "codes.csv"}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(inline | {"tasks": {"rhythm": bad}}, schema)
