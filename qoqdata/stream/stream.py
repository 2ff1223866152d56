"""The stream that a data set opens: records, and views of them for torch and Hugging Face."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from qoqdata.contract.features import feature
from qoqdata.contract.manifest import Manifest
from qoqdata.contract.record import RECORD
from qoqdata.errors import UsageError
from qoqdata.remote.files import Files
from qoqdata.roles import in_words
from qoqdata.stream import index as indices
from qoqdata.stream import mixing
from qoqdata.stream.bad_rows import BadRows
from qoqdata.stream.draws import DrawSegment, units
from qoqdata.stream.record_stream import RecordStream
from qoqdata.stream.sequence import sequence
from qoqdata.stream.settings import StreamSettings

if TYPE_CHECKING:
    from datasets import IterableDataset as HFDataset

    from qoqdata.statistics.tables import Stats
    from qoqdata.stream.torch_data import StreamLoader, TorchStream

_MEDIA = ("images", "masks")


class Stream(RecordStream):
    """Records in an exact order, for a plain loop, for torch and for Hugging Face datasets.

    Order, sharing between processes and resuming are those of `RecordStream`.
    """

    def torch(self, *, batch_size: int = 1) -> TorchStream:
        """A torch IterableDataset of this stream, for a DataLoader of that `batch_size`."""
        from qoqdata.stream.torch_data import TorchStream

        return TorchStream(self, batch_size=batch_size)

    def loader(self, *, batch_size: int, workers: int = 0, **options: Any) -> StreamLoader:
        """Batches through torch's DataLoader, with the stream's state; see `torch_data`."""
        from qoqdata.stream.torch_data import StreamLoader

        return StreamLoader(self, batch_size=batch_size, workers=workers, **options)

    def hf(self) -> HFDataset:
        """The stream from where it is, features as in `qoqdata.contract.record`, images as PIL.

        Each loop over the Hugging Face IterableDataset begins there again, and its own resume reads
        over what came before: for an exact and quick one use the state of the stream. Raises
        UsageError for a stream that decodes images itself.
        """
        from datasets import Features, IterableDataset

        if self.settings.images != "bytes":
            fix = 'open the stream with images="bytes"'
            raise UsageError("the view decodes images itself", where="hf", fix=fix)
        features = {name: feature(RECORD.field(name).type) for name in self.settings.read_columns}
        features["position"] = {"dtype": "int64", "_type": "Value"}
        if self.settings.on_bad == "next":
            features["instead_of"] = {"dtype": "string", "_type": "Value"}
        return IterableDataset.from_generator(
            _hf_records,
            features=Features.from_dict(features),
            gen_kwargs={"stream": self.shared(self.share), "begin": self.state_dict()},
        )


def open_stream(
    files: Files, manifest: Manifest, stats: Callable[[], Stats], settings: StreamSettings
) -> Stream:
    """The stream that `settings` ask for; `stats` is called for the statistics if they are needed.

    What training leaves out is logged once, by rank 0. Raises as `index.build` and `mixing.weights`
    do.
    """
    index = indices.build(files, manifest, settings)
    if index.left_out and settings.rank == 0:
        logging.getLogger(__name__).warning("%s: %s", files.origin(), in_words(index.left_out))
    group_bytes = _mean_group_bytes(manifest, index)
    order = sequence(index, settings, digest=manifest.digest, group_bytes=group_bytes)
    segment = None
    if (mix := settings.mix) is not None:
        sizes = order.sizes
        records = dict(zip(order.members, sizes.tolist(), strict=True))
        if mix.weights == "rarity":
            weights = mixing.weights(mix, order.studies, stats())
        elif mix.weights == "target":
            weights = mixing.weights(mix, order.study_masses, None)
        else:
            weights = mixing.weights(mix, records, None)
        chances = mixing.probabilities(weights, records, max_repeats=mix.max_repeats)
        segment = DrawSegment(order.key, 0, np.zeros_like(sizes), units(chances))
    bad = BadRows(settings.bad_log)
    return Stream(files, manifest, settings, sequence=order, segment=segment, bad=bad)


def _mean_group_bytes(manifest: Manifest, index: indices.Index) -> float:
    """Bytes of a row group on average over the shards of the stream, by manifest and index."""
    shards = np.unique(index.groups.shard)
    groups = len(np.unique(index.groups.group))
    return float(sum(manifest.shards[number].bytes for number in shards.tolist()) / groups)


def _hf_records(stream: RecordStream, begin: dict[str, Any]) -> Iterator[dict[str, Any]]:
    own = stream.shared(stream.share)
    own.load_state_dict(begin)
    for record in own:
        for name in _MEDIA:
            if record.get(name) is not None:
                record[name] = [data and {"bytes": data, "path": None} for data in record[name]]
        yield record
