"""Labels of four states: present, absent, uncertain, and unmentioned where the cell is blank.

The CheXpert labeller made this form, and every table of its 14 findings has it, whoever filled it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from qoqdata.contract.card import Card
from qoqdata.errors import BadTable
from qoqdata.records.content import Record
from qoqdata.sources.asking import ask, pick, translate
from qoqdata.sources.cells import integer
from qoqdata.sources.joining import Row
from qoqdata.sources.protocol import Converted, Job, Skipped

NO_FINDING = "No finding"
#: What a study without a finding may still show.
DEVICES = "Support devices"

#: 1, 0 or -1 by option; an unmentioned one is not among them.
States = Mapping[str, int]


def label_columns(job: Job, table: pl.DataFrame, task: str, *, where: str) -> list[str]:
    """Columns of the table that are labels of the task; BadTable where an option has none."""
    definition = job.card.tasks[task]
    columns = [raw for raw in definition.labels if raw in table.columns]
    offered = {definition.labels[raw] for raw in columns}
    if missing := sorted(set(definition.options or ()) - offered):
        raise BadTable(f"has no column for {missing[0]!r}", where=where, fix="fetch it again")
    return columns


def filled_cells(row: Row, columns: Sequence[str]) -> dict[str, str]:
    """The label cells of a row that say something."""
    return {raw: cell for raw in columns if (cell := row[raw])}


def read_states(
    rows: Sequence[Mapping[str, str]], labels: Mapping[str, str], *, where: str
) -> dict[str, int]:
    """1, 0 or -1 by label, from the filled cells of a study's row; BadTable for several rows."""
    if len(rows) > 1:
        raise BadTable(f"has {len(rows)} rows of labels", where=where)
    states: dict[str, int] = {}
    for raw, cell in rows[0].items() if rows else ():
        if (value := integer(cell)) not in (1, 0, -1):
            raise BadTable(f"{raw} is {cell!r}, not 1, 0, -1 or blank", where=where)
        states[labels[raw]] = value
    return states


def ask_findings(card: Card, task: str, states: States, shown: Mapping[str, Any]) -> Converted:
    """Which findings are present; skipped where none is, or where it is normal and is not."""
    if not states:
        return Skipped(task, "no_label", "no row, or a row of blanks")
    labels, absent, uncertain = (_in_state(states, state) for state in (1, 0, -1))
    if not labels:
        return Skipped(task, "none_present", "what is mentioned is absent or uncertain")
    if NO_FINDING in labels and set(labels) - {NO_FINDING, DEVICES}:
        return Skipped(task, "contradiction", f"{NO_FINDING} beside {', '.join(labels)}")
    return Record(**ask(card, task, labels, uncertain=uncertain, absent=absent), **shown)


def ask_presence(card: Card, states: States, shown: Mapping[str, Any], *, key: str) -> Converted:
    """The state of one finding with a value, picked by the study's key."""
    names = sorted(set(states) - {NO_FINDING})
    if not names:
        return Skipped("presence", "no_label", "no finding has a value")
    finding = names[pick(key, len(names))]
    state = translate(card, str(states[finding]), where=key, task="presence")
    fields = ask(card, "presence", [state])
    fields["forms"] = tuple(form.format(finding=finding.lower()) for form in fields["forms"])
    return Record(**fields, item=finding, **shown)


def _in_state(states: States, state: int) -> tuple[str, ...]:
    return tuple(option for option, value in states.items() if value == state)
