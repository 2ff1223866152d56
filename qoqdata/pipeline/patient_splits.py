"""The official splits of a namespace's patients, which all of its sources follow.

A source that needs the list is refused where nothing has it: hashing would put patients of one
source's train into the test of another. What is kept beside a data set names patients by keyed
hash only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from qoqdata.atomic import digest, write_json
from qoqdata.contract.card import Card
from qoqdata.contract.holdout import PatientSplits
from qoqdata.contract.vocabulary import SPLITS, Split
from qoqdata.errors import BadTable, CardError, InputError, MissingFile, UsageError
from qoqdata.layout import Layout
from qoqdata.records.identity import Salt, keyed
from qoqdata.sources.protocol import Job
from qoqdata.sources.rawtree import RawTree

#: In place of a list: the user says that patients may be hashed.
HASH: Literal["hash"] = "hash"
#: By namespace.
Choices = Mapping[str, Path | Literal["hash"]]
#: By raw patient key, or by its hash.
_Listed = dict[str, frozenset[Split]]


@dataclass(frozen=True)
class NamespaceSplits:
    """What is known of the patients of a namespace.

    `by_patient` has the splits by keyed hash, several where a list tears its patient, and is None
    where no list was found; `hashed`: the user wants no list; `fault`: why the list cannot be read.
    """

    namespace: str
    salt: Salt
    by_patient: Mapping[str, frozenset[Split]] | None = None
    hashed: bool = False
    fault: InputError | None = None

    @property
    def name(self) -> str | None:
        """What the manifest calls the list: its digest, "hash", or None."""
        if self.by_patient is None:
            return HASH if self.hashed else None
        words = {key: " ".join(sorted(splits)) for key, splits in self.by_patient.items()}
        return digest(dict(sorted(words.items())))

    def of(self, patient: str) -> frozenset[Split]:
        """The official splits of a patient, by its raw key."""
        hashed = _keyed(self.namespace, patient, self.salt)
        return (self.by_patient or {}).get(hashed, frozenset())

    def refuse_guess(self, card: Card) -> None:
        """Raise what is wrong with the list, or MissingFile where the card needs one."""
        if self.fault is not None:
            raise self.fault
        table = card.splits.patients
        if table is None or self.by_patient is not None or self.hashed:
            return
        holder = f"build {table.source} before it or with it, or " if table.source else ""
        raise MissingFile(
            f"the official splits of the patients of {self.namespace} are not there, and a hash "
            "would contradict them",
            where=table.file,
            fix=f"{holder}put or mount the table there, or name it: --patient-splits "
            f"{self.namespace}=FILE ({self.namespace}=hash splits by hash all the same)",
        )


def gather(
    jobs: Iterable[Job], choices: Choices, layout: Layout, salt: Salt
) -> dict[str, NamespaceSplits]:
    """The lists of all namespaces whose cards need one, from whoever has them.

    From the tables of the jobs and the choices of the configuration; where neither has one, from an
    earlier build of the data set. The order of the jobs does not matter. A list that cannot be read
    refuses the sources of its namespace only. Raises UsageError for a choice that fits nothing,
    CardError for sources of one namespace that would split by different rules.
    """
    members: dict[str, list[Job]] = {}
    for job in jobs:
        if job.card.keys.namespace is not None:
            members.setdefault(job.card.keys.namespace, []).append(job)
    for namespace, own in members.items():
        _refuse_other_rules(namespace, own)
    needy = {
        name: own for name, own in members.items() if any(job.card.splits.patients for job in own)
    }
    if stray := sorted(set(choices) - set(needy)):
        known = ", ".join(sorted(needy)) or "none of them has one"
        what = f"no source of this build needs the patients' splits of {stray[0]!r}"
        raise UsageError(what, where="patient_splits", fix=f"namespaces with a list: {known}")
    return {name: _gather(name, own, choices, layout, salt) for name, own in needy.items()}


def write_lists(lists: Iterable[NamespaceSplits], layout: Layout) -> None:
    """Leave the lists for later builds of the data set."""
    for one in lists:
        if one.by_patient is not None:
            splits = {
                split: sorted(key for key, own in one.by_patient.items() if split in own)
                for split in SPLITS
            }
            content = {"salt": one.salt.fingerprint, "splits": splits}
            write_json(layout.patient_splits(one.namespace), content)


def _gather(
    namespace: str, jobs: list[Job], choices: Choices, layout: Layout, salt: Salt
) -> NamespaceSplits:
    choice = choices.get(namespace)
    try:
        tables = [found for job in jobs if (found := _own_table(job)) is not None]
        if choice == HASH and tables:
            fix = "leave it out, so that all sources follow the list"
            where = f"patient_splits of {namespace}"
            raise UsageError("hash is chosen, and the official list is there", where=where, fix=fix)
        if isinstance(choice, Path):
            asked = [job.card.splits.patients for job in jobs if job.card.splits.patients]
            folder = RawTree(choice.parent)
            tables.append((str(choice), _read(folder, choice.name, asked[0])))
        by_patient = _united(tables)
    except InputError as error:
        return NamespaceSplits(namespace, salt, fault=error)
    if tables:
        hashes = {_keyed(namespace, key, salt): splits for key, splits in by_patient.items()}
        return NamespaceSplits(namespace, salt, hashes)
    if choice == HASH:
        return NamespaceSplits(namespace, salt, hashed=True)
    return NamespaceSplits(namespace, salt, _earlier(layout.patient_splits(namespace), salt))


def _own_table(job: Job) -> tuple[str, _Listed] | None:
    table = job.card.splits.patients
    if table is None or not job.raw.exists(table.file):
        return None
    return f"{job.card.slug}, {table.file}", _read(job.raw, table.file, table)


def _read(raw: RawTree, path: str, table: PatientSplits) -> _Listed:
    """The splits of each raw patient key; BadTable for a word that means none.

    A patient whom the table puts into two splits tears the group of his units, and no other.
    """
    separator = "\t" if ".tsv" in Path(path).suffixes else ","
    rows = raw.csv(path, columns=[table.key, table.split], separator=separator)
    cells = rows.select(pl.col(table.key, table.split).str.strip_chars()).unique().drop_nulls()
    splits: _Listed = {}
    for key, word in sorted(cells.iter_rows()):
        if word not in table.values:
            fix = "map it in splits.patients.values of the card"
            raise BadTable(f"{word!r} is no split", where=f"{path}, {table.split}", fix=fix)
        splits[key] = splits.get(key, frozenset()) | {table.values[word]}
    return splits


def _united(tables: Iterable[tuple[str, _Listed]]) -> _Listed:
    united: _Listed = {}
    origin: dict[str, str] = {}
    for where, listed in sorted(tables, key=lambda table: table[0]):
        for key, splits in listed.items():
            if united.setdefault(key, splits) != splits:
                own, others = (" and ".join(sorted(one)) for one in (splits, united[key]))
                what = f"puts {key!r} into {own}, {origin[key]} puts it into {others}"
                raise BadTable(what, where=where, fix="use one version of the list")
            origin.setdefault(key, where)
    return united


def _earlier(path: Path, salt: Salt) -> _Listed | None:
    """The list that an earlier build left; None where there is none under this salt."""
    try:
        content = json.loads(path.read_bytes())
        if content["salt"] != salt.fingerprint:
            return None
        splits: _Listed = {}
        for split in SPLITS:
            for key in content["splits"][split]:
                splits[key] = splits.get(key, frozenset()) | {split}
        return splits
    except (OSError, ValueError, KeyError):
        return None


def _refuse_other_rules(namespace: str, jobs: list[Job]) -> None:
    first, *others = (job.card for job in sorted(jobs, key=lambda job: job.card.slug))
    for other in others:
        for name, one, two in (
            ("shares", first.splits.shares, other.splits.shares),
            ("patients", first.splits.patients is None, other.splits.patients is None),
        ):
            if one != two:
                what = f"splits.{name} differs from that of {first.slug}, whose patients it shares"
                fix = f"state the same on all cards of the namespace {namespace}"
                raise CardError(what, where=f"card {other.slug}", fix=fix)


def _keyed(namespace: str, patient: str, salt: Salt) -> str:
    return keyed("patient", namespace, patient, salt=salt)
