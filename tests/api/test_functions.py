"""The Python API: what the functions return, silently, and that commands only show it."""

from __future__ import annotations

import ast
import inspect
import json
import pkgutil
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import yaml

import qoqdata
import qoqtrain
from qoqdata.cli import main
from qoqdata.dataset import Dataset
from qoqdata.errors import DatasetError, UnknownSource, UsageError
from qoqdata.pipeline.config import BuildConfig
from qoqdata.pipeline.progress import Finished, Planned
from qoqdata.yaml_document import parse_yaml
from tests.api.conftest import SLUGS, rollouts_of, tree
from tests.publication.conftest import raw_of

PACKAGES = (qoqdata, qoqtrain)


FUNCTIONS = [name for name in qoqdata.__all__ if inspect.isfunction(getattr(qoqdata, name))]


ALL_FUNCTIONS = [
    getattr(package, name)
    for package in PACKAGES
    for name in package.__all__
    if inspect.isfunction(getattr(package, name))
]


def test_names_for_tab_completion() -> None:
    assert dir(qoqdata) == qoqdata.__all__ == sorted(qoqdata.__all__)
    assert dir(qoqtrain) == qoqtrain.__all__ == sorted(qoqtrain.__all__)
    commands = {command.name for command in main.app.registered_commands}
    # The demo is a tour of the others; `sources` is the name of the package of the catalogue.
    assert {name.replace("-", "_") for name in commands} - {"demo", "sources"} <= set(FUNCTIONS)
    # `evaluate` is the name of a package; what the command does is three functions.
    assert {"train", "weights", "compare"} <= {function.__name__ for function in ALL_FUNCTIONS}


@pytest.mark.parametrize(
    "function", ALL_FUNCTIONS, ids=lambda function: f"{function.__module__}.{function.__name__}"
)
def test_every_function_is_documented_and_typed(function: Callable) -> None:
    signature = inspect.signature(function)
    assert inspect.getdoc(function)
    assert signature.return_annotation is not inspect.Signature.empty
    for parameter in signature.parameters.values():
        assert parameter.annotation is not inspect.Parameter.empty


def test_no_module_shadows_a_name() -> None:
    """A module below a package, once imported, takes the place of what has its name there."""
    modules = {
        package: {module.name for module in pkgutil.iter_modules(package.__path__)}
        for package in PACKAGES
    }
    assert modules[qoqdata] & set(qoqdata.__all__) == set()
    assert modules[qoqtrain] & set(qoqtrain.__all__) == {"rewards"}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_type_checkers_see_every_name(package: ModuleType) -> None:
    module = ast.parse(Path(inspect.getfile(package)).read_text(encoding="utf-8"))
    (block,) = (node for node in module.body if isinstance(node, ast.If))
    imports = (node for node in block.body if isinstance(node, ast.ImportFrom))
    names = {alias.asname or alias.name for node in imports for alias in node.names}
    assert names == set(package.__all__)


def test_all_functions_are_silent(
    fresh: Path, config: dict, salt_file: Path, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    events: list[object] = []
    manifest = qoqdata.build(config=config, out=tmp_path / "set", workers=0, progress=events.append)
    assert {slug: entry.counts.records for slug, entry in manifest.sources.items()} == {
        "covid_blues": 23,
        "ham10000": 24,
        "lc25000": 30,
    }
    assert {type(event) for event in events} == {Planned, Finished}
    assert qoqdata.validate(fresh) == []
    counts: list[tuple[int, int]] = []
    curation = qoqdata.curate(fresh, progress=lambda done, total: counts.append((done, total)))
    assert (curation.phi.records, curation.phi.open, counts[-1]) == (77, 0, (77, 77))
    assert qoqdata.stats(fresh, prior=True).sources["key"].to_list() == sorted(SLUGS)
    rollouts = rollouts_of(fresh, tmp_path)
    result = qoqdata.difficulty(fresh, rollouts=rollouts, policy="tiny", scorer="exact")
    assert result.path == fresh / "difficulty" / "tiny.parquet"
    assert (result.success_rate, result.left_out) == (0.5, ())
    assert set(result.table["scorer"]) == {"exact"}
    assert qoqdata.stats(fresh, policy="tiny").domains["policy"].unique().to_list() == ["tiny"]
    traced = qoqdata.traces(fresh, rollouts, out=tmp_path / "traced", policy="tiny")
    assert traced.traces == traced.questions == traced.rollouts // 2 > 0
    change = qoqdata.diff(fresh, tmp_path / "traced")
    assert change.count("changed") == change.records.height == traced.traces
    pages = qoqdata.card(fresh, repo_id="our-lab/our-set")
    assert pages[:2] == (fresh / "README.md", fresh / "croissant.json")
    tally = qoqdata.export(fresh, to="trl", out=tmp_path / "trl")
    assert sum(tally.written.values()) == len(qoqdata.open(fresh)) == 77
    parts: list[object] = []
    publication = qoqdata.publish(
        fresh, to=tmp_path / "releases", salt_file=salt_file, on_prepared=parts.append
    )
    assert publication.delivery is not None and parts == [publication.prepared]
    assert publication.url == str(tmp_path / "releases")
    rebuilt, outcomes = qoqdata.rebuild(
        tmp_path / "releases", raw=raw_of("lc25000"), out=tmp_path / "whole", workers=0
    )
    assert set(rebuilt.sources) == {"ham10000", "lc25000"}
    assert [(outcome.source, outcome.same) for outcome in outcomes] == [("lc25000", 30)]
    assert qoqdata.new_source("my_scans", "ct", out=tmp_path).folder == tmp_path / "my_scans"
    assert capfd.readouterr() == ("", "")


def test_the_probe_is_silent_and_says_what_it_leaves_out(
    fresh: Path, capfd: pytest.CaptureFixture
) -> None:
    try:
        result = qoqdata.difficulty(fresh, probe=True, limit=4)
        assert result.path.stem == "linear-probe" and result.table.height
    except UsageError as error:
        assert error.what.startswith("no question can be probed: too few patients in ")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "function"),
    [
        (["stats"], qoqdata.stats),
        (["stats", "--prior"], lambda path: qoqdata.stats(path, prior=True)),
        (["curate"], qoqdata.curate),
        (["difficulty", "--prior"], lambda path: qoqdata.difficulty(path, prior=True)),
        (["card", "--repo-id", "a/b"], lambda path: qoqdata.card(path, repo_id="a/b")),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_a_command_writes_what_its_function_writes(
    command: Callable, built: Path, tmp_path: Path, arguments: list[str], function: Callable
) -> None:
    first, second = (Path(shutil.copytree(built, tmp_path / name / "set")) for name in "ab")
    function(first)
    code, _, _ = command(arguments[0], second, *arguments[1:])
    assert code == 0
    assert tree(first) == tree(second)


def test_a_command_shows_what_its_function_returns(
    command: Callable, fresh: Path, built: Path, config: dict, tmp_path: Path
) -> None:
    (tmp_path / "build.yaml").write_text(yaml.safe_dump(config))
    by_command, by_function = tmp_path / "a" / "set", tmp_path / "b" / "set"
    code, out, _ = command(
        "build", "--config", tmp_path / "build.yaml", "--out", by_command, "--workers", 0, "--json"
    )
    manifest = qoqdata.build(config=tmp_path / "build.yaml", out=by_function, workers=0)
    assert code == 0 and tree(by_command) == tree(by_function)
    assert json.loads(out)["digest"] == manifest.digest
    assert qoqdata.build(config=BuildConfig(**config), out=by_function, workers=0) == manifest

    stats = qoqdata.stats(fresh)
    shown = json.loads(command("stats", fresh, "--json")[1])
    assert shown["domains"] == stats.domains.to_dicts()
    assert json.loads(command("curate", fresh, "--json")[1])["records"] == 77
    shard = next((fresh / "data").rglob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-1])
    findings = [vars(finding) for finding in qoqdata.validate(fresh)]
    assert json.loads(command("validate", fresh, "--json")[1])["findings"] == findings
    assert [finding["rule"] for finding in findings] == ["shards are as built"]

    rollouts = rollouts_of(built, tmp_path)
    arguments = ("--from", rollouts, "--out", tmp_path / "c" / "set", "--policy", "p", "--json")
    shown = json.loads(command("traces", built, *arguments)[1])
    traced = qoqdata.traces(built, rollouts, out=tmp_path / "d" / "set", policy="p")
    assert (shown["digest"], shown["traces"]) == (traced.manifest.digest, traced.traces)
    assert tree(tmp_path / "c") == tree(tmp_path / "d")
    changes = qoqdata.diff(built, tmp_path / "c" / "set").records.to_dicts()
    assert json.loads(command("diff", built, tmp_path / "c" / "set", "--json")[1]) == changes

    arguments = ("--to", "sharegpt", "--out", tmp_path / "x", "--json")
    shown = json.loads(command("export", built, *arguments)[1])
    tally = qoqdata.export(built, to="sharegpt", out=tmp_path / "y")
    assert (shown["written"], shown["left_out"]) == (tally.written, tally.left_out)
    assert tree(tmp_path / "x") == tree(tmp_path / "y")


def test_publish_and_rebuild_as_the_commands(
    command: Callable, fresh: Path, tmp_path: Path
) -> None:
    dry = qoqdata.publish(fresh, to=tmp_path / "a", dry_run=True)
    assert dry.delivery is None and not (tmp_path / "a").exists()
    sent = qoqdata.publish(fresh, to=tmp_path / "a").delivery
    code, out, _ = command("publish", fresh, "--to", tmp_path / "b", "--json")
    assert code == 0 and sent is not None and json.loads(out)["sent"] == list(sent.sent)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    arguments = ("--raw", raw_of("lc25000"), "--out", tmp_path / "c" / "set", "--workers", 0)
    code, out, _ = command("rebuild", tmp_path / "a", *arguments, "--json")
    raw = {"lc25000": raw_of("lc25000")}
    manifest, _ = qoqdata.rebuild(tmp_path / "b", raw=raw, out=tmp_path / "d" / "set", workers=0)
    assert code == 0 and json.loads(out)["digest"] == manifest.digest
    assert tree(tmp_path / "c") == tree(tmp_path / "d")


def test_the_catalogue() -> None:
    cards = qoqdata.cards()
    assert set(SLUGS) <= set(cards) and list(cards) == sorted(cards)
    assert qoqdata.find_source("lc25000").card == cards["lc25000"]
    assert qoqdata.example_mapping("lc25000") is None
    assert "mask_codes:" in (qoqdata.example_mapping("nifti_pairs") or "")
    with pytest.raises(UnknownSource, match="did you mean ptb_xl"):
        qoqdata.example_mapping("ptbxl")


def test_build_from_a_slug_and_a_mapping(tmp_path: Path) -> None:
    example = qoqdata.find_source("image_table").folder / "example"
    mapping = parse_yaml(qoqdata.example_mapping("image_table") or "", where="mapping")
    by_content, by_file = (
        qoqdata.build(
            "image_table",
            raw=example / "raw",
            mapping=given,
            out=tmp_path / name / "set",
            workers=0,
        )
        for name, given in (("a", mapping), ("b", str(example / "mapping.yaml")))
    )
    assert by_content == by_file
    counts = by_content.sources["our_films"].counts
    assert (counts.records, counts.quarantined) == (4, 2)
    manifest = qoqdata.build(
        ["lc25000"], raw=str(raw_of("lc25000")), out=str(tmp_path / "set"), limit=2, workers=0
    )
    assert manifest.sources["lc25000"].counts.units == 2


def test_wrong_calls_name_the_fault(built: Path, tmp_path: Path, config: dict) -> None:
    out, raw = tmp_path / "set", raw_of("lc25000")
    for call, words in (
        (lambda: qoqdata.build("lc25000", out=out), "no source to build"),
        (lambda: qoqdata.build("lc25000", raw=raw, config=config, out=out), "stands alone"),
        (lambda: qoqdata.build(SLUGS, raw=raw, options={"a": 1}, out=out), "one source"),
        (lambda: qoqdata.build(config=config, limit=0, out=out), "greater than or equal to 1"),
        (lambda: qoqdata.build(config={"sources": []}, out=out), "at least 1 item"),
        (lambda: qoqdata.build("lc25000", raw=raw, out=out, engine="slurm"), "no engine"),
        (lambda: qoqdata.difficulty(built), "say one of"),
        (lambda: qoqdata.difficulty(built, probe=True, prior=True), "say one of"),
        (lambda: qoqdata.difficulty(built, rollouts=raw, policy="../x"), "the policy's name"),
        (lambda: qoqdata.curate(built, recipe={"phi": {"on_finding": "keep"}}), "phi.on_finding"),
        (lambda: qoqdata.publish(built), "say where to publish"),
        (lambda: qoqdata.publish(built, repo_id="name"), "is not ORG/NAME"),
        (lambda: qoqdata.export(built, to="excel", out=out), "there is no format"),
        (lambda: qoqdata.export(built, to="trl", out=built), "is not empty"),
        (lambda: qoqdata.rebuild(built, raw=raw, out=out), "holds no recipe"),
        (lambda: qoqdata.new_source("a", "ct"), "no converters/ folder here"),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(tmp_path)
            with pytest.raises(UsageError, match=words):
                call()
    with pytest.raises(DatasetError, match="no such data set"):
        qoqdata.validate(tmp_path / "none")


def test_processes_do_not_run_the_callers_script_again(tmp_path: Path, salt_file: Path) -> None:
    """Scripts rarely guard their main part; each worker would begin the same build again."""
    script = tmp_path / "script.py"
    raw = str(raw_of("lc25000"))
    arguments = f"'lc25000', raw={raw!r}, out='set', salt_file={str(salt_file)!r}"
    script.write_text(
        "import qoqdata\n"
        "print('once')\n"
        f"manifest = qoqdata.build({arguments}, workers=1)\n"
        "counts = manifest.sources['lc25000'].counts\n"
        "print(counts.converted, counts.quarantined, __file__, __spec__)\n"
    )
    run = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines() == ["once", f"10 0 {script} None"]


def test_module_as_a_command() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "qoqdata", "--version"], capture_output=True, text=True, check=True
    )
    assert run.stdout == f"qoqdata {qoqdata.__version__}\n"


def test_the_dataset_is_a_public_name(built: Path) -> None:
    assert isinstance(qoqdata.open(built), qoqdata.Dataset) and qoqdata.Dataset is Dataset
