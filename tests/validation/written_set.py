"""A data set written by hand, without the build, with a manifest that is right by construction."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from qoqdata.atomic import digest
from qoqdata.contract.card import Card
from qoqdata.contract.manifest import Shard
from qoqdata.dataset import Dataset, open_dataset
from qoqdata.errors import DatasetError
from qoqdata.metadata import write_metadata
from tests.contract.test_card import CONTENT
from tests.records.sound_rows import table

Row = dict[str, Any]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write(root: Path, rows: Iterable[Row], **changes: Any) -> Dataset:
    """Shards by split of rows of the source `films`; `changes` are other counts of the manifest."""
    by_split: dict[str, list[Row]] = {}
    for row in rows:
        by_split.setdefault(row["split"], []).append(row)
    (root / "data" / "films").mkdir(parents=True)
    (root / "cards").mkdir()
    for split, members in by_split.items():
        pq.write_table(table(*members), root / "data" / "films" / f"{split}-00000.parquet")
    card = Card.model_validate(CONTENT).model_dump(mode="json")
    (root / "cards" / "films.json").write_text(json.dumps(card))
    total = sum(map(len, by_split.values()))
    counts = {
        "units": total,
        "converted": total,
        "quarantined": 0,
        "filtered": 0,
        "records": total,
        "annotation_only": 0,
        "by_split": {split: len(members) for split, members in by_split.items()},
    }
    source = {
        "converter": "films",
        "version": 1,
        "domain": "chest_xray",
        "licence": "CC0",
        "redistribution": "allowed",
        "card_digest": digest(card),
        "code_digest": "0" * 64,
        "options": {},
        "storage": {},
        "limit": None,
        "refused": None,
        "counts": counts | changes,
    }
    save(
        root,
        {
            "name": "written",
            "schema_version": 2,
            "manifest_version": 2,
            "qoqdata_version": "0",
            "config_digest": "0" * 64,
            "salt_fingerprint": "0" * 16,
            "digest": "0" * 64,
            "sources": {"films": source},
            "meta": {},
            "shards": [
                {"path": f"data/films/{split}-00000.parquet", "source": "films", "split": split}
                for split in sorted(by_split)
            ],
        },
    )
    return reseal(root)


def save(root: Path, manifest: dict[str, Any]) -> None:
    (root / "manifest.json").write_text(json.dumps(manifest))


def load(root: Path) -> dict[str, Any]:
    return json.loads((root / "manifest.json").read_bytes())


def reseal(root: Path) -> Dataset:
    """State the digests and sizes of the shards as they are now; open the data set.

    Metadata are written anew where every shard can still be read.
    """
    manifest = load(root)
    for shard in manifest["shards"]:
        path = root / shard["path"]
        shard["bytes"], shard["sha256"] = path.stat().st_size, sha256(path)
        with suppress(pa.ArrowInvalid):
            footer = pq.read_metadata(path)
            shard.setdefault("rows", footer.num_rows)
            groups = map(footer.row_group, range(footer.num_row_groups))
            shard["row_groups"] = [group.num_rows for group in groups]
    lines = sorted(f"{shard['path']} {shard['sha256']}\n" for shard in manifest["shards"])
    manifest["digest"] = hashlib.sha256("".join(lines).encode()).hexdigest()
    with suppress(DatasetError):
        written = write_metadata(root, map(Shard.model_validate, manifest["shards"]))
        manifest["meta"] = {source: file.model_dump() for source, file in written.items()}
    save(root, manifest)
    return open_dataset(root)
