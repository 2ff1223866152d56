"""The Ray engine on a cluster of two nodes: the bytes of one process, whatever is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import qoqdata
from qoqdata.errors import UsageError
from qoqdata.pipeline import progress, ray_engine
from qoqdata.pipeline.build import build, build_requests
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.readers.limits import Limits
from tests.attacks.unruly_source import raw_units, tries, unruly
from tests.pipeline.conftest import SALT

ray = pytest.importorskip("ray", reason="the ray engine needs qoqdata[ray]")
pytestmark = pytest.mark.slow
Films = Callable[..., SourceRequest]


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Two nodes on this machine, of one core each."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    made.add_node(num_cpus=1)
    yield made
    ray.shutdown()
    made.shutdown()


def setting(cluster: Any, **more: Any) -> BuildSetting:
    return BuildSetting(SALT, workers=0, engine="ray", address=cluster.address, **more)


def test_a_node_that_is_lost_costs_nothing(films: Films, tmp_path: Path, cluster: Any) -> None:
    config = BuildConfig(sources=(films(80),), shard_units=6)
    alone = build(config, tmp_path / "alone", BuildSetting(SALT, workers=0))
    nodes = [cluster.add_node(num_cpus=1)]

    def listen(event: progress.Event) -> None:
        if isinstance(event, progress.Finished) and nodes:
            cluster.remove_node(nodes.pop(), allow_graceful=False)

    manifest = build(config, tmp_path / "ray", setting(cluster, listen=listen))
    assert not nodes
    assert manifest.digest == alone.digest
    assert manifest.sources == alone.sources


def test_units_that_hang_or_kill_their_process(tmp_path: Path, cluster: Any) -> None:
    units = {"a": "0", "b": "99 kill", "c": "1 kill", "d": "99 hold", "e": "0"}
    raw = raw_units(tmp_path / "films" / "raw", **units)
    source = unruly()
    request = SourceRequest(source=source.card.slug, raw=raw)
    limits = Limits(unit_seconds=3)
    config = BuildConfig(sources=(request,), limits=limits, shard_units=2)
    out = tmp_path / "set"
    manifest = build_requests([(source, request)], out, setting(cluster), config)
    (entry,) = manifest.sources.values()
    assert (entry.counts.converted, entry.counts.quarantined) == (3, 2)
    (table,) = (out / "quarantine").iterdir()
    reasons = {row["unit"]: row["reason"] for row in pl.read_parquet(table).iter_rows(named=True)}
    assert reasons == {"b.txt": "worker_died", "d.txt": "over_limit"}
    assert tries(raw, "c.txt") == 1


def test_another_version_on_a_node_is_refused(
    films: Films, tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_engine, "VERSION", "99.0")
    with pytest.raises(UsageError, match=r"a node of the cluster has qoqdata .*, and this is 99"):
        build(BuildConfig(sources=(films(4),)), tmp_path / "set", setting(cluster))


def test_an_address_where_nobody_answers(films: Films, tmp_path: Path) -> None:
    one = BuildSetting(SALT, workers=1, engine="ray", address="127.0.0.1:1")
    with pytest.raises(UsageError, match=r"--address 127\.0\.0\.1:1"):
        build(BuildConfig(sources=(films(2),)), tmp_path / "set", one)
    with pytest.raises(UsageError, match="an address is of a Ray cluster"):
        qoqdata.build("ham10000", raw=tmp_path, out=tmp_path / "x", address="auto")
