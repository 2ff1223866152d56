"""The build: same bytes whatever happens, nothing lost, only what changed is redone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import qoqdata
from qoqdata.contract.manifest import Manifest
from qoqdata.errors import DatasetError, UsageError
from qoqdata.layout import Layout
from qoqdata.pipeline import progress
from qoqdata.pipeline.build import build, build_requests
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.pipeline.own_columns import media_page
from qoqdata.readers import encode
from qoqdata.records.identity import Salt
from qoqdata.sources import catalogue
from qoqdata.suite.scaffold import scaffold
from tests.pipeline.conftest import SALT, mapping

Films = Callable[..., SourceRequest]


def run(
    out: Path, *requests: SourceRequest, workers: int = 0, events: list | None = None, **config: int
) -> Manifest:
    listen = progress.silent if events is None else events.append
    setting = BuildSetting(SALT, workers=workers, listen=listen)
    return build(BuildConfig(sources=requests, shard_units=8, **config), out, setting)


def digests(manifest: Manifest) -> dict[str, str]:
    return {shard.path: shard.sha256 for shard in manifest.shards}


@pytest.mark.parametrize("workers", [2, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 4))])
def test_shards_do_not_depend_on_workers(films: Films, tmp_path: Path, workers: int) -> None:
    request = films(60)
    alone = run(tmp_path / "alone", request)
    assert len(alone.shards) > 8
    assert digests(run(tmp_path / "pool", request, workers=workers)) == digests(alone)


def test_four_questions_about_a_film_store_it_once(
    films: Films, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = films(8)
    lines = ["file,label,patient,item"]
    for number in range(8):
        pixels = np.random.default_rng(number).integers(0, 256, (250, 250), np.uint8)
        (request.raw / f"{number:04d}.png").write_bytes(encode.png(pixels))
        lines += [f"{number:04d}.png,{label},p{number},{k}" for k, label in enumerate("abab")]
    (request.raw / "labels.csv").write_text("\n".join(lines) + "\n")
    assert isinstance(request.mapping, dict)
    request.mapping["table"]["item"] = "item"
    once = run(tmp_path / "once", request)
    monkeypatch.setattr(media_page, "_REPEATED_SHARE", 1)
    each = run(tmp_path / "each", request)
    size = {name: sum(s.bytes for s in m.shards) for name, m in (("once", once), ("each", each))}
    assert sum(shard.rows for shard in once.shards) == 32
    assert size["once"] < 0.3 * size["each"]
    both = [qoqdata.open(tmp_path / name).records.collect() for name in ("once", "each")]
    assert both[0].equals(both[1])


def test_a_second_run_does_no_work(films: Films, tmp_path: Path) -> None:
    request = films(30)
    first = run(tmp_path / "set", request)
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "set/data").rglob("*.parquet")}
    events: list = []
    second = run(tmp_path / "set", request, events=events)
    assert second == first
    assert all(event.reused for event in events if isinstance(event, progress.Finished))
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}


def test_a_changed_file_redoes_only_its_shard(films: Films, tmp_path: Path) -> None:
    request = films(60)
    before = digests(run(tmp_path / "set", request))
    shutil.copyfile(request.raw / "0001.png", request.raw / "0000.png")
    events: list = []
    after = digests(run(tmp_path / "set", request, events=events))
    redone = [e for e in events if isinstance(e, progress.Finished) and not e.reused]
    assert len(redone) == 1
    assert len({path for path in after if after[path] != before[path]}) == 1


def test_a_changed_label_map_redoes_only_its_source(films: Films, tmp_path: Path) -> None:
    first, second = films(20, "one", "raw-1"), films(20, "two", "raw-2")
    before = digests(run(tmp_path / "set", first, second))
    changed = second.model_copy(update={"mapping": mapping("two", a="Clear", b="Dense")})
    events: list = []
    after = run(tmp_path / "set", first, changed, events=events)
    redone = {e.source for e in events if isinstance(e, progress.Finished) and not e.reused}
    assert redone == {"two"}
    moved = {path for path, sha in digests(after).items() if before.get(path) != sha}
    assert moved == {path for path in before if path.startswith("data/two/")}
    answers = qoqdata.open(tmp_path / "set").records.select("source", "answer").collect()
    assert set(answers.filter(pl.col("source") == "two")["answer"]) == {"Clear", "Dense"}


def test_a_changed_card_redoes_only_its_source(tmp_path: Path) -> None:
    folder = tmp_path / "sources"
    folder.mkdir()
    names = ("first_new", "second_new")
    requests = []
    for name in names:
        source = scaffold(name, "fundus", folder)
        requests.append((source, SourceRequest(source=name, raw=source.folder / "example" / "raw")))
    events: list = []
    setting = BuildSetting(SALT, workers=0, listen=events.append)
    build_requests(requests, tmp_path / "set", setting)
    card = requests[1][0].folder / "card.yaml"
    card.write_text(card.read_text().replace("Abnormal", "Diseased"))
    reloaded = catalogue.load_source(requests[1][0].folder, requests[1][0].module)
    events.clear()
    build_requests([requests[0], (reloaded, requests[1][1])], tmp_path / "set", setting)
    redone = {e.source for e in events if isinstance(e, progress.Finished) and not e.reused}
    assert redone == {"second_new"}


def test_sources_are_added_to_a_data_set(films: Films, tmp_path: Path) -> None:
    first, second = films(10, "one", "raw-1"), films(12, "two", "raw-2")
    apart = run(tmp_path / "set", first)
    run(tmp_path / "set", second)
    together = run(tmp_path / "both", first, second)
    added = qoqdata.open(tmp_path / "set").manifest
    assert added.digest == together.digest != apart.digest
    assert added.config_digest == together.config_digest


def test_counts_reconcile_and_nothing_is_lost(films: Films, tmp_path: Path) -> None:
    request = films(12)
    raw = request.raw
    table = (raw / "labels.csv").read_text()
    rows = ["0003.png,b,p9", "../0004.png,a,p9", "gone.png,a,p9", "0005.png,?,p9"]
    kept = [line for line in table.splitlines() if not line.startswith("0005.png")]
    (raw / "labels.csv").write_text("\n".join([*kept, *rows]) + "\n")
    (raw / "0006.png").write_bytes((raw / "0006.png").read_bytes()[:300])
    (raw / "0007.png").write_bytes(b"")
    (raw / "0008.png").write_text("this is no image")
    shutil.copyfile(raw / "0000.png", raw / "unlisted.png")
    counts = run(tmp_path / "set", request).sources["films"].counts
    assert counts.units == counts.converted + counts.quarantined + counts.filtered
    rows_ = pl.read_parquet(tmp_path / "set/quarantine/films.parquet")
    reasons = {(row["unit"], row["reason"]) for row in rows_.to_dicts()}
    assert reasons == {
        ("0003.png", "duplicate_key"),
        ("../0004.png", "outside_root"),
        ("gone.png", "missing_file"),
        ("0005.png", "bad_label"),
        ("0006.png", "unreadable_file"),
        ("0007.png", "unreadable_file"),
        ("0008.png", "unreadable_file"),
        ("unlisted.png", "missing_key"),
    }
    # 0003 has two rows, both refused; the eight others are one unit each.
    assert counts.quarantined == 9
    assert counts.records == counts.converted == 12 - 5


def test_a_source_that_cannot_be_planned_does_not_stop_the_others(
    films: Films, tmp_path: Path
) -> None:
    good, bad = films(10, "good", "raw-1"), films(10, "bad", "raw-2")
    (bad.raw / "labels.csv").write_text("file,label,patient\n")
    manifest = run(tmp_path / "set", bad, good)
    assert manifest.sources["good"].counts.records == 10
    assert manifest.sources["bad"].refused == (
        "bad_table: labels.csv: the table has no rows. Fix: fetch it again"
    )
    assert manifest.sources["bad"].counts.quarantined == 1


def test_a_refused_source_keeps_its_earlier_shards_on_disk(films: Films, tmp_path: Path) -> None:
    request = films(10)
    first = run(tmp_path / "set", request)
    table = request.raw / "labels.csv"
    content = table.read_bytes()
    table.unlink()
    assert run(tmp_path / "set", request).shards == ()
    assert all((tmp_path / "set" / shard.path).is_file() for shard in first.shards)
    table.write_bytes(content)
    assert digests(run(tmp_path / "set", request)) == digests(first)


def test_shards_of_vanished_units_are_removed(films: Films, tmp_path: Path) -> None:
    request = films(40)
    many = run(tmp_path / "set", request)
    table = request.raw / "labels.csv"
    table.write_text("\n".join(table.read_text().splitlines()[:6]) + "\n")
    for number in range(5, 40):
        (request.raw / f"{number:04d}.png").unlink()
    few = run(tmp_path / "set", request)
    assert len(few.shards) < len(many.shards)
    on_disk = {str(p.relative_to(tmp_path / "set")) for p in (tmp_path / "set/data").rglob("*.*")}
    assert on_disk == {shard.path for shard in few.shards}


def test_limit_takes_the_same_units_every_time(films: Films, tmp_path: Path) -> None:
    request = films(40)
    run(tmp_path / "all", request)
    run(tmp_path / "few", request, limit=7)
    few = qoqdata.open(tmp_path / "few").records.select("id").collect()["id"]
    whole = qoqdata.open(tmp_path / "all").records.select("id").collect()["id"]
    assert len(few) == 7
    assert set(few) < set(whole)


def test_the_salt_stays_out(films: Films, tmp_path: Path) -> None:
    salt = Salt(bytes(range(200, 232)))
    setting = BuildSetting(salt, workers=0)
    build(BuildConfig(sources=(films(9),)), tmp_path / "set", setting)
    needles = (salt.secret, salt.secret.hex().encode(), b"p0", b"0000.png")
    for path in (tmp_path / "set").rglob("*"):
        private = path.is_file() and path.parts[-2] not in ("quarantine", ".build")
        if private and "receipts" not in path.parts:
            data = path.read_bytes()
            assert [needle for needle in needles[:2] if needle in data] == [], path
    rows = qoqdata.open(tmp_path / "set").records.drop("images", "masks").collect().write_ndjson()
    assert "0000.png" not in rows
    assert '"p0"' not in rows


def test_another_salt_changes_keys_and_no_split(films: Films, tmp_path: Path) -> None:
    request = films(30)
    run(tmp_path / "a", request)
    build(BuildConfig(sources=(request,)), tmp_path / "b", BuildSetting(Salt(b"z" * 32), workers=0))
    columns = ("id", "patient", "study", "split")
    a, b = (
        qoqdata.open(tmp_path / name).records.select(*columns, "answer").collect() for name in "ab"
    )
    for column in ("id", "patient", "study"):
        assert set(a[column]).isdisjoint(b[column])
    assert sorted(a["split"]) == sorted(b["split"])


def test_a_second_salt_is_refused_beside_other_sources(films: Films, tmp_path: Path) -> None:
    run(tmp_path / "set", films(6, "one", "raw-1"))
    other = BuildSetting(Salt(b"y" * 32), workers=0)
    with pytest.raises(UsageError, match="another salt"):
        build(BuildConfig(sources=(films(6, "two", "raw-2"),)), tmp_path / "set", other)


def test_two_builds_of_one_folder_exclude_each_other(films: Films, tmp_path: Path) -> None:
    request = films(4)
    met: list[UsageError] = []

    def listen(event: progress.Event) -> None:
        if isinstance(event, progress.Planned):
            with pytest.raises(UsageError, match="another command is writing") as caught:
                run(tmp_path / "set", request)
            met.append(caught.value)

    build(
        BuildConfig(sources=(request,)),
        tmp_path / "set",
        BuildSetting(SALT, workers=0, listen=listen),
    )
    assert len(met) == 1


def test_out_inside_raw_is_refused(films: Films) -> None:
    request = films(4)
    with pytest.raises(UsageError, match="inside the raw folder"):
        run(request.raw / "set", request)


def test_an_unfinished_data_set_does_not_open(films: Films, tmp_path: Path) -> None:
    def listen(event: progress.Event) -> None:
        if isinstance(event, progress.Finished):
            raise KeyboardInterrupt

    request = films(20)
    with pytest.raises(KeyboardInterrupt):
        config = BuildConfig(sources=(request,), shard_units=8)
        build(config, tmp_path / "set", BuildSetting(SALT, workers=0, listen=listen))
    with pytest.raises(DatasetError, match=r"manifest\.json"):
        qoqdata.open(tmp_path / "set")
    whole = run(tmp_path / "whole", request)
    assert digests(run(tmp_path / "set", request)) == digests(whole)
    assert not list(Layout(tmp_path / "set").root.rglob("*.tmp"))
