"""What the documents show works: every snippet is run, or says why it is not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import qoqtrain.cli
from qoqdata.cli import main
from qoqdata.remote import faults
from qoqdata.sources import catalogue
from tests.documents import DOCUMENTS, FENCE, ROOT, Reader, Snippet, is_shown, snippets
from tests.publication import hub_server

MODEL = "Qwen/Qwen2.5-VL-7B-Instruct"
#: Eight short rollouts are a training step as well.
SMALL_STEP = [
    f"--set={assignment}"
    for assignment in (
        "steps=1",
        "questions=8",
        "micro_batch=1",
        "rollouts.per_question=2",
        "rollouts.response_tokens=8",
        "engine.zero=0",
    )
]
ADDITIONS = {
    "qoqdata build": ["--workers=0"],
    "qoqtrain train": SMALL_STEP,
    "qoqtrain evaluate --data ./set --model": ["--max-tokens=8", "--bootstrap=20"],
}
#: For a key of a YAML snippet: what to put before it, the file it is, and a command that reads it.
FILES = {
    "sources": ("", "build.yaml", "qoqdata build --config build.yaml --out ./set"),
    "slug": (
        "",
        "mapping.yaml",
        "qoqdata build image_table --raw /data/films --mapping mapping.yaml --out ./mapped",
    ),
    "limits": (
        "sources: [{source: ptb_xl, raw: /data/ptb-xl}]\n",
        "limits.yaml",
        "qoqdata build --config limits.yaml --out ./limited",
    ),
}
FILMS = "qoqdata build image_table --raw /data/films --mapping films.yaml --out ./set"
PHOTOGRAPHS = "qoqdata build ham10000 --raw /data/ham10000 --out ./set"
ECGS = "qoqdata build ptb_xl --raw /data/ptb-xl --out ./set"
#: What a document takes for granted.
PRELUDES = {
    "evaluation.md": [FILMS],
    "publish.md": [FILMS, ECGS],
    "quarantine.md": [FILMS],
    "reading.md": [ECGS, "qoqdata stats ./set --prior"],
    "statistics.md": [ECGS],
    "training.md": [PHOTOGRAPHS, ECGS],
}


def example(slug: str) -> Path:
    return catalogue.find_source(slug).folder / "example"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Hub on this machine, for the documents' repository."""
    monkeypatch.setattr(faults, "WAITS", (0.01, 0.01))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", hub_server.TOKEN)
    with hub_server.serving() as server:
        template = f"{server.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.url)
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield


@pytest.fixture
def reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, hub: None
) -> Reader:
    """Somebody who types what the documents say, in an empty folder."""
    from qoqtrain.model.tiny import write_tiny

    (tmp_path / "salt").write_text("cd" * 32)
    monkeypatch.setenv("QOQDATA_SALT_FILE", str(tmp_path / "salt"))
    monkeypatch.setenv("QOQDATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DS_ACCELERATOR", "cpu")
    work = tmp_path / "work"
    (work / "converters").mkdir(parents=True)
    monkeypatch.chdir(work)
    write_tiny(tmp_path / "model", "qwen2_5_vl")

    def command(name: str, entry: Callable[[], None]) -> Callable[[list[str]], str]:
        def run(arguments: list[str]) -> str:
            monkeypatch.setattr("sys.argv", [name, *arguments])
            capsys.readouterr()
            with pytest.raises(SystemExit) as end:
                entry()
                raise SystemExit(0)
            shown = capsys.readouterr()
            # 1 is for findings: some examples hold faulty files on purpose.
            assert end.value.code in (0, 1, None), (arguments, shown.err)
            assert "error:" not in shown.err, (arguments, shown.err)
            return shown.out

        return run

    films = example("image_table")
    stand_ins = {
        MODEL: str(tmp_path / "model"),
        "--model M ": f"--model {tmp_path / 'model'} ",
        "/data/ham10000": str(example("ham10000") / "raw"),
        "/data/ptb-xl": str(example("ptb_xl") / "raw"),
        "/data/kits23": str(example("kits23") / "raw"),
        "/data/films": str(films / "raw"),
        "films.yaml": str(films / "mapping.yaml"),
        "s3://bucket/set": "./set",
        "--raw DIR": f"--raw {films / 'raw'}",
    }
    names = {
        "rewards": [1.0, 0.0, 1.0, 1.0],
        "questions": ["a", "a", "b", "b"],
        "domains": ["ecg"] * 4,
    }
    commands = {
        "qoqdata": command("qoqdata", main.run),
        "qoqtrain": command("qoqtrain", qoqtrain.cli.run),
    }
    return Reader(commands, stand_ins, ADDITIONS, FILES, names)


@pytest.mark.parametrize(
    "path",
    [path for path in DOCUMENTS if any(snippet.language for snippet in snippets(path))],
    ids=lambda path: path.name,
)
def test_every_snippet_runs_or_says_why_not(path: Path, reader: Reader) -> None:
    for line in PRELUDES.get(path.name, []):
        reader.execute(line)
    if path.name == "tutorial.md":
        # It makes its own files.
        files = {"slug": ("", "films.yaml", "qoqdata sources image_table")}
        reader = replace(reader, stand_ins={}, files=files)
    for snippet in snippets(path):
        try:
            reader.check(snippet) if snippet.reason else reader.run(snippet)
        except Exception as error:
            error.add_note(str(snippet))
            raise


def test_what_nothing_runs_is_found(reader: Reader) -> None:
    def snippet(language: str, text: str) -> Snippet:
        return Snippet(ROOT / "README.md", 1, language, text, None)

    for language, text in [
        ("console", "$ qoqdate sources\n"),
        ("console", "$ qoqdata sources --colour\n"),
        ("bash", "make\n"),
        ("yaml", "unheard: of\n"),
        ("toml", "[project.entry-points.x]\n"),
        ("perl", "1\n"),
        ("python", "import qoqdata\nqoqdata.close\n"),
    ]:
        with pytest.raises((AssertionError, AttributeError, KeyError)):
            reader.run(snippet(language, text))


@pytest.mark.parametrize(
    ("shown", "right"),
    [
        (["a", "b"], True),
        (["a"], False),
        (["b"], False),
        (["...", "b"], True),
        (["a", "..."], True),
        (["a", "...", "b"], True),
        (["...", "c", "..."], False),
    ],
)
def test_what_is_shown_below_a_command_is_what_it_prints(shown: list[str], right: bool) -> None:
    assert is_shown("a  \nb\n", shown) is right


def test_the_tree_of_the_page_is_the_tree() -> None:
    """Architecture, "What is where": every package is named, and nothing else."""
    page = ROOT / "docs" / "architecture.md"
    tree = next(s.text for s in snippets(page) if s.text.startswith("schemas/"))
    data, train = tree.partition("qoqdata/\n")[2].split("qoqtrain/")
    for top, text in (("qoqdata", data), ("qoqtrain", train.partition("benchmarks/")[0])):
        packages = {path.parent.name for path in (ROOT / top).glob("*/__init__.py")}
        assert set(re.findall(r"\b(\w+)/(?=[\s,]|$)", text)) == packages


def test_links_lead_to_files() -> None:
    for path in DOCUMENTS:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_code_is_fenced_so_that_it_is_run() -> None:
    for path in DOCUMENTS:
        prose = FENCE.sub("", path.read_text(encoding="utf-8"))
        assert not re.search(r"\n\n {4}\S.*", prose), f"{path.name} has an indented block"
