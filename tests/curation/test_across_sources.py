"""Sources that contradict each other about a concept: inverted labels of one are told with both."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import qoqdata as library
from qoqdata.concepts import read_concepts
from qoqdata.curation.audit.across_sources import CONTRADICTIONS, _auc, find_contradictions
from qoqdata.dataset import Dataset, open_dataset
from qoqdata.pipeline.build import build
from qoqdata.pipeline.config import BuildConfig, BuildSetting
from qoqdata.progress import silent
from tests.cli.conftest import qoqdata  # noqa: F401
from tests.curation.film_table import Film, requested
from tests.pipeline.conftest import SALT

TABLE = "source,label,concept,system,code\n" + "".join(
    f"{source},{label},{concept},,\n"
    for source, clear, opaque in (
        ("east", "Clear", "Opaque"),
        ("west", "Dry", "Wet"),
        ("north", "Clear", "Opaque"),
    )
    for label, concept in ((clear, "No opacity"), (opaque, "Opacity"))
)


def films(label: Callable[[int], str], seed: int, spread: int = 60) -> list[Film]:
    """80 films of noise, every other one of them brighter by `spread`."""
    rng = np.random.default_rng(seed)
    pixels = [
        np.clip(rng.normal(60 + spread * (n % 2) + 10 * seed, 20, (48, 48, 3)), 0, 255)
        for n in range(80)
    ]
    return [
        Film(f"f{n}.png", label(n), f"p{seed}-{n}", "train", one.astype(np.uint8))
        for n, one in enumerate(pixels)
    ]


def three(root: Path, west: Callable[[int], str], spread: int = 60) -> Dataset:
    """East and north are right; the labels of west are as they are given."""
    asked = (
        requested(root / "east", films(lambda n: "ab"[n % 2], 1), "east"),
        requested(root / "west", films(west, 2, spread), "west", labels={"a": "Dry", "b": "Wet"}),
        requested(root / "north", films(lambda n: "ab"[n % 2], 3), "north"),
    )
    build(BuildConfig(sources=asked), root / "set", BuildSetting(SALT, workers=0))
    (root / "own.csv").write_text(TABLE)
    return open_dataset(root / "set")


def test_inverted_labels_of_one_source_name_it_beside_each_other(
    tmp_path: Path,
    qoqdata: Callable,  # noqa: F811
) -> None:
    pytest.importorskip("cleanlab")
    dataset = three(tmp_path, lambda n: "ba"[n % 2])
    own = tmp_path / "own.csv"
    probed = library.audit(dataset, label_errors=True, harmonise=own).probed
    assert probed is not None and dict(probed.contradictions.schema) == CONTRADICTIONS
    # Of itself each source is in order.
    assert not probed.errors.height and not probed.estranged.height
    pairs = probed.contradictions.select("concept", "source", "other").rows()
    assert pairs == [
        (concept, *pair)
        for concept in ("No opacity", "Opacity")
        for pair in (("east", "west"), ("north", "west"))
    ]
    assert probed.contradictions["auc"].max() < 0.1 and probed.contradictions["back"].max() < 0.1
    assert (probed.contradictions["at_most"] < 0.5).all()
    command = ("audit", dataset.root, "--label-errors", "--harmonise", own)
    code, out, _ = qoqdata(*command)
    assert code == 1 and "contradict each other" in out and "west" in out
    code, out, _ = qoqdata(*command, "--json")
    assert json.loads(out)["contradictions"] == probed.contradictions.to_dicts()


@pytest.mark.parametrize(
    ("west", "spread"),
    [
        (lambda n: "ab"[n % 2], 60),
        # Nothing can be learnt of west, nor said of it.
        (lambda n: "ba"[n // 7 % 2], 0),
        # Too few of one label.
        (lambda n: "ba"[n % 2] if n < 30 else "a", 60),
    ],
)
def test_sound_sources_and_those_that_nothing_is_known_of(
    tmp_path: Path, west: Callable[[int], str], spread: int
) -> None:
    dataset = three(tmp_path, west, spread)
    table = read_concepts(tmp_path / "own.csv")
    assert not find_contradictions(dataset, [table], silent).height


def test_areas_by_hand() -> None:
    """Of three with it and two without, five of six pairs are in order; one is not asked about."""
    scores = np.array([0.9, 0.8, 0.3, 0.5, 0.1, 0.7])
    states = np.array([1.0, 1.0, 1.0, 0.0, 0.0, np.nan])
    low, auc, high = _auc(scores, states)
    assert auc == pytest.approx(5 / 6) and high - auc == pytest.approx(auc - low)
    first, second = (5 / 6) / (2 - 5 / 6), 2 * (5 / 6) ** 2 / (1 + 5 / 6)
    variance = (5 / 36 + 2 * (first - 25 / 36) + (second - 25 / 36)) / 6
    assert high - auc == pytest.approx(3.09 * variance**0.5)


def test_a_table_at_fault_is_told_in_one_line(tmp_path: Path, qoqdata: Callable) -> None:  # noqa: F811
    pytest.importorskip("cleanlab")
    dataset = three(tmp_path, lambda n: "ab"[n % 2])
    (tmp_path / "own.csv").write_text(TABLE.replace("west,Wet", "west,Damp"))
    code, out, err = qoqdata("audit", dataset.root, "--label-errors", "--harmonise", "nothing")
    assert code == 2 and "nothing" in err and len(err.strip().splitlines()) == 1
    wrong = tmp_path / "own.csv"
    code, out, err = qoqdata("audit", dataset.root, "--label-errors", "--harmonise", wrong)
    assert code == 2 and "west has no label 'Damp'" in err and "Traceback" not in out + err
