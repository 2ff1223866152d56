"""Stream shards into training: exact order, exact resume, any number of processes.

stream = qoqdata.open(DATASET).stream("train", columns=["id", "images", "question", "answer"])
for record in stream: ...
state = stream.state_dict()
"""

from qoqdata.stream.bad_rows import BadRow
from qoqdata.stream.measures import DrawCounts, DrawShares, ShuffleQuality
from qoqdata.stream.mixing import Mix
from qoqdata.stream.settings import StreamSettings
from qoqdata.stream.stream import Stream

__all__ = [
    "BadRow",
    "DrawCounts",
    "DrawShares",
    "Mix",
    "ShuffleQuality",
    "Stream",
    "StreamSettings",
]
