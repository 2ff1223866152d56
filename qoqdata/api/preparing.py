"""Tables of a source that are too large to be planned from, made small once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from qoqdata.errors import UsageError


def prepare(
    source: str,
    *,
    raw: str | Path,
    out: str | Path | None = None,
    progress: Callable[[str, int], None] | None = None,
) -> Mapping[str, Any]:
    """Prepare the large tables of a source; returns what was made of what, as plain JSON values.

        qoqdata.prepare("mimic_iv", raw="./mimiciv")
        qoqdata.build("mimic_iv", raw="./mimiciv", out="./set")

    The result lies in `out`, by default in the raw folder where the source looks for it; elsewhere,
    mount it under that name. Called again it keeps what is whole, and goes on where it was
    interrupted. Memory does not grow with the tables. `progress` hears of the step and of what is
    done of it.

    Raises UnknownSource, UsageError for a source without such tables and for folders that are not
    there, and InputError for tables that are missing, damaged or other ones.
    """
    from qoqdata.sources import catalogue

    found = catalogue.find_source(source)
    if found.prepare is None or found.prepared_folder is None:
        fix = f"build it; these are prepared: {', '.join(catalogue.prepared()) or 'none'}"
        raise UsageError("has no tables to prepare", where=f"source {source}", fix=fix)
    raw = Path(raw)
    if not raw.is_dir():
        raise UsageError("there is no such raw folder", where=str(raw), fix="check --raw")
    target = raw / found.prepared_folder if out is None else Path(out)
    return found.prepare(raw, target, progress=progress or (lambda step, done: None))
