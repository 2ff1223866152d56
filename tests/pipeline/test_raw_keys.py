"""Which raw keys a build leaves hashes of."""

from __future__ import annotations

import pytest

from qoqdata.pipeline.planning import SourcePlan
from qoqdata.pipeline.raw_keys import plan_keys
from qoqdata.readers.identifiers import Identifiers
from qoqdata.records.raw_keys import pack
from qoqdata.sources import catalogue
from qoqdata.sources.protocol import Unit
from qoqdata.sources.unit_table import unit_table
from qoqdata.suite.examples import SALT

UNIT = Unit("study 1", ("a1/Roe_Jane/f2.nii.gz", "films/labels.csv"), "group 1", "patient 1")
LEFT_OUT = {"unit": "study 2", "raw": ["b3.dcm", "train-00000.png"]}
NOTED = Identifiers({"mrn 5"}, {"uid 6"})
OF_PERSONS = {"patient 1", "mrn 5"}
OF_OBJECTS = {
    *("study 1", "group 1", "study 2", "uid 6"),
    *("a1", "Roe_Jane", "f2.nii.gz", "f2.nii", "f2", "b3.dcm", "b3"),
}


@pytest.mark.parametrize(
    ("slug", "expected"),
    [("dicom_folder", OF_PERSONS | OF_OBJECTS), ("kits23", OF_PERSONS)],
    ids=["private", "public"],
)
def test_keys_of_a_plan(slug: str, expected: set[str]) -> None:
    card = catalogue.find_source(slug).card
    entries = plan_keys(SourcePlan(unit_table([UNIT]), (LEFT_OUT,)), NOTED, card, SALT)
    assert entries.tolist() == pack(expected, SALT).tolist()
