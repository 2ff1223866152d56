"""What a build costs beside pixels: CPU a record, and a file when planned and when resumed.

Records are JPEGs of 64 x 64 pixels and about 2 kB with a table, built in this process. The digest
is the manifest's: equal before and after a change that only makes builds faster.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np

from benchmarks.cpu import cpu_seconds
from qoqdata import console
from qoqdata.contract.storage import Storage
from qoqdata.pipeline.build import build
from qoqdata.pipeline.chunks import cut_chunks
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.pipeline.jobs import make_job
from qoqdata.pipeline.planning import make_plan
from qoqdata.pipeline.receipts import common_fingerprint, fingerprint
from qoqdata.records.identity import Salt
from qoqdata.sources import catalogue

SALT = Salt(b"a salt of thirty-two bytes, used")
MAPPING = {
    "slug": "films",
    "name": "Films",
    "domain": "chest_xray",
    "question": "What does it show?",
    "labels": {"a": "Clear", "b": "Opaque"},
    "table": {"file": "labels.csv", "key": "file", "labels": "label", "patient": "patient"},
}
_IN_FOLDER = 1000


def main() -> None:
    """Measure builds of each size once, after a small one that warms up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("counts", type=int, nargs="*", default=[26_100, 100_000])
    counts = parser.parse_args().counts
    with tempfile.TemporaryDirectory() as folder:
        _measure(Path(folder), 100)
        rows = [(f"{count:,}", *_measure(Path(folder), count)) for count in counts]
    titles = ("records", "ms a record", "us a file, planned", "us a file, resumed", "digest")
    console.table(titles, rows)


def make(root: Path, count: int) -> SourceRequest:
    """`count` different images below `root` with their table; returns the request."""
    random = np.random.default_rng(0)
    lines = ["file,label,patient"]
    for number in range(count):
        name = f"p{number // _IN_FOLDER:03d}/{number:06d}.jpg"
        path = root / name
        if number % _IN_FOLDER == 0:
            path.parent.mkdir(parents=True)
        smooth = cv2.resize(random.integers(0, 256, (16, 16), np.uint8), (64, 64))
        path.write_bytes(cv2.imencode(".jpg", smooth, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())
        lines.append(f"{name},{'ab'[number % 2]},p{number // 3}")
    (root / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return SourceRequest(source="image_table", raw=root, mapping=MAPPING)


def _measure(folder: Path, count: int) -> tuple[float, float, float, str]:
    request = make(folder / f"raw{count}", count)
    config, setting = BuildConfig(sources=(request,)), BuildSetting(SALT, workers=0)
    out = folder / f"set{count}"

    digests = set()

    def run() -> None:
        manifest = build(config, out, setting)
        assert sum(shard.rows for shard in manifest.shards) == count
        digests.add(manifest.digest[:16])

    built = cpu_seconds(run)
    planned = cpu_seconds(lambda: _plan(request, config))
    resumed = cpu_seconds(run)
    (digest,) = digests
    return 1e3 * built / count, 1e6 * planned / count, 1e6 * resumed / count, digest


def _plan(request: SourceRequest, config: BuildConfig) -> None:
    """Plan, and look at every file as a resumed build does."""
    source = catalogue.find_source(request.source)
    job = make_job(source, request, limits=config.limits)
    table = make_plan(source, job).table
    common = common_fingerprint(source, job, SALT, config.storage or Storage())
    for chunk in cut_chunks(table, shard_units=job.card.shard_units):
        fingerprint(common, chunk, job.raw)


if __name__ == "__main__":
    main()
