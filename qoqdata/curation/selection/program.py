"""How many of which records: a mixed-integer linear program, solved by HiGHS (Huangfu and Hall,
2018) as SciPy ships it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

Floats = NDArray[np.float64]

#: What a record away from the shares of its kind weighs beside one away from those of a group.
_KIND_WEIGHT = 0.001
#: The solver stops at a selection that is proven to be as close to the best as this share of the
#: size, or after so many nodes; both are the same on every machine, as a time would not be.
_GAP, _NODES = 2e-4, 2_000


@dataclass(frozen=True)
class Program:
    """Kinds of units that are alike in all that counts.

    units     (kinds,) how many units there are of each kind
    records   (kinds,) records of one unit
    members   (bounds, kinds) records of one unit that a bound is about
    low, high (bounds,) of the records that a bound is about: least and most; a share where `shared`
    shared    (bounds,) whether low and high are shares of the selection
    groups    (groups, kinds) records of one unit in a group of the balance
    wanted    (groups,) shares that the groups are to have
    size      records of the selection: least, aim, most
    """

    units: NDArray[np.int64]
    records: NDArray[np.int64]
    members: NDArray[np.int64]
    low: Floats
    high: Floats
    shared: NDArray[np.bool_]
    groups: NDArray[np.int64]
    wanted: Floats
    size: tuple[int, int, int]


class NoSelection(Exception):
    """No selection meets the program; `missed` has a number of records for each bound that the
    nearest one misses, `size` the records that it misses of the size."""

    def __init__(self, missed: dict[int, float], size: float) -> None:
        super().__init__("no selection")
        self.missed, self.size = missed, size


def solve(program: Program) -> NDArray[np.int64]:
    """Units to take of each kind, (kinds,).

    Least is the sum over groups of |records - wanted share * size| and the distance to the size;
    then, weighed with 0.001, that over kinds against their share of all records, within one record
    of 5,000. Raises NoSelection.
    """
    kinds, count = len(program.units), len(program.wanted)
    aim = program.size[1]
    even = program.units * program.records * (aim / max(1, int(program.units @ program.records)))
    # Variables: units, then distances of groups, of kinds, and of the size. The last costs the size
    # on top, once, so that the gap, which is relative to the cost, is one of the size.
    objective = np.concatenate(
        [np.zeros(kinds), np.ones(count), np.full(kinds, _KIND_WEIGHT), [1.0, float(aim)]]
    )
    per_kind = sparse.diags_array(program.records.astype(float))
    rows = sparse.vstack([program.groups, per_kind, program.records[None, :]], format="csr")
    aims = np.concatenate([program.wanted * aim, even, [aim]])
    identity = sparse.eye_array(count + kinds + 1, count + kinds + 2)
    constraints = [
        LinearConstraint(sparse.hstack([rows, -identity], format="csr"), ub=aims),
        LinearConstraint(sparse.hstack([rows, identity], format="csr"), lb=aims),
    ]
    matrix, low, high = _limits(program)
    if len(low):
        padding = sparse.csr_array((len(low), count + kinds + 2))
        whole = sparse.hstack([matrix, padding], format="csr")
        constraints.append(LinearConstraint(whole, lb=low, ub=high))
    upper = np.concatenate([program.units, np.full(count + kinds + 1, np.inf), [1.0]])
    lower = np.concatenate([np.zeros(kinds + count + kinds + 1), [1.0]])
    integral = np.concatenate([np.ones(kinds), np.zeros(count + kinds + 2)])
    result = milp(
        objective,
        constraints=constraints,
        bounds=Bounds(lower, upper),
        integrality=integral,
        options={"mip_rel_gap": _GAP, "node_limit": _NODES},
    )
    if result.x is None:
        raise _nearest(program)
    return np.rint(result.x[:kinds]).astype(np.int64)


def _limits(program: Program) -> tuple[Any, Floats, Floats]:
    """Rows over units, and their least and most: of the size, and of every bound once as `low` and
    once as `high`, for a share moves with the size of the selection."""
    rows: list[Floats] = [program.records.astype(float)]
    low, high = [float(program.size[0])], [float(program.size[2])]
    for number in range(len(program.low)):
        of = program.members[number].astype(float)
        for limit, sign in ((program.low[number], 1.0), (program.high[number], -1.0)):
            if not np.isfinite(limit):
                continue
            share = limit if program.shared[number] else 0.0
            rows.append(sign * (of - share * program.records))
            low.append(sign * (0.0 if program.shared[number] else limit))
            high.append(np.inf)
    return sparse.csr_array(np.vstack(rows)), np.array(low), np.array(high)


def _nearest(program: Program) -> NoSelection:
    """What the selection misses that misses least in all, in records and in parts of units."""
    matrix, low, high = _limits(program)
    kinds, count = len(program.units), len(low)
    # A row may fall short of its least or exceed its most, at the price of a record each.
    slack = sparse.eye_array(count)
    constraints = [
        LinearConstraint(sparse.hstack([matrix, slack], format="csr"), lb=low),
        LinearConstraint(sparse.hstack([matrix, -slack], format="csr"), ub=high),
    ]
    result = milp(
        np.concatenate([np.zeros(kinds), np.ones(count)]),
        constraints=constraints,
        bounds=Bounds(
            np.zeros(kinds + count), np.concatenate([program.units, np.full(count, np.inf)])
        ),
    )
    missed: dict[int, float] = {}
    place = 1
    for number in range(len(program.low)):
        for limit in (program.low[number], program.high[number]):
            if np.isfinite(limit):
                amount = float(result.x[kinds + place])
                if amount > 1e-6:
                    missed[number] = missed.get(number, 0.0) + amount
                place += 1
    return NoSelection(missed, float(result.x[kinds]))
