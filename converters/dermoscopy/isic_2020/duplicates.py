"""Duplicates of the ISIC 2020 training set, by the publisher's lists of pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from qoqdata.errors import BadTable
from qoqdata.sources.protocol import Job

#: Each list with its columns.
LISTS = {
    "ISIC_2020_Training_Duplicates.csv": ("image_name_1", "image_name_2"),
    "2020_Challenge_duplicates.csv": ("ISIC_id", "ISIC_id_paired"),
}


class Duplicates(NamedTuple):
    """first: of each image that is left out, the one that is kept; disputed: images of a set
    whose verdicts differ, all of them."""

    first: Mapping[str, str]
    disputed: frozenset[str]


def read_duplicates(job: Job, verdicts: Mapping[str, str | None]) -> Duplicates:
    """Duplicates among the images of `verdicts`; pairs with other images say nothing here.

    Pairs add up: where A is B and B is C, one of the three is kept. Raises BadTable where no list
    is there, unless the option says that there need be none.
    """
    name = next((name for name in LISTS if job.raw.exists(name)), None)
    if name is None:
        if job.options["duplicates"] == "none":
            return Duplicates({}, frozenset())
        what = "there is no list of duplicates, which would lie in several splits"
        fix = "fetch it from the challenge's page, or set the option duplicates=none"
        raise BadTable(what, where=next(iter(LISTS)), fix=fix)
    pairs = job.raw.csv(name, columns=LISTS[name]).select(LISTS[name]).rows()
    sets: dict[str, set[str]] = {}
    for one, other in pairs:
        if one in verdicts and other in verdicts and one != other:
            joined = sets.get(one, {one}) | sets.get(other, {other})
            sets |= dict.fromkeys(joined, joined)
    seconds = {other for _, other in pairs}
    first, disputed = dict[str, str](), set[str]()
    for members in {id(members): members for members in sets.values()}.values():
        kept = min(members, key=lambda key: (key in seconds, key))
        if len({verdicts[key] for key in members}) > 1:
            disputed |= members
        else:
            first |= {key: kept for key in members if key != kept}
    return Duplicates(first, frozenset(disputed))
