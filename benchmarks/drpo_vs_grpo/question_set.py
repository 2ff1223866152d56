"""A world as a qoqdata set: images and tables built by `image_table`, arrays from its records."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.drpo_vs_grpo.domains import (
    ANSWERS,
    DOMAINS,
    VOCABULARY,
    World,
    class_counts,
    train_counts,
)
from benchmarks.drpo_vs_grpo.scenes import draw
from qoqdata.errors import DatasetError, UnreadableFile

SPLITS = ("train", "validation", "test")
QUESTION = "What does this image show?"


@dataclass(frozen=True)
class Questions:
    """Q questions: `ids` (Q,) text, `images` (Q, 32, 32) uint8, `domains` (Q,) int64 place in
    DOMAINS, `answers` (Q,) int64 place in VOCABULARY."""

    ids: NDArray[np.str_]
    images: NDArray[np.uint8]
    domains: NDArray[np.int64]
    answers: NDArray[np.int64]


def simulate(
    domain: str, count: int, contrast: float, rng: np.random.Generator, *, equal: bool = False
) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """`count` images of a domain and their classes, in the domain's class shares or `equal`."""
    kinds = len(ANSWERS[domain])
    if equal:
        classes = np.arange(count) % kinds
    else:
        classes = np.repeat(np.arange(kinds), class_counts(domain, count))
    classes = rng.permutation(classes)
    return draw(rng, domain, classes, contrast), classes


def build(world: World, folder: Path) -> Path:
    """The data set of `world` below `folder`, built there unless it is finished already."""
    from qoqdata.pipeline.build import build as build_set
    from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
    from qoqdata.records.identity import Salt

    out = folder / world.set_name / "set"
    if (out / "manifest.json").is_file():
        return out
    requests = []
    for place, domain in enumerate(DOMAINS):
        raw = folder / world.set_name / "raw" / domain
        _write_raw(world, place, raw)
        requests.append(SourceRequest(source="image_table", raw=raw, mapping=_mapping(domain)))
    salt = Salt(hashlib.sha256(b"drpo_vs_grpo").digest())
    manifest = build_set(
        BuildConfig(name=world.name, sources=tuple(requests)), out, BuildSetting(salt, workers=0)
    )
    lost = sum(entry.counts.quarantined for entry in manifest.sources.values())
    if lost:
        raise DatasetError(f"{lost} images are in quarantine", where=str(out))
    return out


def read(out: Path) -> dict[str, Questions]:
    """The records of the data set at `out` by split, images decoded."""
    import qoqdata

    columns = ("id", "domain", "split", "answer", "images")
    records = qoqdata.open(out).records.select(columns).sort("id").collect()
    place = {answer: i for i, answer in enumerate(VOCABULARY)}
    found = {}
    for split in SPLITS:
        rows = records.filter(pl.col("split") == split)
        encoded = rows["images"].list.first().struct.field("bytes")
        found[split] = Questions(
            ids=rows["id"].to_numpy().astype(str),
            images=np.stack([_decoded(data) for data in encoded]),
            domains=np.array([DOMAINS.index(name) for name in rows["domain"]], np.int64),
            answers=np.array([place[name] for name in rows["answer"]], np.int64),
        )
    return found


def write_statistics(out: Path, ids: NDArray[np.str_], rewards: NDArray[Any], policy: str) -> Any:
    """Difficulty of rollouts of `policy` (Q, n) on the training records, by the library's own
    commands; the statistics of the data set as `qoqdata stats` leaves them."""
    import qoqdata
    from qoqdata.statistics import difficulty

    dataset = qoqdata.open(out)
    rollouts = out.parent / f"rollouts_{policy}.parquet"
    pl.DataFrame({"id": ids, "rewards": rewards.tolist()}).write_parquet(rollouts)
    measured = difficulty.from_rollouts(rollouts, policy=policy, scorer="accuracy")
    difficulty.write_difficulty(dataset.layout, measured)
    return qoqdata.stats(dataset, policy=policy)


def _decoded(encoded: bytes) -> NDArray[np.uint8]:
    import cv2

    image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise UnreadableFile("an image of the data set does not decode")
    return image.astype(np.uint8, copy=False)


def _write_raw(world: World, place: int, raw: Path) -> None:
    import cv2

    domain = DOMAINS[place]
    rng = np.random.default_rng([world.seed, place])
    counts = (int(train_counts(world)[place]), world.held, world.held)
    rows = []
    raw.mkdir(parents=True, exist_ok=True)
    for split, count in zip(SPLITS, counts, strict=True):
        for i, (image, kind) in enumerate(
            zip(*simulate(domain, count, world.contrast, rng), strict=True)
        ):
            name = f"{split}-{i:05}.png"
            (raw / name).write_bytes(cv2.imencode(".png", image)[1].tobytes())
            rows.append((name, ANSWERS[domain][kind], split))
    table = pl.DataFrame(rows, schema=("file", "finding", "set"), orient="row")
    table.write_csv(raw / "labels.csv")


def _mapping(domain: str) -> dict[str, Any]:
    return {
        "slug": f"simulated_{domain}",
        "name": f"Simulated {domain}",
        "domain": domain,
        "licence": "CC0-1.0",
        "redistribution": "allowed",
        "question": QUESTION,
        "labels": {answer: answer for answer in ANSWERS[domain]},
        "table": {"file": "labels.csv", "key": "file", "labels": "finding", "split": "set"},
    }
