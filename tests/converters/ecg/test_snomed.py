"""The table of codes against the mapping of the Challenge, and what codes state."""

from __future__ import annotations

import csv
import re
from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest

from qoqdata.concepts import read_concepts
from qoqdata.contract.vocabulary import LABEL_SEPARATORS
from qoqdata.sources import catalogue

catalogue.find_source("ptb_xl")
snomed = import_module("qoqdata.converters.ecg.snomed")

#: The codes that only ConditionNames_SNOMED-CT.csv of Chapman-Shaoxing-Ningbo lists.
OWN = {"28189009", "233896004", "251147008", "251148003"}
#: Those that other lists of Georgia's headers have, and the Challenge counted nowhere.
UNCOUNTED = {"78069008", "164903001", "251143007", "251242005", "423863005", "713423005"}


#: Classes of PTB-XL that are wider than any group.
SEVERAL_GROUPS = {"Conduction disturbance", "Hypertrophy"}


@pytest.fixture(scope="module")
def challenge(realdata: Path) -> dict[str, dict[str, str]]:
    """The rows of the Challenge's mapping by code."""
    folder = realdata / "ecg" / "dx_mapping" / "evaluation-2021"
    rows = {}
    for part in ("scored", "unscored"):
        text = (folder / f"dx_mapping_{part}.csv").read_text(encoding="utf-8-sig")
        rows |= {row["SNOMEDCTCode"]: row for row in csv.DictReader(text.splitlines())}
    return rows


def test_every_code_of_the_challenge_has_its_name(challenge: dict[str, dict[str, str]]) -> None:
    names = {code: " ".join(row["Dx"].split()) for code, row in challenge.items()}
    assert len(names) == 133
    assert names == {
        code: one.name for code, one in snomed.terms().items() if code not in OWN | UNCOUNTED
    }


def test_codes_scored_as_one_share_a_label(challenge: dict[str, dict[str, str]]) -> None:
    pairs = {tuple(re.findall(r"\d{5,}", row.get("Notes") or "")) for row in challenge.values()}
    pairs.discard(())
    assert len(pairs) == 4
    for first, second in pairs:
        assert snomed.terms()[first].label == snomed.terms()[second].label


def test_a_label_is_of_one_kind_and_group() -> None:
    terms = snomed.terms().values()
    assert {term.kind for term in terms} == set(snomed.KINDS)
    labels = {term.label for term in terms}
    assert len({(term.label, term.kind, term.group) for term in terms}) == len(labels)
    assert not [label for label in labels if any(mark in label for mark in LABEL_SEPARATORS)]


def test_what_codes_state() -> None:
    # Complete and plain right bundle branch block are one label; 1 is no code of the table.
    stated = snomed.read_statements(["164889003", "59118001", "1", "713427006", "164934002"])
    assert stated.rhythms == ("Atrial fibrillation",)
    assert stated.findings == ("Right bundle branch block", "T wave abnormality")
    assert stated.unknown == ("1",)
    # Two codes of one rhythm contradict nothing.
    assert len(snomed.read_statements(["251166008", "233896004"]).rhythms) == 1
    assert snomed.read_statements([]) == snomed.Statements((), (), ())
    # A code whose label a source does not offer is named as one without a label.
    few = snomed.read_statements(["164889003", "423863005"], {"Atrial fibrillation"})
    assert few == snomed.Statements(("Atrial fibrillation",), (), ("423863005",))


@pytest.mark.parametrize("slug", ["chapman_shaoxing", "georgia"])
def test_options_are_labels_of_the_table_in_its_order(slug: str) -> None:
    ours: dict[str, list[str]] = {"rhythm": [], "findings": []}
    for term in snomed.terms().values():
        ours["rhythm" if term.kind == "rhythm" else "findings"].append(term.label)
    tasks = catalogue.find_source(slug).card.tasks
    assert set(tasks) == {*ours, "axis"}
    assert set(tasks["axis"].options or ()) <= set(tasks["findings"].options or ())
    for task, labels in ours.items():
        options = tasks[task].options or ()
        assert [label for label in dict.fromkeys(labels) if label in options] == list(options)


@pytest.mark.parametrize(
    ("slug", "columns", "bradycardias"),
    [
        ("chapman_shaoxing", ("Chapman_Shaoxing", "Ningbo"), 3889 + 12670),
        ("georgia", ("Georgia",), 1677),
    ],
)
def test_options_cover_what_the_challenge_counted(
    challenge: dict[str, dict[str, str]], slug: str, columns: tuple[str, ...], bradycardias: int
) -> None:
    tasks = catalogue.find_source(slug).card.tasks.values()
    offered = {option for task in tasks for option in task.options or ()}
    met = Counter[str]()
    for code, row in challenge.items():
        met[snomed.terms()[code].label] += sum(int(row[column]) for column in columns)
    assert {label for label, number in met.items() if number} <= offered
    assert met["Sinus bradycardia"] == bradycardias
    if slug == "georgia":
        assert offered == {label for label, number in met.items() if number}


def test_classes_of_cpsc2018_are_its_codes(challenge: dict[str, dict[str, str]]) -> None:
    """The codes with a count there; labels agree with the table's but for Normal."""
    labels = catalogue.find_source("cpsc2018").card.labels
    codes = {code for code, row in challenge.items() if int(row["CPSC"])}
    assert codes == {raw for raw in labels if raw.isdigit()}
    differ = {code for code in codes if labels[code] != snomed.terms()[code].label}
    assert differ == {"426783006"} and labels["426783006"] == "Normal ECG"


@pytest.mark.parametrize("slug", ["ptb_xl", "mimic_iv_ecg"])
def test_labels_of_other_tables_land_in_the_group_of_their_code(slug: str) -> None:
    """Fibrillation, flutter and bundle branch blocks above all: no source has its own class."""
    group = {term.label: term.group for term in snomed.terms().values()}
    concepts = read_concepts("ecg_groups").concepts
    ours = {label: one.name for (source, label), one in concepts.items() if source == slug}
    shared = ours.keys() & group.keys()
    assert {label: ours[label] for label in shared} == {label: group[label] for label in shared}
    lost = {"Atrial fibrillation", "Atrial flutter", "Left bundle branch block"}
    assert lost | {"Right bundle branch block"} <= shared
    assert set(ours.values()) <= set(group.values())
    tasks = catalogue.find_source(slug).card.tasks
    asked = ("diagnosis", "subclass", "statements", "form", "rhythm", "findings", "axis")
    options = {o for name in asked if name in tasks for o in tasks[name].options or ()}
    assert set(ours) == options - {"Normal ECG"} - SEVERAL_GROUPS


def test_labels_that_mean_several_groups_are_in_none(realdata: Path) -> None:
    """PTB-XL counts AV blocks and pre-excitation among conduction disturbances, and enlarged atria
    among hypertrophies. A tachycardia of narrow complexes may be of the sinus."""
    path = realdata / "ecg/ptb-xl/scp_statements.csv"
    rows = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
    subclasses = {(row["diagnostic_class"], row["diagnostic_subclass"]) for row in rows}
    assert {("CD", "_AVB"), ("CD", "WPW"), ("HYP", "LAO/LAE"), ("HYP", "LVH")} <= subclasses
    concepts = read_concepts("ecg_groups").concepts
    assert not {("ptb_xl", label) for label in SEVERAL_GROUPS} & concepts.keys()
    assert concepts["ptb_xl", "Supraventricular arrhythmia"].name == "Unspecific rhythm"
    assert concepts["mimic_iv_ecg", "Narrow-complex tachycardia"].name == "Unspecific rhythm"


def test_groups_for_statistics_are_those_of_the_table() -> None:
    group = {term.label: term.group for term in snomed.terms().values()}
    concepts = read_concepts("ecg_groups").concepts
    for slug in ("chapman_shaoxing", "georgia", "cpsc2018"):
        tasks = catalogue.find_source(slug).card.tasks.values()
        options = {option for task in tasks for option in task.options or ()} - {"Normal ECG"}
        ours = {label: one.name for (source, label), one in concepts.items() if source == slug}
        assert ours == {option: group[option] for option in options}
