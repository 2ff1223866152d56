"""Which process takes which draw of a step, so that each reads row groups of its own.

Draws in turn send a row group's records to every process, which then all read it. A row group has
its processes in an order of preference instead (rendezvous hashing: Thaler and Ravishankar 1998),
and a draw goes to the first of these that has room in the step. All take as many draws of a step
as in turn, and the draws of the step are the same.
"""

from __future__ import annotations

import numpy as np


def preferences(groups: np.ndarray, world: int) -> np.ndarray:
    """The processes in the order in which each of `groups` (int64 [n]) prefers them, int64
    [n, world]; a pure function of the numbers, equal on all machines."""
    keys = groups.astype(np.uint64)[:, None] * np.uint64(0x9E3779B97F4A7C15)
    ranks = np.arange(1, world + 1, dtype=np.uint64) * np.uint64(0xD1B54A32D192ED03)
    return np.argsort(_mixed(keys ^ ranks), axis=1, kind="stable")


def homes(groups: np.ndarray, *, step: int, world: int) -> np.ndarray:
    """The process, int64 [n], that takes each of n draws of whole steps, by their row groups.

    Each takes `step` / `world` of every `step` draws; `world` divides `step`, `step` divides n.
    """
    order = preferences(groups, world)
    steps = np.arange(len(groups)) // step
    room = np.full(len(groups) // step * world, step // world)
    taken = np.empty(len(groups), np.int64)
    waiting = np.arange(len(groups))
    for choice in range(world):
        rank = order[waiting, choice]
        place = steps[waiting] * world + rank
        fits = _turn(place) < room[place]
        taken[waiting[fits]] = rank[fits]
        room -= np.bincount(place[fits], minlength=len(room))
        waiting = waiting[~fits]
    return taken


def _turn(places: np.ndarray) -> np.ndarray:
    """How many equal values come before each value."""
    order = np.argsort(places, kind="stable")
    ordered = places[order]
    first = np.searchsorted(ordered, ordered)
    turn = np.empty(len(places), np.int64)
    turn[order] = np.arange(len(places)) - first
    return turn


def _mixed(values: np.ndarray) -> np.ndarray:
    """uint64 to uint64 as splitmix64 ends (Steele, Lea and Flood 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
