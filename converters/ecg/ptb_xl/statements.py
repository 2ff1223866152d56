"""SCP-ECG statements of a PTB-XL record: a code each, with its likelihood in per cent."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from qoqdata.errors import BadLabel, BadTable, DuplicateKey
from qoqdata.sources import cells
from qoqdata.sources.protocol import Job

#: Below this stated likelihood (per cent) a statement counts as uncertain.
UNCERTAIN_BELOW = 50
#: A code is of one or two of these kinds; three stand in form and diagnostic.
KINDS = ("diagnostic", "form", "rhythm")


@dataclass(frozen=True)
class Code:
    """What scp_statements.csv says of a code; class and subclass are of diagnostic ones."""

    kinds: frozenset[str]
    superclass: str | None
    subclass: str | None


def read_codes(job: Job) -> dict[str, Code]:
    """Every code of scp_statements.csv.

    Raises BadTable for a diagnostic code without a class and a kind that is not 1, 0 or blank,
    DuplicateKey for a code of two rows.
    """
    # The column of the codes has no name.
    columns = ["", *KINDS, "diagnostic_class", "diagnostic_subclass"]
    codes = {}
    for row in job.raw.csv("scp_statements.csv", columns=columns).iter_rows(named=True):
        where = f"scp_statements.csv, {row['']}"
        flags = {kind: cells.integer(row[kind]) if row[kind] else 0 for kind in KINDS}
        if strange := [kind for kind, flag in flags.items() if flag not in (0, 1)]:
            raise BadTable(f"{strange[0]} is {row[strange[0]]!r}, not 1, 0 or blank", where=where)
        if row[""] in codes:
            raise DuplicateKey("the code has two rows", where=where, fix="fetch the table again")
        kinds = frozenset(kind for kind, flag in flags.items() if flag)
        names = (row["diagnostic_class"], row["diagnostic_subclass"])
        if "diagnostic" in kinds and None in names:
            raise BadTable("is diagnostic and has no class or subclass", where=where)
        codes[row[""]] = Code(kinds, *(names if "diagnostic" in kinds else (None, None)))
    return codes


def read_likelihoods(
    text: str | None, codes: Mapping[str, Code], *, where: str
) -> dict[str, float]:
    """The likelihood of each code of the column scp_codes, in its order; 0 where it is not stated.

    Raises BadTable for what is no dictionary, and BadLabel for a code that `codes` lacks.
    """
    try:
        # Of a key that stands twice a dict would keep the last value.
        written = ast.parse(text or "", mode="eval").body
        stated = ast.literal_eval(written).items()
        likelihoods = {str(code): float(value) for code, value in stated}
        twice = len(written.keys) > len(likelihoods) if isinstance(written, ast.Dict) else False
    except (ValueError, SyntaxError, AttributeError, TypeError, MemoryError, RecursionError):
        raise BadTable(f"scp_codes {text!r} cannot be parsed", where=where) from None
    if twice:
        raise BadTable(f"scp_codes {text!r} states a code twice", where=where)
    if unknown := sorted(set(likelihoods) - set(codes)):
        raise BadLabel(f"SCP code {unknown[0]} is not in scp_statements.csv", where=where)
    return likelihoods


def states(pairs: Iterable[tuple[str | None, float]]) -> tuple[list[str], list[str]]:
    """The names that are stated, sorted, and those of them that every statement of theirs doubts.

    `pairs` are a name, None for what has none, and the likelihood of a statement that means it.
    """
    by_name: dict[str, list[float]] = {}
    for name, likelihood in pairs:
        if name is not None:
            by_name.setdefault(name, []).append(likelihood)
    doubted = (
        name
        for name, values in by_name.items()
        if all(0 < value < UNCERTAIN_BELOW for value in values)
    )
    return sorted(by_name), sorted(doubted)
