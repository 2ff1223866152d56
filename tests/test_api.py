"""The Python API: what the functions return, silently, and that commands only show it."""

from __future__ import annotations

import ast
import inspect
import json
import pkgutil
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest
import yaml

import qoqdata
import qoqtrain
from qoqdata.cli import main
from qoqdata.dataset import Dataset
from qoqdata.errors import DatasetError, UnknownSource, UsageError
from qoqdata.pipeline.config import BuildConfig
from qoqdata.pipeline.progress import Finished, Planned
from qoqdata.suite.examples import SALT
from qoqdata.yaml_document import parse_yaml
from tests.cli.conftest import runner
from tests.publication.conftest import raw_of
from tests.remote.servers import Site, serving

SLUGS = ("ham10000", "lc25000", "covid_blues")
PACKAGES = (qoqdata, qoqtrain)
FUNCTIONS = [name for name in qoqdata.__all__ if inspect.isfunction(getattr(qoqdata, name))]
ALL_FUNCTIONS = [
    getattr(package, name)
    for package in PACKAGES
    for name in package.__all__
    if inspect.isfunction(getattr(package, name))
]


@pytest.fixture(scope="module")
def salt_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("salt") / "salt"
    path.write_text(SALT.secret.hex())
    return path


@pytest.fixture(autouse=True)
def surroundings(salt_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The salt and the cache of the test, so that the user's own are left alone."""
    monkeypatch.setenv("QOQDATA_SALT_FILE", str(salt_file))
    monkeypatch.setenv("QOQDATA_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    sources = [{"source": slug, "raw": str(raw_of(slug))} for slug in SLUGS]
    return {"name": "three", "sources": sources}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, config: dict, salt_file: Path) -> Path:
    """Three examples, curated, with statistics: one may leave, one as recipe, one not at all."""
    out = tmp_path_factory.mktemp("api") / "set"
    qoqdata.build(config=config, out=out, workers=0, salt_file=salt_file)
    qoqdata.curate(out)
    qoqdata.stats(out, prior=True)
    return out


@pytest.fixture
def fresh(built: Path, tmp_path: Path) -> Path:
    """A copy that the test may write into."""
    return Path(shutil.copytree(built, tmp_path / "fresh" / "set"))


@pytest.fixture
def url(built: Path) -> Iterator[str]:
    with serving(Site(built.parent)) as site:
        yield f"{site.url}/set"


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable:
    """Run `qoqdata ARGS`; returns exit code, standard output and standard error."""
    return runner("qoqdata", main.run, monkeypatch, capsys)


def tree(root: Path) -> dict[str, str]:
    """Digests of all files below a folder but the marks of a build."""
    files = (path for path in root.rglob("*") if path.is_file() and ".build" not in path.parts)
    return {str(path.relative_to(root)): sha256(path.read_bytes()).hexdigest() for path in files}


def rollouts_of(dataset: Path, folder: Path) -> Path:
    """Two rollouts of each training question, the first of them right and thought aloud."""
    ids = qoqdata.open(dataset).kept().filter(pl.col("split") == "train")["id"].to_list()
    rows = [(id_, "<think>Round.</think>\\boxed{A}", 1.0) for id_ in ids]
    rows += [(id_, "\\boxed{B}", 0.0) for id_ in ids]
    path = folder / "rollouts.parquet"
    pl.DataFrame(rows, schema=["id", "response", "reward"], orient="row").write_parquet(path)
    return path


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


def test_a_folder_a_path_and_an_opened_set_are_the_same(built: Path, tmp_path: Path) -> None:
    opened = qoqdata.open(built)
    for dataset in (str(built), built, f"file://{built}", opened):
        assert qoqdata.validate(dataset) == []
        assert qoqdata.diff(dataset, opened).records.height == 0


def test_from_a_url_as_from_the_folder(
    command: Callable, built: Path, url: str, tmp_path: Path
) -> None:
    assert qoqdata.validate(url) == qoqdata.validate(qoqdata.open(url)) == []
    code, out, _ = command("validate", url)
    assert code == 0 and out.startswith("valid: 77 records")
    code, out, _ = command("diff", url, built)
    assert (code, out) == (0, "the same records\n")
    for dataset, name in ((built, "a"), (url, "b")):
        code, _, _ = command("export", dataset, "--to", "webdataset", "--out", tmp_path / name)
        assert code == 0
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    arguments = ("--from", rollouts_of(built, tmp_path), "--policy", "p", "--out")
    for dataset, name in ((built, "c"), (url, "d")):
        assert command("traces", dataset, *arguments, tmp_path / name / "set")[0] == 0
    local, remote = tree(tmp_path / "c" / "set"), tree(tmp_path / "d" / "set")
    # Reports of curation stay where the set was built.
    left = {name for name in local if name not in remote}
    assert {name for name in left if not name.startswith("curation/likeness/")} == {
        "curation/burned_in.html",
        "curation/burned_in.json",
        "curation/burned_in.parquet",
        "curation/duplicates.parquet",
        "curation/leakage.parquet",
        "curation/phi.json",
        "curation/phi.parquet",
        "curation/quality.parquet",
    }
    assert remote.items() <= local.items()
    assert qoqdata.validate(tmp_path / "d" / "set") == []


def test_training_commands_take_a_url(
    url: str, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    import qoqtrain.cli

    train = runner("qoqtrain", qoqtrain.cli.run, monkeypatch, capsys)
    assert train("weights", url, "--json") == train("weights", built, "--json")
    ids = qoqdata.open(built).kept().filter(pl.col("split") == "train")["id"]
    answers = tmp_path / "answers.jsonl"
    answers.write_text("".join(json.dumps({"id": i, "response": "A"}) + "\n" for i in ids))
    arguments = ("--predictions", answers, "--split", "train", "--bootstrap", "0", "--json")
    shown = [json.loads(train("evaluate", "--data", d, *arguments)[1]) for d in (url, built)]
    assert shown[0]["counts"]["missing"] == 0
    assert [shown[0].pop("run")["dataset"]] == [shown[1].pop("run")["dataset"]]
    assert shown[0] == shown[1]


def test_a_damaged_shard_behind_a_url_is_a_finding(
    command: Callable, built: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(built, tmp_path / "site" / "set"))
    first, second = sorted((copy / "data").rglob("*.parquet"))[:2]
    first.write_bytes(first.read_bytes()[::-1])
    second.unlink()
    with serving(Site(copy.parent)) as site:
        findings = qoqdata.validate(f"{site.url}/set")
        code, _, _ = command("validate", f"{site.url}/set")
    assert code == 1
    assert [(finding.where, finding.rule) for finding in findings] == [
        (path.relative_to(copy).as_posix(), "every shard can be read") for path in (first, second)
    ]
    assert "digest" in findings[0].what and "not in the store" in findings[1].what


def test_a_release_is_rebuilt_from_its_url(fresh: Path, tmp_path: Path) -> None:
    qoqdata.publish(fresh, to=tmp_path / "site" / "releases")
    raw = raw_of("lc25000")
    local = qoqdata.rebuild(tmp_path / "site" / "releases", raw=raw, out=tmp_path / "a", workers=0)
    with serving(Site(tmp_path / "site")) as site:
        remote = qoqdata.rebuild(f"{site.url}/releases", raw=raw, out=tmp_path / "b", workers=0)
    assert remote == local
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


@pytest.mark.parametrize("name", ["curate", "stats", "difficulty", "card", "publish"])
def test_what_writes_into_the_set_needs_its_folder(
    command: Callable, url: str, tmp_path: Path, name: str
) -> None:
    options = {"difficulty": ["--prior"], "publish": ["--to", tmp_path / "releases"]}
    code, _, err = command(name, url, *options.get(name, []))
    assert code == 2
    assert err == (
        f"error: {url}: `qoqdata {name}` writes into the set. "
        "Fix: work on the folder where the set was built, and publish it again\n"
    )
    settings: dict[str, dict[str, Any]] = {
        "difficulty": {"prior": True},
        "publish": {"to": tmp_path / "releases"},
    }
    with pytest.raises(UsageError, match="writes into the set"):
        getattr(qoqdata, name)(qoqdata.open(url), **settings.get(name, {}))


def test_records_behind_a_url(built: Path, url: str) -> None:
    local, remote = qoqdata.open(built), qoqdata.open(url)
    assert len(remote) == len(local) == 77
    assert remote[-1] == local[-1]
    assert repr(remote) == repr(local).replace(str(built), url)
    assert "<img" in local._repr_html_() and "<img" not in remote._repr_html_()


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
