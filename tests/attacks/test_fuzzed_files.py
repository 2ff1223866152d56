"""Whatever a manifest, recipe, card, table of verdicts or file of rollouts holds: an answer, or one
error that says where; nothing is written elsewhere, and memory stays bounded."""

from __future__ import annotations

import io
import json
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import qoqdata
from qoqdata.atomic import digest
from qoqdata.contract.side_tables import VERDICTS
from qoqdata.curation.phi import require_phi_receipt
from qoqdata.dataset import open_dataset
from qoqdata.errors import DatasetError, QoqdataError
from qoqdata.printable import printable
from qoqdata.publication.licences import require_terms
from qoqdata.publication.rebuild import rebuild
from qoqdata.publication.staging import stage
from qoqdata.side_table import read_side_table
from qoqdata.statistics import rollouts
from tests.attacks import hostile_files
from tests.attacks.hostile_sets import ELSEWHERE, everything
from tests.publication.conftest import build_set, raw_of
from tests.publication.test_staging import drop

_FEW, _MANY = 20, 400
_MOST_BYTES = 400 * 2**20
ROLLOUTS = [
    {"id": "a" * 32, "reward": 0.5, "response": "<answer>a</answer>"},
    {"id": "b" * 32, "reward": 1, "response": ""},
]


@dataclass(frozen=True)
class Sets:
    """A data set with its verdicts, and the release of one, in a folder of their own."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "set"

    @property
    def release(self) -> Path:
        return self.folder / "release"


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Sets:
    found = Sets(tmp_path_factory.mktemp("fuzzed"))
    dataset = build_set(found.root, "ham10000", "lc25000")
    drop(dataset, dataset.metadata()["id"][:2].to_list())
    qoqdata.curate(dataset)
    assert read_side_table(dataset.layout.verdicts, VERDICTS, fix="").height == 2
    stage(dataset, found.release)
    return found


@contextmanager
def holding(path: Path, content: bytes) -> Iterator[None]:
    """A file with other content for a while."""
    before = path.read_bytes()
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(before)


def answered(answer: Callable[[], object]) -> None:
    """An answer, or an error that a person can read, within memory."""
    before = pa.total_allocated_bytes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answer()
    except QoqdataError as error:
        text = str(error)
        assert 0 < len(text) < 3000 and text.count("\n") < 8
        # A console shows it with escapes for what cannot be seen.
        assert printable(text, lines=True).replace("\n", "").isprintable(), repr(text)
    assert pa.total_allocated_bytes() - before < _MOST_BYTES


def opened(root: Path) -> Callable[[], object]:
    def answer() -> object:
        dataset = open_dataset(root)
        require_terms(dataset)
        return [dataset.cards, dataset.metadata(), len(dataset), next(iter(dataset), None)]

    return answer


def run(strategy: st.SearchStrategy[bytes], examples: int, check: Callable[[bytes], None]) -> None:
    quiet = settings(max_examples=examples, suppress_health_check=list(HealthCheck), database=None)
    quiet(given(strategy)(check))()


def fuzz_json(sets: Sets, examples: int, root: Path, name: str) -> None:
    path = root / name
    outside = {key: data for key, data in everything(sets.folder).items() if key != name}

    def check(content: bytes) -> None:
        with holding(path, content):
            answered(opened(root))

    run(hostile_files.documents(json.loads(path.read_bytes())), examples, check)
    assert {key: data for key, data in everything(sets.folder).items() if key in outside} == outside


def fuzz_card(sets: Sets, examples: int) -> None:
    """A card whose digest the manifest confirms, as who wrote both would have it."""
    path, manifest = sets.root / "cards" / "ham10000.json", sets.root / "manifest.json"

    def check(content: bytes) -> None:
        own = json.loads(manifest.read_bytes())
        try:
            own["sources"]["ham10000"]["card_digest"] = digest(json.loads(content))
        except (ValueError, RecursionError):
            return
        with holding(path, content), holding(manifest, json.dumps(own).encode()):
            answered(opened(sets.root))

    run(hostile_files.documents(json.loads(path.read_bytes())), examples, check)


def fuzz_recipe(sets: Sets, examples: int, suffix: str) -> None:
    path = sets.release / "recipes" / f"lc25000{suffix}"
    sound = path.read_bytes()
    before = everything(sets.folder)

    def check(content: bytes) -> None:
        with holding(path, content), tempfile.TemporaryDirectory() as folder:
            out = Path(folder, "in", "out")

            def answer() -> object:
                raw = {"lc25000": raw_of("lc25000")}
                return rebuild(open_dataset(sets.release), raw, out, ELSEWHERE)

            answered(answer)
            beside = [p for p in Path(folder).rglob("*") if p.is_file()]
            assert all(p.is_relative_to(out) for p in beside)

    content = (
        hostile_files.documents(json.loads(sound))
        if suffix == ".json"
        else hostile_files.tables(sound)
    )
    run(content, examples, check)
    assert everything(sets.folder) == before


def fuzz_verdicts(sets: Sets, examples: int) -> None:
    path = sets.root / "curation" / "verdicts.parquet"
    sound = path.read_bytes()

    def check(content: bytes) -> None:
        with holding(path, content):
            answered(opened(sets.root))
            if content != sound:
                with pytest.raises(DatasetError):
                    require_phi_receipt(open_dataset(sets.root))

    run(hostile_files.tables(sound), examples, check)


def fuzz_rollouts(folder: Path, examples: int, *, parquet: bool) -> None:
    path = folder / "rollouts"
    file = io.BytesIO()
    pl.DataFrame(ROLLOUTS, strict=False).write_parquet(file)

    def check(content: bytes) -> None:
        path.write_bytes(content)

        def answer() -> object:
            rewards = rollouts.read_rewards(path)
            assert rewards["reward"].is_between(0, 1).all() and rewards["id"].null_count() == 0
            return rewards

        answered(answer)

    sound = file.getvalue()
    content = hostile_files.tables(sound) if parquet else hostile_files.lines(ROLLOUTS)
    run(content, examples, check)


JSON_FILES = ("manifest.json", "curation/phi.json", "curation/burned_in.json")


@pytest.mark.parametrize("examples", [_FEW, pytest.param(_MANY, marks=pytest.mark.slow)])
class TestFuzzed:
    """Few examples in every run, many in the slow ones."""

    def test_manifest(self, sets: Sets, examples: int) -> None:
        fuzz_json(sets, 3 * examples, sets.root, "manifest.json")

    def test_manifest_of_a_release(self, sets: Sets, examples: int) -> None:
        fuzz_json(sets, examples, sets.release, "manifest.json")

    def test_card(self, sets: Sets, examples: int) -> None:
        fuzz_card(sets, examples)

    @pytest.mark.parametrize("suffix", [".json", ".parquet"])
    def test_recipe(self, sets: Sets, examples: int, suffix: str) -> None:
        fuzz_recipe(sets, examples, suffix)

    def test_verdicts(self, sets: Sets, examples: int) -> None:
        fuzz_verdicts(sets, examples)

    @pytest.mark.parametrize("parquet", [False, True], ids=["lines", "parquet"])
    def test_rollouts(self, tmp_path: Path, examples: int, parquet: bool) -> None:
        fuzz_rollouts(tmp_path, examples, parquet=parquet)
