"""The converter protocol: a source is a card and two functions, `plan` and `convert`.

    plan(job)          -> Unit | Refused | Filtered, one for everything that exists; no pixels
    convert(unit, job) -> list of Record | Skipped; pure; raises, and the build quarantines

A source folder holds `card.yaml`, `source.py` with these two functions, and `example/`. Sources
driven by a user's mapping also define `configure(card, mapping) -> (Card, settings)`. Beside it,
`simulate.py` writes raw trees of made-up files, on the kit of `qoqdata.simulation`, and
`prepare.py`, where tables are too large for `plan`, makes small ones of them once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from qoqdata.contract.card import Card
from qoqdata.contract.vocabulary import Split
from qoqdata.errors import QoqdataError
from qoqdata.readers.limits import DEFAULT_LIMITS, Limits
from qoqdata.records.content import Record
from qoqdata.sources.rawtree import RawTree

_NO_FACTS: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, init=False)
class Unit:
    """One study, image or recording to convert, as annotation tables and listings tell it.

    `key` is unique in the source; `group` is what must stay within one split (None: the unit
    itself); `split` is the official one, if any; `facts` are plain JSON values.
    """

    key: str
    files: tuple[str, ...]
    group: str | None = None
    patient: str | None = None
    split: Split | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __init__(
        self,
        key: str,
        files: tuple[str, ...],
        group: str | None = None,
        patient: str | None = None,
        split: Split | None = None,
        facts: Mapping[str, Any] = _NO_FACTS,
    ) -> None:
        # Of millions: what a frozen dataclass writes itself takes twice as long.
        own = self.__dict__
        own["key"], own["files"], own["group"] = key, files, group
        own["patient"], own["split"] = patient, split
        own["facts"] = {} if facts is _NO_FACTS else facts


@dataclass(frozen=True)
class Refused:
    """Something that exists and cannot be a unit: it ends in quarantine with this error.

    `group` and `split` are as of a Unit, where they are known: a patient whose film cannot be used
    stays in the split that the film is officially in.
    """

    key: str
    error: QoqdataError
    files: tuple[str, ...] = ()
    group: str | None = None
    split: Split | None = None


@dataclass(frozen=True)
class Filtered:
    """Something left out by a stated rule, such as a study without a label for the question."""

    key: str
    reason: str
    message: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Skipped:
    """A question that cannot be asked of a unit, in the list that `convert` returns.

    It is counted by `task`, which the card has, and `reason`, a short code such as `no_view`; the
    unit's other questions stand. `message` is for a person, and stays where the set is built, as
    does `item`, which tells the question from others of the task as a record's does.
    """

    task: str
    reason: str
    message: str = ""
    item: str | None = None


Planned = Unit | Refused | Filtered
Converted = Record | Skipped


@dataclass(frozen=True)
class Job:
    """What both functions are given: the card, the raw tree and the settings of this build.

    `options` are the card's options with the user's values; `mapping` is the validated mapping of
    a mapping-driven source, else None.
    """

    card: Card
    raw: RawTree
    options: Mapping[str, Any] = field(default_factory=dict)
    mapping: Any = None
    limits: Limits = DEFAULT_LIMITS


PlanFunction = Callable[[Job], Iterable[Planned]]
ConvertFunction = Callable[[Unit, Job], list[Record] | list[Converted]]


class SimulateFunction(Protocol):
    """`simulate` of a `simulate.py`: n units in the source's own layout below `out`.

    With `quirks`, the known faults of the real source are among them; the constant QUIRKS beside
    the function says for which reasons of quarantine, such as {"missing_file": "rows of films that
    were never published"}.
    """

    def __call__(self, out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None: ...


class PrepareFunction(Protocol):
    """`prepare` of a `prepare.py`: tables of the folder `raw`, made small, in the folder `out`.

    It returns plain JSON values on what it did. What is there already is kept, what was interrupted
    goes on; memory does not grow with the tables. `progress` hears of the step and what is done.
    The constant FOLDER beside the function says where in a raw tree the result belongs.
    """

    def __call__(
        self, raw: Path, out: Path, *, progress: Callable[[str, int], None]
    ) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Source:
    """A registered source: its card, its folder and its functions.

    `module` is the import name of its `source.py`, by which worker processes find it again; `root`
    is the folder of the package that the source is in, None where it stands alone.
    `simulate` is None for a source without a `simulate.py`, which is imported at the first call.
    `prepare` and `prepared_folder`, where in the raw tree it writes, are None without a
    `prepare.py`.
    """

    card: Card
    folder: Path
    module: str
    plan: PlanFunction
    convert: ConvertFunction
    configure: Callable[[Card, Mapping[str, Any]], tuple[Card, Any]] | None
    card_digest: str
    code_digest: str
    root: Path | None = None
    simulate: SimulateFunction | None = None
    prepare: PrepareFunction | None = None
    prepared_folder: str | None = None
