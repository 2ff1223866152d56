"""Streams that filter and mix by concept."""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice
from pathlib import Path

import polars as pl
import pytest

from qoqdata.atomic import digest, write_json
from qoqdata.dataset import Dataset, open_dataset
from qoqdata.errors import UsageError
from qoqdata.manifest import write_manifest
from qoqdata.sources.catalogue import find_source
from qoqdata.stream import Mix
from tests.statistics.written import write_stats
from tests.stream.sets import Part, write

HEAD = "source,label,concept,system,code\n"
TABLE = HEAD + "films,Opacity,Shadow,,\nscans,Nodule,Shadow,,\nscans,Cyst,Cyst,,\n"
#: Labels take turns: 20 opacities and 20 effusions, 6 nodules and 6 cysts.
PARTS = (
    Part("films", "chest_xray", (40,), labels=("Opacity", "Effusion")),
    Part("scans", "ct", (12,), labels=("Nodule", "Cyst")),
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Its cards are of another source; the labels are known from the records."""
    made = write(tmp_path_factory.mktemp("concepts"), PARTS)
    entries = {}
    for slug, entry in made.manifest.sources.items():
        card = find_source("ham10000").card.model_dump(mode="json") | {"slug": slug}
        write_json(made.layout.card(slug), card)
        entries[slug] = entry.model_copy(update={"card_digest": digest(card)})
    write_manifest(made.layout, made.manifest.model_copy(update={"sources": entries}))
    return open_dataset(made.root)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "own.csv"
    path.write_text(TABLE)
    return path


def test_a_mix_by_concept(dataset: Dataset, table: Path) -> None:
    """Labels without a concept are a component of their own."""
    stream = dataset.stream(mix="concept:uniform", harmonise=table, columns=["labels"], workers=0)
    told = stream.sampling()
    assert {name: s.records for name, s in told.items()} == {"": 20, "Cyst": 6, "Shadow": 26}
    assert [s.probability for s in told.values()] == pytest.approx([1 / 3] * 3, abs=1e-8)
    seen = Counter(record["labels"][0] for record in islice(stream, 300))
    drawn = {name: one.draws for name, one in stream.draw_counts().items()}
    assert drawn["Shadow"] == seen["Opacity"] + seen["Nodule"]
    assert (drawn[""], drawn["Cyst"]) == (seen["Effusion"], seen["Cyst"])


def test_a_mix_that_names_its_table(dataset: Dataset, table: Path) -> None:
    """As a configuration writes it."""
    mix = Mix(by="concept", weights={"Shadow": 3, "Cyst": 1, "": 0}, harmonise=str(table))
    found = dataset.stream(mix=mix).sampling()
    assert found["Shadow"].probability == pytest.approx(0.75, abs=1e-8)
    same = dataset.stream(mix=mix, harmonise=table).sampling()
    assert same == found


def test_a_filter_by_concept(dataset: Dataset, table: Path) -> None:
    shadow = pl.col("concepts").list.contains("Shadow")
    stream = dataset.stream(
        where=shadow, harmonise=table, columns=["source", "labels"], shuffle=False, epochs=1
    )
    seen = Counter((record["source"], record["labels"][0]) for record in stream)
    assert seen == {("films", "Opacity"): 20, ("scans", "Nodule"): 6}
    denied = pl.col("absent_concepts").list.len() == 0
    assert dataset.stream(where=denied & shadow, harmonise=table).n_records == 26


def test_a_state_under_another_table_is_refused(dataset: Dataset, table: Path) -> None:
    def opened():
        return dataset.stream(mix="concept:uniform", harmonise=table, columns=["id"], workers=0)

    stream = opened()
    list(islice(stream, 7))
    state = json.dumps(stream.state_dict())
    expected = [record["id"] for record in islice(stream, 20)]
    again = opened()
    again.load_state_dict(json.loads(state))
    assert [record["id"] for record in islice(again, 20)] == expected
    # The same components of the same sizes, other members.
    table.write_text(TABLE.replace("Opacity", "Effusion"))
    with pytest.raises(UsageError, match="concepts"):
        opened().load_state_dict(json.loads(state))


def test_orders_without_concepts_do_not_know_the_table(dataset: Dataset, table: Path) -> None:
    plain = dataset.stream(mix="label:uniform").state_dict()
    assert dataset.stream(mix="label:uniform", harmonise=table).state_dict() == plain


def test_what_cannot_be(dataset: Dataset, table: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs a table of concepts"):
        dataset.stream(mix="concept:uniform")
    with pytest.raises(UsageError, match="harmonise='findings'"):
        dataset.stream(where=pl.col("concepts").list.contains("Shadow"))
    write_stats(dataset)
    with pytest.raises(UsageError, match="rarity of concepts"):
        dataset.stream(mix="concept:rarity", harmonise=table)
    with pytest.raises(UsageError, match="in the mix"):
        dataset.stream(mix=Mix("concept", harmonise="findings"), harmonise=table)
    other = tmp_path / "other.csv"
    other.write_text(HEAD + "scans,Nodules,Shadow,,\n")
    with pytest.raises(UsageError, match=r"other.csv, line 2: scans has no label 'Nodules'"):
        dataset.stream(harmonise=other)
