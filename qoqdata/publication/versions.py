"""Semantic versions of published data sets, and the changelog that explains them."""

from __future__ import annotations

from qoqdata.differences import KINDS, SetDifference
from qoqdata.errors import UsageError

FIRST = "1.0.0"

_WORDS = {
    "added": "added",
    "removed": "removed",
    "moved": "moved to another split",
    "relabelled": "with another question, answer or label",
    "changed": "otherwise changed",
}


def next_version(before: str, difference: SetDifference) -> str:
    """The version after `before`.

    major   numbers measured on the old release no longer compare: records removed or moved
            between splits, or another schema
    minor   records added, relabelled or otherwise changed
    patch   the same records with another card, statistics or recipe
    """
    major, minor, patch = (int(part) for part in before.split("."))
    if difference.schema_changed or difference.count("removed") or difference.count("moved"):
        return f"{major + 1}.0.0"
    if difference.records.height:
        return f"{major}.{minor + 1}.0"
    return f"{major}.{minor}.{patch + 1}"


def check_order(before: str, after: str) -> None:
    """Raise UsageError unless `after` is a later version than `before`."""
    if [int(part) for part in after.split(".")] <= [int(part) for part in before.split(".")]:
        raise UsageError(f"{after} does not come after {before}", where="--version")


def changelog(version: str, difference: SetDifference | None, older: str = "") -> str:
    """CHANGELOG.md with an entry for `version` on top of the `older` text; no entry has a date."""
    title = "# Changelog\n"
    lines = [f"## {version}", ""]
    if difference is None:
        lines.append("First release.")
    elif difference.records.height == 0:
        lines.append("The same records.")
    else:
        for kind in KINDS:
            if count := difference.count(kind):
                sources = difference.records.filter(kind=kind)["source"].unique().sort()
                lines.append(f"- {count:,} records {_WORDS[kind]}: {', '.join(sources)}")
    if difference is not None and difference.schema_changed:
        lines.append("- another schema version")
    body = "\n".join(lines) + "\n"
    rest = older.removeprefix(title).lstrip("\n")
    return f"{title}\n{body}" + (f"\n{rest}" if rest else "")
