"""The commands as a user runs them: help, exit codes, output for people and for scripts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

import qoqtrain.cli
from qoqdata.cli.main import app

COMMANDS = [command.name for command in app.registered_commands]


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """The example of image_table, whose table has two faulty rows."""
    from qoqdata.sources import catalogue

    return catalogue.find_source("image_table").folder / "example"


@pytest.mark.parametrize("name", [*COMMANDS])
def test_every_command_has_help_with_an_example(name: str) -> None:
    result = CliRunner().invoke(app, [name, "--help"])
    assert result.exit_code == 0
    assert f"qoqdata {name}" in result.output.split("Example:")[1]


def test_qoqtrain_help_has_an_example() -> None:
    result = CliRunner().invoke(qoqtrain.cli.app, ["weights", "--help"])
    assert "Example:  qoqtrain weights" in result.output


def test_build_validate_stats_weights(
    qoqdata: Callable, train: Callable, films: Path, salt: Path, tmp_path: Path
) -> None:
    out = tmp_path / "set"
    arguments = ("--raw", films / "raw", "--mapping", films / "mapping.yaml", "--out", out)
    code, text, _ = qoqdata("build", "image_table", *arguments, "--workers", "0")
    assert code == 1
    assert "outside_root" in text
    assert "missing_file" in text
    code, text, _ = qoqdata("validate", out)
    assert (code, text) == (0, "valid: 4 records in 3 shards keep every rule\n")
    code, text, _ = qoqdata("stats", out, "--prior")
    assert code == 0
    assert "prior-label-entropy" in text
    code, text, _ = train("weights", out)
    assert code == 0
    assert "chest_xray" in text
    code, text, _ = train("weights", out, "--by", "source", "--json")
    # One source holds all records, so its weight is the mean weight, which is 1.
    assert [(row["domain"], row["weight"]) for row in json.loads(text)] == [("our_films", 1.0)]


def test_build_json_is_the_manifest(
    qoqdata: Callable, films: Path, salt: Path, tmp_path: Path
) -> None:
    arguments = ("--raw", films / "raw", "--mapping", films / "mapping.yaml")
    out = tmp_path / "set"
    code, text, _ = qoqdata(
        "build", "image_table", *arguments, "--out", out, "--workers", "0", "--json"
    )
    counts = json.loads(text)["sources"]["our_films"]["counts"]
    assert code == 1
    assert (counts["units"], counts["records"], counts["quarantined"]) == (6, 4, 2)


def test_validate_json_lists_findings(
    qoqdata: Callable, films: Path, salt: Path, tmp_path: Path
) -> None:
    out = tmp_path / "set"
    arguments = ("--raw", films / "raw", "--mapping", films / "mapping.yaml", "--out", out)
    qoqdata("build", "image_table", *arguments, "--workers", "0")
    shard = next((out / "data").rglob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-1])
    code, text, _ = qoqdata("validate", out, "--json")
    assert code == 1
    assert [f["rule"] for f in json.loads(text)["findings"]] == ["shards are as built"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["build", "ptb_xl", "--out", "set"], "no source to build"),
        (["build", "ptb_xl", "--raw", "nowhere", "--out", "set"], "no such raw folder"),
        (["build", "ptbxl", "--raw", ".", "--out", "set"], "did you mean ptb_xl"),
        (["build", "--config", "nowhere.yaml", "--out", "set"], "no such file"),
        (["build", "ptb_xl", "--raw", "."], "--out is missing"),
        (["build", "image_table", "--raw", ".", "--out", "set"], "needs a mapping"),
        (["build", "ptb_xl", "--raw", ".", "--out", "set", "--option", "rate=7"], "no choice"),
        (["build", "ptb_xl", "--raw", ".", "--out", "set", "--option", "speed=7"], "no option"),
        (["build", "ptb_xl", "--raw", ".", "--out", "set", "--engine", "slurm"], "no engine"),
        (["sources", "nothing"], "no source is called 'nothing'"),
        (["difficulty", "set"], "one of --from"),
        (["new-source", "Bad-Name", "--domain", "ct", "--out", "."], "slug"),
        (["new-source", "ptb_xl", "--domain", "ct", "--out", "."], "registered already"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    qoqdata: Callable,
    salt: Path,
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    work = tmp_path / "work"
    (work / "raw").mkdir(parents=True)
    monkeypatch.chdir(work / "raw")
    arguments = ["../set" if argument == "set" else argument for argument in arguments]
    code, _, text = qoqdata(*arguments)
    assert code == 2
    assert words in text
    assert text.startswith("error: ")


def test_a_missing_data_set_is_exit_1(qoqdata: Callable, train: Callable, tmp_path: Path) -> None:
    for code, _, text in (
        qoqdata("validate", tmp_path / "none"),
        qoqdata("stats", tmp_path / "none"),
        train("weights", tmp_path / "none"),
    ):
        assert code == 1
        assert "there is no such data set" in text


def test_difficulty_from_rollouts(
    qoqdata: Callable, films: Path, salt: Path, tmp_path: Path
) -> None:
    out = tmp_path / "set"
    arguments = ("--raw", films / "raw", "--mapping", films / "mapping.yaml", "--out", out)
    qoqdata("build", "image_table", *arguments, "--workers", "0")
    import qoqdata as package

    train_ids = (
        package.open(out).records.filter(pl.col("split") == "train").select("id").collect()["id"]
    )
    rollouts = tmp_path / "rollouts.parquet"
    rewards = [[0.0, 1.0], [0.25, 0.25]]
    pl.DataFrame({"id": train_ids, "rewards": rewards}).write_parquet(rollouts)
    code, _, text = qoqdata("difficulty", out, "--from", rollouts)
    assert code == 2
    assert "--policy" in text
    code, _, _ = qoqdata(
        "difficulty", out, "--from", rollouts, "--policy", "tiny", "--scorer", "f1"
    )
    assert code == 0
    assert qoqdata("stats", out)[0] == 0
    row = package.open(out).stats.domains.to_dicts()[0]
    assert (row["success_rate"], row["n_questions"], row["n_rollouts"]) == (0.375, 2, 4)
    assert (row["policy"], row["scorer"]) == ("tiny", "f1")
    pl.DataFrame({"id": ["unknown"], "reward": [0.5]}).write_parquet(rollouts)
    code, _, text = qoqdata("difficulty", out, "--from", rollouts, "--policy", "tiny")
    assert code == 1
    assert "1 of 1 rollout ids are not in the data set" in text


def test_sources_lists_all_and_shows_one(qoqdata: Callable) -> None:
    from qoqdata.sources import catalogue

    code, text, _ = qoqdata("sources")
    assert code == 0
    assert all(slug in text for slug in catalogue.cards())
    code, text, _ = qoqdata("sources", "kits23")
    assert code == 0
    assert "CC BY-NC-SA 4.0" in text
    assert "imaging.nii.gz" in text
    code, text, _ = qoqdata("sources", "nifti_pairs")
    assert "mask_codes:" in text
    assert list(json.loads(qoqdata("sources", "--json")[1])) == list(catalogue.cards())


def test_new_source_passes_its_suite(
    qoqdata: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, text, _ = qoqdata("new-source", "my_scans", "--domain", "ct", "--out", "package")
    assert code == 0
    assert "entry-points" in text
    expected = (tmp_path / "package/my_scans/example/expected.jsonl").read_text().splitlines()
    assert [json.loads(line)["answer"] for line in expected].count("Abnormal") == 2


def test_demo_runs_end_to_end(qoqdata: Callable, tmp_path: Path) -> None:
    code, text, _ = qoqdata("demo", "--out", tmp_path / "demo", "--workers", "0")
    assert code == 0
    assert "154 records" in text
    assert "drpo weights" in text
    again = qoqdata("demo", "--out", tmp_path / "demo", "--workers", "0")
    assert again[0] == 0
    assert again[1] == text
    # The same set as one document.
    code, text, _ = qoqdata("demo", "--out", tmp_path / "demo", "--workers", "0", "--json")
    found = json.loads(text)
    assert (code, found["findings"], found["records"]) == (0, 0, 154)
    content = json.loads(Path(found["manifest"]).read_text())
    assert found["digest"] == content["digest"]
    for slug, counts in found["sources"].items():
        assert counts.items() <= content["sources"][slug]["counts"].items()
    assert found["sources"].keys() == content["sources"].keys()
    assert found["sources"]["our_films"]["quarantined"] == 2
