"""Turn raw clinical sources into one instruction data set, and say how rare and hard it is.

    qoqdata.build("ptb_xl", raw="/data/ptb-xl", out="./set")
    ds = qoqdata.open("./set")
    ds[0], len(ds)  # a kept record as a dictionary, and how many there are
    ds.records      # polars LazyFrame, one row a question
    ds.stats        # rarity and difficulty tables
    ds.manifest     # what the data set consists of
    ds.to_hf()      # Hugging Face DatasetDict

Every command is a function of the same name that shows nothing. Where one takes a data set, a
folder, a URL and an opened data set will do; those that write into the set need its folder.

Names are imported at their first use, so that `import qoqdata` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qoqdata.api.building import build, finish, new_source, plan, rebuild, traces
    from qoqdata.api.cataloguing import (
        cards,
        example_mapping,
        find_source,
        overviews,
        sources_page,
    )
    from qoqdata.api.collecting import survey
    from qoqdata.api.estimating import estimate
    from qoqdata.api.fetching import check_raw, get
    from qoqdata.api.looking import (
        comment,
        correct,
        decide,
        plot,
        relabel,
        replay,
        report,
        undo,
        view,
        why,
    )
    from qoqdata.api.measuring import (
        audit,
        benchmark_index,
        curate,
        diff,
        difficulty,
        prove,
        select,
        stats,
        unselect,
        validate,
    )
    from qoqdata.api.preparing import prepare
    from qoqdata.api.publishing import blanking, card, export, publish
    from qoqdata.api.simulating import simulate, simulate_all, simulated
    from qoqdata.dataset import Dataset
    from qoqdata.dataset import open_dataset as open
    from qoqdata.errors import QoqdataError
    from qoqdata.version import VERSION as __version__

_MODULES = {
    "qoqdata.api.building": ("build", "finish", "new_source", "plan", "rebuild", "traces"),
    "qoqdata.api.cataloguing": (
        "cards",
        "example_mapping",
        "find_source",
        "overviews",
        "sources_page",
    ),
    "qoqdata.api.looking": (
        "comment",
        "correct",
        "decide",
        "plot",
        "relabel",
        "replay",
        "report",
        "undo",
        "view",
        "why",
    ),
    "qoqdata.api.publishing": ("blanking", "card", "export", "publish"),
    "qoqdata.api.collecting": ("survey",),
    "qoqdata.api.estimating": ("estimate",),
    "qoqdata.api.fetching": ("check_raw", "get"),
    "qoqdata.api.measuring": (
        "audit",
        "benchmark_index",
        "curate",
        "diff",
        "difficulty",
        "prove",
        "select",
        "stats",
        "unselect",
        "validate",
    ),
    "qoqdata.api.preparing": ("prepare",),
    "qoqdata.api.simulating": ("simulate", "simulate_all", "simulated"),
    "qoqdata.dataset": ("Dataset",),
    "qoqdata.errors": ("QoqdataError",),
}
#: Where each public name is: its module and its name there.
_HOME = {name: (module, name) for module, names in _MODULES.items() for name in names} | {
    "__version__": ("qoqdata.version", "VERSION"),
    "open": ("qoqdata.dataset", "open_dataset"),
}

__all__ = [
    "Dataset",
    "QoqdataError",
    "__version__",
    "audit",
    "benchmark_index",
    "blanking",
    "build",
    "card",
    "cards",
    "check_raw",
    "comment",
    "correct",
    "curate",
    "decide",
    "diff",
    "difficulty",
    "estimate",
    "example_mapping",
    "export",
    "find_source",
    "finish",
    "get",
    "new_source",
    "open",
    "overviews",
    "plan",
    "plot",
    "prepare",
    "prove",
    "publish",
    "rebuild",
    "relabel",
    "replay",
    "report",
    "select",
    "simulate",
    "simulate_all",
    "simulated",
    "sources_page",
    "stats",
    "survey",
    "traces",
    "undo",
    "unselect",
    "validate",
    "view",
    "why",
]


def __getattr__(name: str) -> Any:
    try:
        module, attribute = _HOME[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    """The public names, for tab completion."""
    return __all__
