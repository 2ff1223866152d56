"""Turn raw clinical sources into one instruction data set, and say how rare and hard it is.

    ds = qoqdata.open("DATASET")
    ds.records      # polars LazyFrame, one row a question
    ds.stats        # rarity and difficulty tables
    ds.manifest     # what the data set consists of
    ds.to_hf()      # Hugging Face DatasetDict

Names are imported at their first use, so that `import qoqdata` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qoqdata.dataset import Dataset
    from qoqdata.dataset import open_dataset as open
    from qoqdata.errors import QoqdataError
    from qoqdata.version import VERSION as __version__

_HOME = {
    "Dataset": ("qoqdata.dataset", "Dataset"),
    "QoqdataError": ("qoqdata.errors", "QoqdataError"),
    "__version__": ("qoqdata.version", "VERSION"),
    "open": ("qoqdata.dataset", "open_dataset"),
}

__all__ = ["Dataset", "QoqdataError", "__version__", "open"]


def __getattr__(name: str) -> Any:
    try:
        module, attribute = _HOME[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(import_module(module), attribute)
