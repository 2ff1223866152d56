"""Turn raw clinical sources into one instruction data set, and say how rare and hard it is.

ds = qoqdata.open("DATASET")
ds.records      # polars LazyFrame, one row a question
ds.stats        # rarity and difficulty tables
ds.manifest     # what the data set consists of
ds.to_hf()      # Hugging Face DatasetDict
"""

from qoqdata.dataset import Dataset, open_dataset
from qoqdata.dataset import open_dataset as open
from qoqdata.errors import QoqdataError
from qoqdata.version import VERSION as __version__

__all__ = ["Dataset", "QoqdataError", "__version__", "open", "open_dataset"]
