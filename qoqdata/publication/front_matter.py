"""The YAML block at the top of a dataset card, as the Hub reads it."""

from __future__ import annotations

from typing import Any

from qoqdata.contract.vocabulary import SPLITS
from qoqdata.publication.facts import Facts
from qoqdata.publication.licences import licence_id
from qoqdata.yaml_document import dump_yaml

#: Identifiers of the Hub's licence list for SPDX ones; all else is "other" with its name.
_HUB_LICENCES = {
    "cc0-1.0",
    "cc-by-3.0",
    "cc-by-4.0",
    "cc-by-sa-3.0",
    "cc-by-sa-4.0",
    "cc-by-nc-3.0",
    "cc-by-nc-4.0",
    "cc-by-nc-sa-3.0",
    "cc-by-nc-sa-4.0",
    "apache-2.0",
    "mit",
    "pddl",
}
_ODC = {"odc-by-1.0": "odc-by", "odbl-1.0": "odbl"}

_SIZES = (
    (10**3, "n<1K"),
    (10**4, "1K<n<10K"),
    (10**5, "10K<n<100K"),
    (10**6, "100K<n<1M"),
    (10**7, "1M<n<10M"),
)


#: Records with what a policy thought on the way to a right answer, without images.
TRACES = {
    "config_name": "traces",
    "data_files": [{"split": "train", "path": "traces/train.parquet"}],
}


def front_matter(facts: Facts) -> str:
    """The block, between its two lines of dashes."""
    return f"---\n{dump_yaml(_content(facts), short=True)}---\n"


def _content(facts: Facts) -> dict[str, Any]:
    licences = sorted({_hub_licence(facts, slug) for slug in facts.manifest.sources})
    content: dict[str, Any] = {
        "pretty_name": facts.manifest.name,
        "license": licences[0] if len(licences) == 1 else licences or "other",
    }
    if "other" in licences or not licences:
        content["license_name"] = "see-the-table-of-sources"
    return content | {
        "language": ["en"],
        "task_categories": ["visual-question-answering", "question-answering"],
        "tags": ["medical", "clinical", "qoqdata", *facts.domains["domain"].to_list()],
        "size_categories": [_size(facts.records)],
        "configs": [
            *(_config(facts, name, slugs) for name, slugs in facts.configs.items()),
            *([TRACES] if facts.traces else []),
        ],
        "dataset_info": [_info(facts, name, slugs) for name, slugs in facts.configs.items()],
    }


def _hub_licence(facts: Facts, slug: str) -> str:
    name = licence_id(facts.cards[slug])
    name = _ODC.get(name, name)
    return name if name in _HUB_LICENCES or name in _ODC.values() else "other"


def _size(records: int) -> str:
    return next((name for bound, name in _SIZES if records < bound), "n>10M")


def _config(facts: Facts, name: str, slugs: tuple[str, ...]) -> dict[str, Any]:
    # Patterns, for a list of thousands of shards is no front matter.
    files = []
    for split in SPLITS:
        present = {s.source for s in facts.manifest.shards if s.split == split}
        if paths := [f"data/{slug}/{split}-*.parquet" for slug in slugs if slug in present]:
            files.append({"split": split, "path": paths})
    default = {"default": True} if name == facts.default_config else {}
    return {"config_name": name, **default, "data_files": files}


def _info(facts: Facts, name: str, slugs: tuple[str, ...]) -> dict[str, Any]:
    # Without the features of each config, which are in the shards: they are longer than the page.
    splits: list[dict[str, Any]] = []
    for split in SPLITS:
        own = [s for s in facts.manifest.shards if s.source in slugs and s.split == split]
        if own:
            rows, size = sum(s.rows for s in own), sum(s.bytes for s in own)
            splits.append({"name": split, "num_bytes": size, "num_examples": rows})
    return {"config_name": name, "splits": splits}
