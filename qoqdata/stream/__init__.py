"""Stream shards into training: exact order, exact resume, any number of processes.

stream = qoqdata.open(DATASET).stream("train", columns=["id", "images", "question", "answer"])
for record in stream: ...
state = stream.state_dict()
"""

from qoqdata.stream.bad_rows import BadRow
from qoqdata.stream.mixing import Mix
from qoqdata.stream.settings import Settings
from qoqdata.stream.stream import Realised, Sampling, Stream

__all__ = ["BadRow", "Mix", "Realised", "Sampling", "Settings", "Stream"]
