"""The four case tables of CBIS-DDSM, and the folders that their lesions and films lie in.

Paths in the tables are those of no download: folders below the first have other names there, file
names of masks and crops are swapped, and a newline follows some. Only the first folder is right.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from qoqdata.contract.vocabulary import Split
from qoqdata.errors import BadTable, InputError
from qoqdata.sources.cells import text
from qoqdata.sources.protocol import Job, Refused

#: Table, and the beginning of its folders' names.
TABLES = {
    "mass_case_description_train_set.csv": "Mass-Training",
    "mass_case_description_test_set.csv": "Mass-Test",
    "calc_case_description_train_set.csv": "Calc-Training",
    "calc_case_description_test_set.csv": "Calc-Test",
}
#: What the tables call the lesions of a kind.
TYPES = {"mass": "mass", "calc": "calcification"}
_KEYS = ("patient_id", "left or right breast", "image view", "abnormality id")
_PATHS = ("image file path", "cropped image file path", "ROI mask file path")
DENSITY = "breast density"
_ASKED = {"lesion_type": "abnormality type", "pathology": "pathology", "assessment": "assessment"}
#: Tasks about one lesion, by its kind, and the columns that answer them.
ASKED = {
    "mass": _ASKED | {"mass_shape": "mass shape", "mass_margins": "mass margins"},
    "calc": _ASKED | {"calc_type": "calc type", "calc_distribution": "calc distribution"},
}
_FOLDER = re.compile(r"(?:Mass|Calc)-(?:Training|Test)_(P_\d+_(?:LEFT|RIGHT)_(?:CC|MLO))(?:_\d+)?")

Cells = Mapping[str, str | None]


class Case(NamedTuple):
    """A lesion as its table has it; `folder` holds its mask and crop, `film` the film."""

    study: str
    kind: str
    number: str
    film: str
    cells: Cells

    @property
    def folder(self) -> str:
        """The name of the folder of its mask and crop."""
        return f"{self.film}_{self.number}"


class Cases(NamedTuple):
    """Cases by film, the first fault in the rows of a film, and rows that name no lesion."""

    films: Mapping[str, list[Case]]
    faults: Mapping[str, InputError]
    nameless: list[Refused]


def read_cases(job: Job) -> Cases:
    """The rows of the four tables; raises BadTable unless all are there."""
    films: dict[str, list[Case]] = defaultdict(list)
    faults: dict[str, InputError] = {}
    nameless = []
    for name, prefix in TABLES.items():
        for place, cells in enumerate(_rows(job, name), start=1):
            where = f"{name}, lesion {place}"
            patient, side, view, number = (cells[column] for column in _KEYS)
            if None in (patient, side, view, number):
                error = BadTable("names no lesion", where=where, fix="fetch the table again")
                nameless.append(Refused(where, error))
                continue
            study, kind = f"{patient}_{side}_{view}", prefix.partition("-")[0].lower()
            film = f"{prefix}_{study}"
            case = Case(study, kind, str(number), film, cells)
            films[study].append(case)
            if (fault := _fault(case, where)) is not None:
                faults.setdefault(study, fault)
    return Cases(films, faults, nameless)


def study_of(folder: str) -> str | None:
    """The film, as patient, side and view, that a folder is about; None for any other folder."""
    found = _FOLDER.fullmatch(folder)
    return found and found[1]


def patient_of(study: str) -> str:
    """The patient of a film."""
    return study.rsplit("_", 2)[0]


def split_of(folder: str) -> Split:
    """The official split, which is that of the table and part of the folder's name."""
    return "test" if "-Test_" in folder else "train"


def _rows(job: Job, name: str) -> Iterator[Cells]:
    """The rows of a table, columns in one spelling, cells stripped and None where empty."""
    if not job.raw.exists(name):
        # Films of two tables would keep the lesions of one.
        raise BadTable("is missing", where=name, fix="fetch all four tables from TCIA")
    columns = (*_KEYS, *_PATHS, *ASKED[name.partition("_")[0]].values())
    for row in job.raw.csv(name, columns=columns).iter_rows(named=True):
        # The mass tables write breast_density, the others breast density.
        cells = {column.replace("breast_density", DENSITY): text(row[column]) for column in row}
        if DENSITY not in cells:
            raise BadTable(f"lacks the column {DENSITY!r}", where=name)
        yield cells


def _fault(case: Case, where: str) -> BadTable | None:
    """What contradicts itself in a row: its keys name the folders of its paths, and its type."""
    for column, name in zip(_PATHS, (case.film, case.folder, case.folder), strict=True):
        if (stated := (case.cells[column] or "").partition("/")[0]) != name:
            return BadTable(f"{column} begins with {stated!r}, not {name!r}", where=where)
    if (stated := case.cells["abnormality type"] or "nothing") != TYPES[case.kind]:
        return BadTable(f"{stated} among the {case.kind} cases", where=where)
    return None
