"""The stream as an IterableDataset of Hugging Face datasets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from qoqdata.contract.features import feature
from qoqdata.contract.record import RECORD
from qoqdata.errors import UsageError

if TYPE_CHECKING:
    from datasets import IterableDataset

    from qoqdata.stream.stream import Stream

_MEDIA = ("images", "masks")


def view(stream: Stream) -> IterableDataset:
    """The stream from where it is, features as in `qoqdata.contract.record`, images as PIL images.

    Each loop begins there again, and its own resume reads over what came before: for an exact and
    quick one use the state of the stream. Raises UsageError for a stream that decodes images
    itself.
    """
    from datasets import Features, IterableDataset

    if stream.settings.images != "bytes":
        fix = 'open the stream with images="bytes"'
        raise UsageError("the view decodes images itself", where="hf", fix=fix)
    features = {name: feature(RECORD.field(name).type) for name in stream.settings.read_columns}
    features["position"] = {"dtype": "int64", "_type": "Value"}
    if stream.settings.on_bad == "next":
        features["instead_of"] = {"dtype": "string", "_type": "Value"}
    return IterableDataset.from_generator(
        _records,
        features=Features.from_dict(features),
        gen_kwargs={"stream": stream.shared(stream.share), "begin": stream.state_dict()},
    )


def _records(stream: Stream, begin: dict[str, Any]) -> Iterator[dict[str, Any]]:
    own = stream.shared(stream.share)
    own.load_state_dict(begin)
    for record in own:
        for name in _MEDIA:
            if record.get(name) is not None:
                record[name] = [data and {"bytes": data, "path": None} for data in record[name]]
        yield record
