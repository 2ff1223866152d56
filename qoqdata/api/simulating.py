"""Made-up raw trees of a source, for tests, examples and a first look."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from qoqdata.atomic import naming
from qoqdata.errors import UsageError

#: A hidden file, which no build reads: it marks what tables cannot say themselves.
NOTE = ".synthetic.json"


def simulated() -> tuple[str, ...]:
    """The slugs of the sources that can be simulated, sorted."""
    from qoqdata.sources import catalogue

    return catalogue.simulated()


def simulate_all(
    *,
    n: int,
    out: str | Path,
    seed: int = 0,
    quirks: bool = False,
    progress: Callable[[int], None] | None = None,
) -> dict[str, int]:
    """Write a raw tree of `n` made-up units of every source that has a simulator, each in a folder
    of its name below `out`; returns the number of files by source.

    Arguments are those of `simulate`, which says what is raised; `progress` hears of all files.
    """
    counts: dict[str, int] = {}

    def heard(files: int) -> None:
        if progress is not None:
            progress(sum(counts.values()) + files)

    for slug in simulated():
        folder = Path(out) / slug
        counts[slug] = simulate(slug, n=n, out=folder, seed=seed, quirks=quirks, progress=heard)
    return counts


def simulate(
    source: str,
    *,
    n: int,
    out: str | Path,
    seed: int = 0,
    quirks: bool = False,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Write a raw tree of `n` made-up units of a source at `out`; returns the number of its files.

        qoqdata.simulate("lc25000", n=50, out="./raw")
        qoqdata.build("lc25000", raw="./raw", out="./set")

    The tree has the publisher's layout. The same seed gives the same files. `quirks` puts the known
    faults of the real source among them, some of which end in quarantine. Files say inside that
    they are synthetic where their format has a place; the hidden file `.synthetic.json` says it of
    the tree. `progress` hears of the number of files so far.

    Raises UnknownSource, and UsageError for a source without a simulator, for `n` below 1 and for a
    folder that holds something.
    """
    from qoqdata.simulation import MARK, write_text
    from qoqdata.simulation.mark import listening
    from qoqdata.sources import catalogue

    function = catalogue.find_source(source).simulate
    if function is None:
        fix = f"these have one: {', '.join(catalogue.simulated())}"
        raise UsageError("has no simulator", where=f"source {source}", fix=fix)
    if n < 1:
        raise UsageError(f"{n} units are none", where="--n", fix="ask for one at least")
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError("is there already", where=str(out), fix="name a new or an empty folder")
    note = {"note": MARK, "source": source, "n": n, "seed": seed, "quirks": quirks}
    paths: set[Path] = set()

    def heard(path: Path) -> None:
        paths.add(path)
        if progress is not None:
            progress(len(paths))

    with naming(out):
        write_text(out / NOTE, json.dumps(note) + "\n")
        with listening(heard):
            function(out, n, seed=seed, quirks=quirks)
    return sum(path.is_file() for path in out.rglob("*")) - 1
