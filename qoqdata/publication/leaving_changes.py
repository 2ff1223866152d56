"""What changes in a shard on its way out: records that go, and boxes that are made black."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from qoqdata import verdicts
from qoqdata.atomic import digest
from qoqdata.contract.manifest import Shard
from qoqdata.curation.burned_in.blanking import Boxes, blank_rows
from qoqdata.dataset import Dataset

#: Below the package, the code that makes the bytes of a changed shard.
_CODE = ("curation/burned_in", "pipeline", "pipeline/own_columns", "readers", "readers/image")
#: What it decodes and encodes with.
_LIBRARIES = ("deflate", "numpy", "opencv-python-headless", "pillow", "pyarrow")


@dataclass(frozen=True)
class Change:
    """Of the rows of one shard, or of the metadata of all of them: those `dropped` are left out,
    and `boxes` of others are black."""

    dropped: tuple[str, ...]
    boxes: Boxes

    def __call__(self, table: pa.Table) -> pa.Table:
        """What leaves of some of the rows."""
        dropped = pa.array(self.dropped, pa.string())
        kept = table.filter(pc.invert(pc.is_in(table.column("id"), dropped)))
        return blank_rows(kept, self.boxes)

    def of(self, shard: Shard) -> str:
        """A digest of all that the bytes depend on which it makes of that shard."""
        boxes = sorted((id_, sorted(images.items())) for id_, images in self.boxes.items())
        whole = [shard.path, shard.sha256, self.dropped, boxes, _made_by()]
        return digest(whole)


def changes_of(dataset: Dataset, blanked: Boxes, open_pixels: Collection[str]) -> dict[str, Change]:
    """What changes in the shards that hold dropped records or, of sources with `open_pixels`,
    blanked ones, by path."""
    shards = dataset.manifest.shards
    gone = verdicts.dropped(dataset.layout)["id"].unique().to_list()
    dropped, painted = _by_shard(dataset, gone), _by_shard(dataset, blanked)
    painted = {n: ids for n, ids in painted.items() if shards[n].source in open_pixels}
    return {
        shards[n].path: Change(
            tuple(sorted(dropped.get(n, ()))), {id_: blanked[id_] for id_ in painted.get(n, ())}
        )
        for n in sorted({*dropped, *painted})
    }


def _by_shard(dataset: Dataset, ids: Iterable[str]) -> Mapping[int, list[str]]:
    """Those of some records that are in the data set, by the number of their shard."""
    places = pl.DataFrame(dataset.files.leaves(["id"]))
    some = pl.DataFrame({"id": list(ids)}, schema={"id": pl.String})
    found: dict[int, list[str]] = defaultdict(list)
    for id_, number in places.join(some, on="id", how="semi").select("id", "shard").iter_rows():
        found[number].append(id_)
    return found


@cache
def _made_by() -> str:
    """A digest of the code that rewrites a shard, and the versions of what it uses."""
    total = hashlib.sha256()
    package = Path(verdicts.__file__).parent
    for folder in _CODE:
        for path in sorted((package / folder).glob("*.py")):
            total.update(f"{path.name} {path.stat().st_size} ".encode() + path.read_bytes())
    return digest([total.hexdigest(), *map(_version, _LIBRARIES)])


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None
