"""README.md of a working set: its splits for plain clients, and what it is not."""

from __future__ import annotations

from pathlib import Path

import yaml

from qoqdata.contract.manifest import Manifest
from qoqdata.contract.vocabulary import SPLITS
from qoqdata.roles import evaluation_sources, working_configs

_TEXT = """
# {name}

A working set of qoqdata: {records:,} records of {sources}. It is no release: nothing has
looked at what may leave, and records that curation drops stay in these files. `qoqdata.open` leaves
them out; a plain client does not. This makes a copy without them:

    qoqdata export {name} --to records --out COPY

`datasets.load_dataset("{name}")` gives each split as it is meant{benchmarks}.
"""


def write_readme(root: Path, manifest: Manifest) -> None:
    """Write the README.md of the data set at `root`.

    Its front matter lists the files of each split, without which a client takes all of them for
    train; each evaluation source is a config of its own.
    """
    benchmarks = evaluation_sources(manifest)
    configs = []
    for name, slugs in working_configs(manifest).items():
        own = [shard for shard in manifest.shards if shard.source in slugs]
        files = [
            {"split": split, "path": paths}
            for split in SPLITS
            if (paths := [shard.path for shard in own if shard.split == split])
        ]
        configs.append({"config_name": name, "data_files": files})
    front = yaml.safe_dump({"configs": configs}, sort_keys=False, allow_unicode=True)
    held_out = "; the configs " + ", ".join(benchmarks) + " are for evaluation only"
    text = _TEXT.format(
        name=root.resolve().name,
        records=sum(shard.rows for shard in manifest.shards),
        sources=", ".join(sorted(manifest.sources)),
        benchmarks=held_out if benchmarks else "",
    )
    (root / "README.md").write_text(f"---\n{front}---\n{text}", encoding="utf-8")
