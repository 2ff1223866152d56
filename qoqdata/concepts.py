"""Concepts: what labels of different sources have in common, as a view of the records.

A table says which concept each label of a source stands for, with a code where one is certain. It
is a CSV file with the columns `source`, `label`, `concept`, `system` and `code`, one row a label.
Those that travel with the package are in `schemas/harmonise`; a user names a file. Nothing in a
record changes, and a label without a concept is told, not dropped.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from qoqdata.atomic import digest
from qoqdata.contract.card import Card
from qoqdata.errors import UsageError
from qoqdata.shipped import shipped_folder

FOLDER = shipped_folder("schemas") / "harmonise"
COLUMNS = ("source", "label", "concept", "system", "code")

#: The list of concepts that a record says the same of as of the labels in a column of its row.
VIEWS = {"labels": "concepts", "uncertain": "uncertain_concepts", "absent": "absent_concepts"}

#: How codes of the systems that we know are written.
_CODES = {"SNOMED CT": re.compile(r"[1-9]\d{5,17}"), "RadLex": re.compile(r"RID\d+")}


@dataclass(frozen=True)
class Concept:
    """A name and, where it is certain, a `code` of a coding `system`, such as SNOMED CT."""

    name: str
    system: str | None = None
    code: str | None = None


@dataclass(frozen=True)
class ConceptTable:
    """`concepts` by source and label; `lines` of the file at `where` that say so.

    `name` is the file's, without its ending.
    """

    name: str
    where: str
    concepts: Mapping[tuple[str, str], Concept]
    lines: Mapping[tuple[str, str], int] = field(compare=False)

    @property
    def digest(self) -> str:
        """Names the content, whatever the order of its rows."""
        return digest(
            sorted([*key, one.name, one.system, one.code] for key, one in self.concepts.items())
        )

    def frame(self) -> pl.DataFrame:
        """The columns of COLUMNS, a row a label, sorted by source and label."""
        rows = ((*key, one.name, one.system, one.code) for key, one in self.concepts.items())
        schema = dict.fromkeys(COLUMNS, pl.String)
        return pl.DataFrame(list(rows), schema=schema, orient="row").sort("source", "label")


def shipped_tables() -> list[str]:
    """Names of the tables that travel with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.csv"))


def read_concepts(table: str | Path) -> ConceptTable:
    """The table of a name among `shipped_tables`, or else of a file.

    Raises UsageError, which names the file and the line, for a file that is no such table: a column
    or cell that lacks, a label that is there twice, a code without a system, a malformed code, a
    concept with two codes.
    """
    if isinstance(table, str) and table in shipped_tables():
        path = FOLDER / f"{table}.csv"
    else:
        path = Path(table)
    if not path.is_file():
        fix = f"name a CSV file, or one of {', '.join(shipped_tables())}"
        raise UsageError("is no table of concepts", where=str(table), fix=fix)
    concepts: dict[tuple[str, str], Concept] = {}
    lines: dict[tuple[str, str], int] = {}
    by_name: dict[str, tuple[Concept, int]] = {}
    for line, row in _rows(path):
        key, concept = (row["source"], row["label"]), _concept(row, where=f"{path}, line {line}")
        if key in concepts:
            what = f"the label {key[1]!r} of {key[0]} stands for {concepts[key].name!r} already"
            fix = f"keep this line or line {lines[key]}"
            raise UsageError(what, where=f"{path}, line {line}", fix=fix)
        first, at = by_name.setdefault(concept.name, (concept, line))
        if first != concept:
            what = f"the concept {concept.name!r} has another code than in line {at}"
            raise UsageError(what, where=f"{path}, line {line}", fix="give it one code")
        concepts[key], lines[key] = concept, line
    if not concepts:
        raise UsageError("holds no label", where=str(path))
    return ConceptTable(path.stem, str(path), concepts, lines)


def refuse_unknown_labels(table: ConceptTable, known: Mapping[str, Iterable[str]]) -> None:
    """Raise UsageError for a label that its source does not have, by the `known` labels of sources.

    Rows of other sources are left alone.
    """
    labels = {source: set(names) for source, names in known.items()}
    for (source, label), line in table.lines.items():
        if source in labels and label not in labels[source]:
            raise UsageError(
                f"{source} has no label {label!r}",
                where=f"{table.where}, line {line}",
                fix=f"it has {', '.join(map(repr, sorted(labels[source]))) or 'none'}",
            )


def known_labels(records: pl.DataFrame, cards: Mapping[str, Card]) -> dict[str, set[str]]:
    """The labels of each source: what its card offers, and what its records say anything of.

    `records` have `source`, `labels`, `uncertain` and `absent`.
    """
    known = {
        slug: {option for task in card.tasks.values() for option in task.options or ()}
        for slug, card in cards.items()
    }
    for column in VIEWS:
        pairs = records.select("source", label=column).explode("label").drop_nulls().unique()
        for source, label in pairs.iter_rows():
            known.setdefault(source, set()).add(label)
    return known


def with_concepts(records: pl.DataFrame, table: ConceptTable) -> pl.DataFrame:
    """`records` with the lists `concepts`, `uncertain_concepts` and `absent_concepts`, each sorted.

    A record asserts the concepts of the labels that it asserts. It doubts one of a label that it
    marks as uncertain unless it asserts the same by another label without doubt, and denies one of
    a label that it denies unless it asserts or doubts it by another.
    """
    rows = records.select("source", *VIEWS).with_row_index("at")
    asserted, doubted, denied = (_mapped(rows, column, table) for column in VIEWS)
    beyond_doubt = asserted.join(doubted, on=["at", "label"], how="anti")
    same = ["at", "concept"]
    states = {
        "concepts": asserted,
        "uncertain_concepts": doubted.join(beyond_doubt, on=same, how="anti"),
        "absent_concepts": denied.join(pl.concat([asserted, doubted]), on=same, how="anti"),
    }
    joined = records.with_row_index("at")
    for name, pairs in states.items():
        lists = pairs.group_by("at").agg(pl.col("concept").unique().sort().alias(name))
        joined = joined.join(lists, on="at", how="left", maintain_order="left")
    return joined.drop("at").with_columns(pl.col(*VIEWS.values()).fill_null([]))


def without_concept(records: pl.DataFrame, column: str, table: ConceptTable) -> pl.DataFrame:
    """A row for each label in the list `column` that has no concept; other columns are repeated."""
    rows = records.with_columns(label=column).explode("label").drop_nulls("label")
    return rows.join(table.frame(), on=["source", "label"], how="anti")


def _mapped(rows: pl.DataFrame, column: str, table: ConceptTable) -> pl.DataFrame:
    """`at`, `label` and `concept` of each label in a list that has a concept."""
    pairs = rows.select("at", "source", label=column).explode("label").drop_nulls("label")
    mapping = table.frame().select("source", "label", "concept")
    return pairs.join(mapping, on=["source", "label"]).select("at", "label", "concept")


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and stripped cells of each row; optional ones are empty texts."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            heads = [head.strip() for head in next(reader, [])]
            if lacking := [name for name in COLUMNS if name not in heads]:
                fix = f"the columns are {', '.join(COLUMNS)}"
                raise UsageError(f"lacks {lacking[0]}", where=f"{path}, line 1", fix=fix)
            for cells in reader:
                if not any(cells):
                    continue
                where = f"{path}, line {reader.line_num}"
                if len(cells) != len(heads):
                    what = f"has {len(cells)} cells, {len(heads)} columns are named"
                    raise UsageError(what, where=where, fix="quote a cell that holds a comma")
                row = dict(zip(heads, (cell.strip() for cell in cells), strict=True))
                if empty := [name for name in COLUMNS[:3] if not row[name]]:
                    raise UsageError(f"the {empty[0]} is empty", where=where)
                yield reader.line_num, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"is no CSV file: {error}", where=str(path)) from error


def _concept(row: Mapping[str, str], *, where: str) -> Concept:
    system, code = row["system"], row["code"]
    if bool(system) != bool(code):
        what = f"the code {code} has no system" if code else f"{system} is named without a code"
        raise UsageError(what, where=where, fix="give both, or leave both empty")
    if system in _CODES and not _CODES[system].fullmatch(code):
        raise UsageError(f"{code!r} is no code of {system}", where=where)
    if system == "SNOMED CT" and not _ends_in_its_check_digit(code):
        what = f"{code} is no code of SNOMED CT: its last digit does not fit the others"
        raise UsageError(what, where=where)
    return Concept(row["concept"], system or None, code or None)


def _ends_in_its_check_digit(code: str) -> bool:
    """Verhoeff's check, as SNOMED CT prescribes it: the product in the dihedral group D5 is 0."""
    product = 0
    for place, digit in enumerate(reversed(code)):
        turned = int(digit)
        for _ in range(place % 8):
            turned = _TURN[turned]
        product = _times(product, turned)
    return product == 0


#: Verhoeff's permutation of the digits, applied once more with each place.
_TURN = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def _times(a: int, b: int) -> int:
    """The product of two of the ten symmetries of a pentagon: 0 to 4 turn it, 5 to 9 flip it."""
    turn = a % 5 - b % 5 if a >= 5 else a % 5 + b % 5
    return turn % 5 + 5 * ((a >= 5) != (b >= 5))
