"""Mistakes that people make: each is one line that names what, where and a fix, and a code."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import qoqdata as package
from qoqdata.sources import catalogue
from tests.cli.told import only_line

EXAMPLE = catalogue.find_source("image_table").folder / "example"


@pytest.fixture
def build(qoqdata: Callable, salt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Build the example below `tmp_path` with a mapping of these words; returns code and line."""
    monkeypatch.chdir(tmp_path)

    def run(text: str | None = None, *more: str, raw: Path = EXAMPLE / "raw", out: str = "set"):
        Path("map.yaml").write_text(text or (EXAMPLE / "mapping.yaml").read_text())
        common = ("--raw", raw, "--mapping", "map.yaml", "--out", out, "--workers", "0")
        code, _, told = qoqdata("build", "image_table", *common, *more)
        return code, told

    return run


SETTINGS = (EXAMPLE / "mapping.yaml").read_text().partition("\n#")[0]
LINES = SETTINGS.splitlines()


def line_with(start: str) -> int:
    return 1 + next(n for n, line in enumerate(LINES) if line.strip().startswith(start))


@pytest.mark.parametrize(
    ("right", "wrong", "field", "words"),
    [
        ("question:", "qestion:", "qestion", "did you mean question?"),
        ("labels: finding", "lables: finding", "table.lables", "did you mean labels?"),
        ("bits: 12", "xyzzy: 12", "xyzzy", "`qoqdata sources image_table` shows an example"),
        ("bits: 12", "bits: many", "bits", "valid integer"),
        ("name: Chest films of our hospital", "name: 12", "name", "write it in quotes"),
    ],
)
def test_a_setting_at_fault_has_file_and_line(
    build: Callable, right: str, wrong: str, field: str, words: str
) -> None:
    number = line_with(right)
    code, told = build(SETTINGS.replace(right, wrong))
    assert code == 2
    assert only_line(told).startswith(f"map.yaml, line {number}, {field}: ")
    assert words in told


def test_yaml_at_fault_has_file_and_line(build: Callable, tmp_path: Path) -> None:
    code, told = build("slug: films\nname: [a\nquestion: b\n")
    assert (code, told.count("\n")) == (2, 1)
    assert told.startswith("error: map.yaml, line 3: is not YAML")


def test_settings_of_sources_within_a_list(
    qoqdata: Callable, salt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("build.yaml").write_text(
        "sources:\n  - source: ptb_xl\n    raw: a\n  - source: kits23\n    rwa: b\n"
    )
    code, _, told = qoqdata("build", "--config", "build.yaml", "--out", "set")
    assert code == 2
    line = only_line(told)
    assert line.startswith("build.yaml, line 5, sources.1.rwa: there is no such setting")
    assert line.endswith("did you mean raw?")


def test_settings_of_a_recipe_and_of_training(
    qoqdata: Callable, train: Callable, films: Path, tmp_path: Path
) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("leakage: {on_finding: drop}\nphy: {on_finding: drop}\n")
    code, _, told = qoqdata("curate", films, "--recipe", path)
    assert code == 2
    assert only_line(told).startswith(f"{path}, line 2, phy: ")
    assert "did you mean phi?" in told
    path.write_text("data: set\nmodel: m\nloss:\n  lk: 1\n  klx: 0.1\n")
    code, _, told = train("train", "--config", path, "--show-settings")
    assert code == 2
    assert only_line(told).startswith(f"{path}, line 5, loss.klx: ")
    assert "did you mean kl?" in told


@pytest.mark.parametrize(
    "command",
    [
        ["build", "ptb_xl", "--raw", ".", "--out"],
        ["export", "{films}", "--to", "trl", "--out"],
        ["export", "{films}", "--to", "webdataset", "--out"],
        ["export", "{films}", "--to", "records", "--out"],
        ["simulate", "lc25000", "--n", "1", "--out"],
        ["demo", "--workers", "0", "--out"],
        ["new-source", "my_scans", "--domain", "ct", "--out"],
    ],
    ids=lambda command: " ".join(command[:1] + command[3:4]),
)
def test_out_is_a_file(
    qoqdata: Callable, films: Path, salt: Path, tmp_path: Path, command: list[str]
) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    code, _, told = qoqdata(*(part.replace("{films}", str(films)) for part in command), file)
    assert (code, file.read_text()) == (2, "mine")
    assert str(file) in only_line(told)


def full(path: object = None, *_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_told_with_the_file(
    qoqdata: Callable, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writers of tables and of tars name no file in what they raise."""
    monkeypatch.setattr("qoqdata.exports.webdataset.tarfile.TarFile.addfile", full)
    code, _, told = qoqdata("export", films, "--to", "webdataset", "--out", tmp_path / "w")
    place = tmp_path / "w" / "train-00000.tar"
    assert (code, only_line(told)) == (
        3,
        f"{place}: No space left on device. Fix: free space there, then run the same command again",
    )
    assert not list((tmp_path / "w").iterdir())
    monkeypatch.setattr("qoqdata.simulation.write_text", full)
    code, _, told = qoqdata("simulate", "lc25000", "--n", "1", "--out", tmp_path / "raw")
    assert code == 3
    assert only_line(told).startswith(f"{tmp_path / 'raw'}: No space left")


def test_a_full_disk_in_a_build(build: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qoqdata.pipeline.shards.pq.ParquetWriter.write_table", full)
    code, told = build()
    assert code == 3
    last = told.splitlines()[-1]
    assert "No space left on device" in last
    assert "set/data/our_films/" in last
    assert "then the same command goes on from here" in last


def test_the_path_of_a_set_is_wrong(qoqdata: Callable, films: Path, tmp_path: Path) -> None:
    around, file = films.parent, films / "README.md"
    (tmp_path / "empty").mkdir()
    for place, what, fix in (
        (around / "filmes", "there is no such data set", f"did you mean {films}?"),
        (films / "data", "holds no manifest.json", f"name the folder of the set: {films}"),
        (around, "holds no manifest.json", "name a set in it: films"),
        (file, "is a file, and a data set is a folder", f"name the folder of the set: {films}"),
        (tmp_path / "none", "there is no such data set", "check the path, or finish the build"),
        (
            tmp_path / "empty",
            "holds no manifest.json",
            "name the folder that `qoqdata build` wrote",
        ),
    ):
        code, _, told = qoqdata("validate", place)
        assert code == 1
        line = only_line(told)
        assert line.startswith(f"{place}: {what}. Fix: {fix}")


def test_a_set_of_another_schema(qoqdata: Callable, films: Path, tmp_path: Path) -> None:
    other = shutil.copytree(films, tmp_path / "other")
    manifest = json.loads((other / "manifest.json").read_text())
    for version, writer, fix in (
        (99, "7.1.0", "use the qoqdata that wrote it (7.1.0), or a later one"),
        (99, "7\nrm -rf /", "use the qoqdata that wrote it, or a later one"),
        (1, "0.0.1", "build it anew: qoqdata build image_table --mapping FILE --raw DIR --out NEW"),
    ):
        found = manifest | {"schema_version": version, "qoqdata_version": writer}
        (other / "manifest.json").write_text(json.dumps(found))
        code, _, told = qoqdata("stats", other)
        assert code == 1
        assert only_line(told) == f"{other}: has schema version {version}, this is 2. Fix: {fix}"
    (other / "manifest.json").write_text('{"name": "a web page"}')
    code, _, told = qoqdata("stats", other)
    assert code == 1
    assert "is not a manifest" in only_line(told)


@pytest.mark.parametrize("arguments", [["--workers", "-1"], ["--limit", "none"], ["--rwa", "x"]])
def test_arguments_that_are_none(build: Callable, arguments: list[str]) -> None:
    code, told = build(None, *arguments)
    assert code == 2
    assert arguments[0].lstrip("-") in only_line(told)


def test_a_command_that_is_mistyped(qoqdata: Callable, train: Callable) -> None:
    code, _, told = qoqdata("validat", "set")
    assert code == 2
    assert only_line(told) == "qoqdata: No such command 'validat'. Fix: did you mean 'validate'?"
    code, _, told = train("train", "set")
    assert code == 2
    assert only_line(told).startswith("qoqtrain train: ")


def test_a_raw_folder_of_the_wrong_level(build: Callable) -> None:
    for raw, right in (
        (EXAMPLE, EXAMPLE / "raw"),
        (EXAMPLE / "raw" / "films", EXAMPLE / "raw" / "films" / ".."),
    ):
        code, told = build(raw=raw, out=raw.name)
        assert (code, told.count("\n")) == (3, 1)
        assert told.startswith("our_films: refused (missing_file): labels.csv: no such file")
        assert f"Fix: it is in {right}: name that folder with --raw\n" in told


def test_no_column_of_patients(build: Callable) -> None:
    """Without official splits nothing keeps a patient in one of them, and a line says so."""
    content = yaml.safe_load(SETTINGS)
    del content["split_values"], content["table"]["split"]
    _, told = build(yaml.safe_dump(content))
    assert "name no patient" not in told
    del content["table"]["patient"]
    _, told = build(yaml.safe_dump(content), out="other")
    assert "our_films: 4 of 4 units name no patient" in told
    assert "Fix: name the table's patient or group column in the mapping" in told


def test_an_id_that_is_not_there_or_begins_one(qoqdata: Callable, films: Path) -> None:
    ids = sorted(record["id"] for record in package.open(films))
    for words in (("why", films), ("decide", films)):
        more = ("drop", "--why", "x") if words[0] == "decide" else ()
        for id_, fix in (
            ("0f3a" * 8, "`qoqdata view` shows ids"),
            (ids[0][:12], f"did you mean {ids[0]}?"),
        ):
            code, _, told = qoqdata(*words, id_, *more)
            assert code == 1
            assert only_line(told) == f"{films}: holds no record '{id_}'. Fix: {fix}"


def test_a_report_where_a_folder_stands(qoqdata: Callable, films: Path, tmp_path: Path) -> None:
    """Said before records are compared, not after."""
    code, _, told = qoqdata("report", films, "--out", tmp_path)
    assert code == 2
    assert only_line(told) == (
        f"{tmp_path}: is a folder, and the report is a file. "
        f"Fix: name a file in it: --out {tmp_path}/index.html"
    )
