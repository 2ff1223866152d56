"""Records that cannot be shown are told by metadata alone, as reading them would tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import fsspec
import polars as pl
import pytest

torch = pytest.importorskip("torch")

import qoqdata  # noqa: E402
import qoqtrain  # noqa: E402
from qoqdata.errors import InputError, UsageError  # noqa: E402
from qoqtrain.data.collate import TooLong  # noqa: E402
from qoqtrain.trainer.engine.ranks import Ranks  # noqa: E402
from qoqtrain.trainer.log import metrics  # noqa: E402
from qoqtrain.trainer.loop import train  # noqa: E402
from qoqtrain.trainer.plan.fitness import by_domain, prompt_lengths, unfit_records  # noqa: E402
from qoqtrain.trainer.plan.plan import collator_of, plan_run  # noqa: E402
from qoqtrain.trainer.plan.settings import read_settings  # noqa: E402
from tests.remote import proxy  # noqa: E402
from tests.remote.servers import Site, serving  # noqa: E402


class Altered:
    """A data set whose metadata say something else of its records."""

    def __init__(self, dataset: Any, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
        self.dataset, self.change = dataset, change

    def metadata_tables(self, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        return map(self.change, self.dataset.metadata_tables(columns))


def planned(small: dict[str, Any], **more: Any) -> tuple[Any, Any]:
    plan = plan_run(read_settings(values={**small, **more}), Ranks())
    return plan, collator_of(plan)


def test_a_prompt_is_as_long_as_reading_its_record_makes_it(small: dict[str, Any]) -> None:
    """Nothing is read, and the count is that of the run; with an ECG it is a bound."""
    plan, collator = planned(small)
    stream = plan.dataset.stream("train", images="bytes", epochs=1, shuffle=False)
    rows = [collator.row(record) for record in stream]
    counts = prompt_lengths(plan.dataset, [row.id for row in rows], collator)
    assert [count for row, count in zip(rows, counts, strict=True) if row.ecg is None] == [
        row.tokens for row in rows if row.ecg is None
    ]
    ecgs = [(row, count) for row, count in zip(rows, counts, strict=True) if row.ecg is not None]
    assert ecgs and all(row.tokens <= count for row, count in ecgs)


@pytest.mark.parametrize("limit", [60, 110, 160, 260])
def test_the_limit_leaves_out_what_the_run_would_leave_out(
    small: dict[str, Any], limit: int
) -> None:
    plan, collator = planned(small)
    collator.max_prompt_tokens = limit
    refused = set()
    for record in plan.dataset.stream("train", images="bytes", epochs=1, shuffle=False):
        try:
            collator.row(record)
        except (InputError, TooLong):
            refused.add(record["id"])
    found = unfit_records(plan.dataset, plan.records["id"], collator)
    exact = {one.id for one in found if one.domain != "ecg"}
    ecgs = set(plan.records.filter(pl.col("domain") == "ecg")["id"])
    assert exact == refused - ecgs
    assert refused <= {one.id for one in found}
    assert {one.rule for one in found} <= {"length"}


def test_each_rule_is_counted_by_domain(small: dict[str, Any]) -> None:
    plan, collator = planned(small)
    assert unfit_records(plan.dataset, plan.records["id"], collator) == []
    images = plan.records.filter(n_images=1, domain="dermoscopy")["id"].sort()
    ecgs = plan.records.filter(domain="ecg")["id"].sort()
    texts = plan.records.filter(domain="ultrasound")["id"].sort()
    long, odd, far = images[0], images[1], texts[0]
    huge = plan.records.filter(domain="pathology")["id"].sort()[0]

    def change(table: pl.DataFrame) -> pl.DataFrame:
        size = pl.element().struct.with_fields(width=6000, height=20)
        large = pl.element().struct.with_fields(width=20_000, height=9_000)
        region = {"image": 99, "role": "given", "label": "a"}
        box = dict.fromkeys(("x_min", "y_min", "x_max", "y_max"), 1.0)
        kind = table.schema["regions"]
        given = pl.lit([{**region, **box}], dtype=kind)
        leads = pl.struct(leads=pl.lit(["EEG"]), fs=pl.col("ecg").struct.field("fs"))
        name = pl.col("id")
        return table.with_columns(
            context=pl.when(name == long).then(pl.lit("\u00e9" * 4096)).otherwise("context"),
            image_info=pl.when(name == odd)
            .then(pl.col("image_info").list.eval(size))
            .when(name == huge)
            .then(pl.col("image_info").list.eval(large))
            .otherwise("image_info"),
            ecg=pl.when(name == ecgs[0]).then(leads).otherwise("ecg"),
            regions=pl.when(name == far).then(given).otherwise("regions"),
        )

    altered: Any = Altered(plan.dataset, change)
    found = {one.id: one for one in unfit_records(altered, plan.records["id"], collator)}
    assert {name: one.rule for name, one in found.items()} == {
        long: "length",
        odd: "image",
        huge: "image",
        ecgs[0]: "ecg",
        far: "text",
    }
    assert "200 times" in found[odd].why and "EEG" in found[ecgs[0]].why
    assert "20000 x 9000" in found[huge].why
    assert "image 99" in found[far].why
    assert by_domain(found.values()) == {
        "dermoscopy": {"image": 1, "length": 1},
        "ecg": {"ecg": 1},
        "pathology": {"image": 1},
        "ultrasound": {"text": 1},
    }


def test_a_run_draws_none_of_them_and_fills_its_steps(small: dict[str, Any]) -> None:
    """Left out by rule before the first step, not question by question from its steps."""
    rollouts = {**small["rollouts"], "prompt_tokens": 160}
    with pytest.raises(UsageError, match=r"training records cannot be shown \(.*by length"):
        train(read_settings(values={**small, "rollouts": rollouts}))
    given = {**small, "steps": 2, "rollouts": {**rollouts, "unfit": "leave_out"}}
    del given["mix"]
    dry = qoqtrain.dry_run(given)
    lost = {one.id for one in dry.plan.unfit}
    whole, _ = planned(small)
    assert lost and dry.plan.records.height == whole.records.height - len(lost)
    train(read_settings(values=given))
    lines = metrics.read_metrics(Path(given["out"]) / metrics.FILE)
    assert [(line["left_out"], line["groups"]["asked"]) for line in lines] == [(0, 4), (0, 4)]
    asked = pl.read_parquet(Path(given["out"]) / "rollouts.parquet")["id"]
    assert not lost & set(asked)


def test_behind_a_url_no_shard_is_brought(
    small: dict[str, Any], demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dry run and the starting weights take the manifest, metadata and statistics."""
    monkeypatch.setenv("QOQDATA_CACHE", str(tmp_path / "cache"))
    here = qoqtrain.dry_run(small)
    with serving(Site(demo.parent)) as site:
        url = f"{site.url}/{demo.name}"
        there = qoqtrain.dry_run({**small, "data": url})
        assert qoqtrain.weights(url) == qoqtrain.weights(str(demo))
        asked = {path.removeprefix(f"{demo.name}/") for path in site.gets}
    assert there.prompt_tokens == here.prompt_tokens and there.weights == here.weights
    assert {path.partition("/")[0] for path in asked} <= {
        *("manifest.json", "meta", "stats", "curation", "difficulty", "cards"),
    }
    sizes = {entry.path: entry.bytes for entry in qoqdata.open(demo).manifest.meta.values()}
    sent = sum(count for path, count in site.sent.items() if "/meta/" in path)
    assert sent == sum(sizes.values())
    assert not any("/data/" in path for path in site.gets)


@pytest.fixture(params=["memory", pytest.param("s3", marks=pytest.mark.slow)])
def bucket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an empty bucket, in memory or of an S3-compatible server on loopback."""
    if request.param == "memory":
        yield "memory://clinical"
        fsspec.filesystem("memory").rm("/clinical", recursive=True)
        return
    with proxy.bucket("clinical", monkeypatch):
        yield "s3://clinical"


def test_in_a_bucket_no_shard_is_brought(
    small: dict[str, Any], demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bucket: str
) -> None:
    """As above; the shards are not even there."""
    monkeypatch.setenv("QOQDATA_CACHE", str(tmp_path / "cache"))
    system, root = fsspec.url_to_fs(f"{bucket}/set")
    for path in demo.rglob("*"):
        if path.is_file() and "data" not in path.relative_to(demo).parts:
            system.pipe_file(f"{root}/{path.relative_to(demo)}", path.read_bytes())
    there = qoqtrain.dry_run({**small, "data": f"{bucket}/set"})
    assert there.weights == qoqtrain.dry_run(small).weights
