"""A data set of millions of records with the shares of the published set, almost without pixels:
metadata, likenesses, receipts and a manifest. What passes over all records is measured on it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.curation.shown import Planted, likeness_of, shown, write_pixels
from qoqdata.atomic import digest, file_digest
from qoqdata.contract.card import Card
from qoqdata.contract.manifest import Shard
from qoqdata.contract.vocabulary import DOMAINS
from qoqdata.layout import Layout
from qoqdata.manifest import shards_digest
from qoqdata.metadata import ROW_GROUP, SCHEMA
from qoqdata.records import likeness_table

#: Records a shard, so that the number of files is that of a real set.
SHARD = 20_000
_LEADS = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]
#: Shares of the domains, about those of QoQ-Med's set: two thirds ECG and chest films.
_SHARES = (0.30, 0.03, 0.04, 0.05, 0.03, 0.06, 0.03, 0.04, 0.35, 0.07)
_ANSWERS = ("Normal", "Opacity", "Effusion", "Fracture", "Nodule", "Fibrosis", "Oedema", "Mass")


def write_large(root: Path, records: int, card: Card, *, seed: int = 0) -> Planted:
    """Write the data set below `root`: a source a domain, 80 / 10 / 10 by split, 1.3 questions a
    study, one image or, in the domain ecg, one signal a record; returns what copies are in it."""
    rng = np.random.default_rng(seed)
    layout = Layout(root)
    shards, sources, meta = [], {}, {}
    planted = Planted()
    (root / "cards").mkdir(parents=True)
    (root / "meta").mkdir()
    for domain, share in zip(DOMAINS, _SHARES, strict=True):
        slug = f"large_{domain}"
        own = card.model_copy(update={"slug": slug, "domain": domain, "name": slug})
        content = own.model_dump(mode="json")
        (root / "cards" / f"{slug}.json").write_text(json.dumps(content))
        counts = {
            split: int(records * share * part)
            for split, part in (("test", 0.1), ("train", 0.8), ("validation", 0.1))
        }
        tables, entries, before = [], [], 0
        shows, copies = shown(rng, *counts.values(), signals=domain == "ecg")
        planted = Planted(*map(sum, zip(planted, copies, strict=True)))
        for split, count in counts.items():
            for number, start in enumerate(range(0, count, SHARD)):
                rows = min(SHARD, count - start)
                name = f"{split}-{number:05}"
                sha = digest([slug, name])
                tables.append(_metadata(rng, slug, domain, split, start, rows))
                own = slice(before, before + rows)
                likeness_table.write_table(
                    layout.likeness(slug, name), likeness_of(shows, own), sha
                )
                path = layout.shard(slug, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                write_pixels(path, shows, own)
                before += rows
                entries.append(_shard(slug, split, name, rows, path.stat().st_size, sha))
        path = layout.metadata(slug)
        with pq.ParquetWriter(path, SCHEMA, compression="zstd", write_page_checksum=True) as writer:
            writer.write_table(pa.concat_tables(tables), row_group_size=ROW_GROUP)
        total = sum(counts.values())
        meta[slug] = {
            "path": f"meta/{slug}.parquet",
            "rows": total,
            "bytes": path.stat().st_size,
            "sha256": file_digest(path),
        }
        shards += entries
        sources[slug] = _entry(domain, total, counts, digest(content))
    manifest = {
        "name": "large",
        "schema_version": 2,
        "manifest_version": 2,
        "qoqdata_version": "0",
        "config_digest": "0" * 64,
        "salt_fingerprint": "0" * 16,
        "digest": shards_digest(Shard.model_validate(entry) for entry in shards),
        "sources": sources,
        "meta": meta,
        "shards": shards,
    }
    layout.manifest.write_text(json.dumps(manifest))
    return planted


def _shard(slug: str, split: str, name: str, rows: int, size: int, sha: str) -> dict[str, Any]:
    groups = [100] * (rows // 100) + ([rows % 100] if rows % 100 else [])
    return {
        "path": f"data/{slug}/{name}.parquet",
        "source": slug,
        "split": split,
        "rows": rows,
        "row_groups": groups,
        "bytes": size,
        "sha256": sha,
    }


def _entry(domain: str, total: int, counts: dict[str, int], card: str) -> dict[str, Any]:
    return {
        "converter": "image_table",
        "version": 1,
        "domain": domain,
        "licence": "CC0",
        "redistribution": "allowed",
        "card_digest": card,
        "code_digest": "0" * 64,
        "options": {},
        "storage": {},
        "limit": None,
        "refused": None,
        "counts": {
            "units": total,
            "converted": total,
            "quarantined": 0,
            "filtered": 0,
            "records": total,
            "annotation_only": 0,
            "by_split": counts,
        },
    }


def _metadata(
    rng: np.random.Generator, slug: str, domain: str, split: str, start: int, rows: int
) -> pa.Table:
    studies = (start + np.arange(rows)) * 10 // 13
    answer = np.minimum(rng.geometric(0.4, rows) - 1, len(_ANSWERS) - 1)
    chosen = pa.array(_ANSWERS).take(pa.array(answer))
    ones = pa.array(np.arange(rows + 1, dtype=np.int32))
    side = pa.array(np.full(rows, 512, np.int32))
    info = SCHEMA.field("image_info").type
    values: dict[str, pa.Array] = {
        "id": _keys(slug, split, "record", range(start, start + rows)),
        "source": _same(slug, rows),
        "domain": _same(domain, rows),
        "modality": _same("ecg" if domain == "ecg" else "image_2d", rows),
        "task": _same("diagnosis", rows),
        "kind": _same("single", rows),
        "item": pa.array([f"{n % 13}" for n in range(rows)]),
        "split": _same(split, rows),
        "patient": _keys(slug, split, "patient", studies // 2),
        "study": _keys(slug, split, "study", studies),
        "question": _same("What does the image show?", rows),
        "options": pa.ListArray.from_arrays(
            pa.array(np.arange(rows + 1, dtype=np.int32) * len(_ANSWERS)),
            pa.array(np.tile(_ANSWERS, rows)),
        ),
        "answer": chosen,
        "labels": pa.ListArray.from_arrays(ones, chosen),
        "age": pa.array(rng.integers(18, 90, rows), pa.int16()),
        "sex": pa.array(("female", "male")).take(pa.array(rng.integers(0, 2, rows))),
        "licence": _same("CC0", rows),
        "redistribution": _same("allowed", rows),
        "image_info": pa.ListArray.from_arrays(
            ones,
            pa.StructArray.from_arrays(
                [
                    side
                    if pa.types.is_int32(field.type)
                    else _same("training", rows)
                    if field.name == "stored_as"
                    else pa.nulls(rows, field.type)
                    for field in info.value_type
                ],
                fields=list(info.value_type),
            ),
        ),
        "provenance": pa.StructArray.from_arrays(
            [
                pa.ListArray.from_arrays(ones, pa.array([f"{start + n}.png" for n in range(rows)])),
                _same("0" * 64, rows),
                _same("blake3", rows),
                _same("image_table", rows),
                _same("1", rows),
                pa.ListArray.from_arrays(
                    pa.array(np.zeros(rows + 1, np.int32)), pa.array([], pa.string())
                ),
            ],
            fields=list(SCHEMA.field("provenance").type),
        ),
    }
    if domain == "ecg":
        del values["image_info"]
        leads = pa.ListArray.from_arrays(
            pa.array(np.arange(rows + 1, dtype=np.int32) * len(_LEADS)), pa.array(_LEADS * rows)
        )
        rate = pa.array(np.full(rows, 500.0))
        kind = SCHEMA.field("ecg").type
        values["ecg"] = pa.StructArray.from_arrays(
            [leads.cast(kind[0].type), rate.cast(kind[1].type)], fields=list(kind)
        )
    columns = [
        values[field.name].cast(field.type) if field.name in values else pa.nulls(rows, field.type)
        for field in SCHEMA
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def _keys(slug: str, split: str, kind: str, numbers: Iterable[int]) -> pa.Array:
    """Keys as hashes are: 32 hexadecimal digits that sort and compress as noise does."""
    start = hashlib.blake2b(f"{slug} {split} {kind} ".encode(), digest_size=16)

    def key(number: int) -> str:
        one = start.copy()
        one.update(b"%d" % number)
        return one.hexdigest()

    return pa.array([key(number) for number in numbers])


def _same(value: str, rows: int) -> pa.Array:
    return pa.repeat(pa.scalar(value), rows)
