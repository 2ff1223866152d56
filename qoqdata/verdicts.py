"""What curation decided about the records of a data set, read from its verdicts.

A record is dropped by any verdict that does not keep it. A person who keeps it overrules the rules,
but those of PRIVACY: what they drop may hold protected health information, and only a curation pass
takes such a verdict back, when it finds no more in the record than what was accepted.
"""

from __future__ import annotations

import polars as pl

from qoqdata.contract.side_tables import VERDICTS
from qoqdata.errors import DatasetError
from qoqdata.layout import Layout
from qoqdata.side_table import read_side_table

#: The rule of verdicts that people gave.
PERSON = "person"
#: The rule of what people said of records: it keeps, and overrules nothing.
COMMENT = "comment"
#: The rule of what people said was wrong and is right now: it keeps, and overrules nothing.
CORRECTED = "corrected"
#: The rules by which people speak.
OF_PEOPLE = (PERSON, COMMENT, CORRECTED)
#: The rule of verdicts on what a selection of a given size leaves out.
SELECTION = "selection"
#: Rules whose verdicts no person's `keep` overrules by itself.
PRIVACY = ("phi", "phi_held", "burned_in")


def dropped(layout: Layout, *columns: str) -> pl.DataFrame:
    """`id` and `columns` (String) of every verdict that drops a record and that no person
    overrules; empty before curation."""
    names = ["id", *columns]
    if not layout.verdicts.is_file():
        return pl.DataFrame(schema=dict.fromkeys(names, pl.String))
    fix = "run `qoqdata curate` again, or fetch the data set anew"
    needed = list(dict.fromkeys([*names, "keep", "rule"]))
    verdicts = read_side_table(layout.verdicts, VERDICTS, needed, fix=fix)
    # A null is no decision, and a filter passes over it in silence.
    if undecided := max(verdicts[name].null_count() for name in ("id", "keep", "rule")):
        what = f"{undecided} verdicts have no id, rule or decision"
        raise DatasetError(what, where=str(layout.verdicts), fix=fix)
    return in_force(verdicts).select(names)


def holds_corrected(layout: Layout) -> bool:
    """Whether records have answers that people corrected, in place of those of their source."""
    if not layout.verdicts.is_file():
        return False
    fix = "run `qoqdata curate` again, or fetch the data set anew"
    rules = read_side_table(layout.verdicts, VERDICTS, ["rule"], fix=fix)["rule"]
    return bool((rules == CORRECTED).any())


def in_force(verdicts: pl.DataFrame) -> pl.DataFrame:
    """The verdicts, with columns id, keep and rule, that drop their record."""
    by_person = pl.col("keep") & (pl.col("rule") == PERSON)
    kept = verdicts.filter(by_person)["id"].unique()
    lost = verdicts.filter(~pl.col("keep"))
    if kept.is_empty():
        return lost
    return lost.filter(pl.col("rule").is_in(PRIVACY) | ~pl.col("id").is_in(kept.implode()))


def without_dropped(frame: pl.DataFrame, layout: Layout) -> pl.DataFrame:
    """The rows of `frame` that no verdict drops, by `id` and in their order; a null id stays."""
    return frame.join(dropped(layout), on="id", how="anti", maintain_order="left")
