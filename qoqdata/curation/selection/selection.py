"""A selection as verdicts: whatever it leaves out is dropped by the rule `selection`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from qoqdata.atomic import digest, replacing
from qoqdata.contract.arrow import arrow_schema
from qoqdata.contract.side_tables import VERDICTS
from qoqdata.curation.decision_log import deciding
from qoqdata.curation.selection.program import NoSelection, Program, solve
from qoqdata.curation.selection.target import Balance, Bound, SelectionTarget
from qoqdata.dataset import Dataset
from qoqdata.errors import UsageError
from qoqdata.roles import evaluation_sources
from qoqdata.side_table import read_side_table
from qoqdata.statistics import difficulty
from qoqdata.verdicts import SELECTION as RULE
from qoqdata.verdicts import in_force

_FIX = "run `qoqdata curate` again, or fetch the data set anew"
#: Columns that are no light ones; all are in the metadata.
_MORE = ("licence", "sex", "age")
_LIGHT = ("id", "source", "domain", "modality", "task", "kind", "split", "redistribution")
_KEYS = ("patient", "study")


@dataclass(frozen=True)
class Selection:
    """What was selected, of how many.

    bounds   each bound with the records that it is about: `there`, `selected`
    groups   of the balance: key, `there`, `selected`, and the share `wanted`
    size     records that are selected; there of all that could be
    """

    bounds: pl.DataFrame
    groups: pl.DataFrame
    size: int
    there: int


def select(dataset: Dataset, target: SelectionTarget) -> Selection:
    """Select records of the target's split and write verdicts that drop the others.

    Those that other rules drop, annotation-only ones and evaluation sources are not selected from,
    and the verdicts of an earlier selection are replaced. Raises UsageError, which names them,
    where bounds cannot be met together.
    """
    with deciding(dataset.layout):
        others = _other_verdicts(dataset)
        pool = _pool(dataset, target, others)
        taken = _taken(pool, target)
        left_out = pool.filter(~taken)
        name = digest(target.model_dump(mode="json"))[:16]
        reason = f"not among the {int(taken.sum()):,} selected of {pool.height:,}"
        verdicts = left_out.select(
            "id",
            keep=pl.lit(False),
            rule=pl.lit(RULE),
            reason=pl.lit(reason),
            evidence=pl.lit(f"target {name}"),
        )
        _write(dataset, pl.concat([others, verdicts]))
    return _summary(pool, taken, target)


def undo_selection(dataset: Dataset) -> int:
    """Take the verdicts of a selection back; returns how many there were."""
    with deciding(dataset.layout):
        others = _other_verdicts(dataset)
        before = 0
        if dataset.layout.verdicts.is_file():
            before = read_side_table(dataset.layout.verdicts, VERDICTS, fix=_FIX).height
            _write(dataset, others)
    return before - others.height


def _other_verdicts(dataset: Dataset) -> pl.DataFrame:
    if not dataset.layout.verdicts.is_file():
        return pl.DataFrame(schema=dict.fromkeys(VERDICTS.names, pl.String) | {"keep": pl.Boolean})
    verdicts = read_side_table(dataset.layout.verdicts, VERDICTS, fix=_FIX)
    return verdicts.filter(pl.col("rule") != RULE)


def _write(dataset: Dataset, verdicts: pl.DataFrame) -> None:
    table = verdicts.sort("id", "rule").to_arrow().cast(arrow_schema(VERDICTS))
    path = dataset.layout.verdicts
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as draft:
        pq.write_table(table, draft, compression="zstd")


def _pool(dataset: Dataset, target: SelectionTarget, others: pl.DataFrame) -> pl.DataFrame:
    """The records that can be selected, with `unit`, the key of what is kept whole, `difficulty`
    (null where unknown) and a truth for each bound, `bound 0` and so on."""
    more = pl.DataFrame(dataset.files.leaves(_MORE)).select(_MORE)
    light = dataset.metadata([*_LIGHT, *_KEYS, "labels", "shows"])
    lost = in_force(others)["id"].unique()
    rates = _rates(dataset, target)
    # A record without a patient is a part of its study; keys of both are hashes, apart.
    unit = {"record": pl.col("id"), "study": pl.col("study")}.get(
        target.whole, pl.coalesce("patient", "study")
    )
    benchmarks = evaluation_sources(dataset.manifest)
    pool = (
        pl.concat([light, more], how="horizontal")
        .filter("shows", ~pl.col("source").is_in(benchmarks), pl.col("split") == target.split)
        .filter(~pl.col("id").is_in(lost.implode()))
        .join(rates, on="id", how="left", maintain_order="left")
        .with_columns(unit=unit)
    )
    if pool.is_empty():
        what = f"holds no record of {target.split} to select from"
        raise UsageError(what, where=dataset.where, fix="name another split")
    return pool.with_columns(
        **{f"bound {number}": _is_meant(bound) for number, bound in enumerate(target.bounds)}
    ).drop("labels", "shows", "patient", "study")


def _rates(dataset: Dataset, target: SelectionTarget) -> pl.DataFrame:
    """`id` and `difficulty`, which is read where a bound asks for it."""
    none = pl.DataFrame(schema={"id": pl.String, "difficulty": pl.Float64})
    if not any(bound.by == "difficulty" for bound in target.bounds):
        return none
    table = difficulty.choose(dataset.layout, target.policy)
    if table is None:
        fix = f"qoqdata difficulty {dataset.root} --probe, or --prior"
        raise UsageError("there is no difficulty to select by", where=dataset.where, fix=fix)
    return table.select("id", difficulty=1 - pl.col("success_rate"))


def _is_meant(bound: Bound) -> pl.Expr:
    """Whether a bound is about a record; one that does not say is not meant."""
    if bound.range is not None:
        low, high = bound.range
        column = pl.col(bound.by)
        last = 1.0 if bound.by == "difficulty" else 90.0
        below = column <= high if high >= last else column < high
        meant = (column >= low) & below
    elif bound.by == "label":
        meant = pl.col("labels").list.contains(bound.value)
    else:
        meant = pl.col(bound.by) == bound.value
    return meant.fill_null(False)


def _taken(pool: pl.DataFrame, target: SelectionTarget) -> pl.Series:
    """Whether each record of the pool is selected. Raises UsageError where bounds cannot be met."""
    bounds = [f"bound {number}" for number in range(len(target.bounds))]
    groups, wanted = _wanted(pool, target.balance)
    by_group = [
        (pl.col(target.balance.by) == name).fill_null(False).sum().alias(f"group {number}")
        for number, name in enumerate(groups)
    ]
    units = pool.group_by("unit").agg(pl.len().alias("records"), pl.col(bounds).sum(), *by_group)
    facts = ["records", *bounds, *(f"group {number}" for number in range(len(groups)))]
    kinds = units.group_by(facts).agg(units=pl.len()).sort(facts)
    numbers = kinds.select(facts).to_numpy().astype(np.int64).T
    slack = 0 if target.whole == "record" else int(target.size * target.within)
    program = Program(
        units=kinds["units"].to_numpy().astype(np.int64),
        records=numbers[0],
        members=numbers[1 : 1 + len(bounds)],
        low=_amounts([bound.at_least for bound in target.bounds], -np.inf),
        high=_amounts([bound.at_most for bound in target.bounds], np.inf),
        shared=np.array([_is_share(bound) for bound in target.bounds], np.bool_),
        groups=numbers[1 + len(bounds) :],
        wanted=wanted,
        size=(target.size - slack, target.size, target.size + slack),
    )
    try:
        chosen = solve(program)
    except NoSelection as fault:
        raise _refusal(fault, pool, target) from fault
    # Of units that are alike the first ones by a hash that depends on nothing else.
    order = units.join(
        kinds.select(facts).with_columns(take=pl.Series(chosen)), on=facts, maintain_order="left"
    ).with_columns(pl.Series("hash", [_hash(target.seed, key) for key in units["unit"]]))
    first = order.with_columns(rank=pl.col("hash").rank("ordinal").over(facts))
    some = first.filter(pl.col("rank") <= pl.col("take"))["unit"]
    return pool["unit"].is_in(some.implode())


def _wanted(pool: pl.DataFrame, balance: Balance) -> tuple[list[str], np.ndarray]:
    """The groups of the balance, sorted, and the shares that they are to have."""
    counts = pool.drop_nulls(balance.by).group_by(balance.by).len().sort(balance.by)
    groups = counts[balance.by].to_list()
    if balance.shares == "as_they_are":
        shares = counts["len"].to_numpy() / pool.height
    elif balance.shares == "equal":
        shares = np.full(len(groups), 1 / max(1, len(groups)))
    else:
        if stray := sorted(set(balance.shares) - set(groups)):
            what = f"no record is of the {balance.by} {stray[0]!r}"
            raise UsageError(what, where="balance", fix=f"there are: {', '.join(groups)}")
        shares = np.array([balance.shares.get(name, 0.0) for name in groups])
        shares = shares / shares.sum()
    return groups, shares


def _amounts(amounts: list[int | float | None], none: float) -> np.ndarray:
    return np.array([none if amount is None else float(amount) for amount in amounts], np.float64)


def _is_share(bound: Bound) -> bool:
    amounts = {type(one) for one in (bound.at_least, bound.at_most) if one is not None}
    if len(amounts) > 1:
        what = "one of at_least and at_most is a number of records, the other a share"
        raise UsageError(what, where=str(bound), fix="write both with a point, or both without")
    return amounts == {float}


def _hash(seed: int, key: str) -> bytes:
    return hashlib.blake2b(f"{seed} {key}".encode(), digest_size=8).digest()


def _refusal(fault: NoSelection, pool: pl.DataFrame, target: SelectionTarget) -> UsageError:
    """Which bounds stand against it, with what there is of each."""
    parts = [
        f"{target.bounds[number]} (missed by {_records(missed)}; there are "
        f"{int(pool[f'bound {number}'].sum()):,})"
        for number, missed in sorted(fault.missed.items())
    ]
    if fault.size > 1e-6:
        there = f"there are {pool.height:,}"
        parts.append(f"size {target.size:,} (missed by {_records(fault.size)}; {there})")
    parts = parts or [f"the size {target.size:,} by whole {target.whole} (raise `within`)"]
    what = f"no selection of {target.size:,} records meets all bounds: {'; '.join(parts)}"
    return UsageError(what, where="target", fix="loosen what is named, or add records")


def _records(amount: float) -> str:
    return f"{int(np.ceil(amount - 1e-6)):,}"


def _summary(pool: pl.DataFrame, taken: pl.Series, target: SelectionTarget) -> Selection:
    selected = pool.filter(taken)
    bounds = pl.DataFrame(
        [
            (str(bound), int(pool[f"bound {n}"].sum()), int(selected[f"bound {n}"].sum()))
            for n, bound in enumerate(target.bounds)
        ],
        schema={"bound": pl.String, "there": pl.Int64, "selected": pl.Int64},
        orient="row",
    )
    groups, wanted = _wanted(pool, target.balance)
    by = target.balance.by
    rows = [
        (name, int((pool[by] == name).sum()), int((selected[by] == name).sum()), share)
        for name, share in zip(groups, wanted, strict=True)
    ]
    schema = {by: pl.String, "there": pl.Int64, "selected": pl.Int64, "wanted": pl.Float64}
    table = pl.DataFrame(rows, schema=schema, orient="row")
    return Selection(bounds, table, selected.height, pool.height)
