"""Sources are found through entry points; a new one is a folder and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from qoqdata.errors import CardError, UnknownSource
from qoqdata.sources import catalogue
from tests.contract.test_card import CONTENT

CODE = "def plan(job):\n    return ()\n\ndef convert(unit, job):\n    return []\n"


def make(folder: Path, code: str | None = CODE, **changes: object) -> Path:
    folder.mkdir(parents=True)
    card = CONTENT | {"slug": folder.name} | changes
    (folder / "card.yaml").write_text(yaml.safe_dump(card))
    if code is not None:
        (folder / "source.py").write_text(code)
    return folder


def test_every_card_of_the_checkout_is_registered() -> None:
    import converters

    folders = {path.parent.name for path in Path(converters.__path__[0]).rglob("card.yaml")}
    assert folders
    assert set(catalogue.cards()) >= folders
    assert list(catalogue.cards()) == sorted(catalogue.cards())
    assert all(slug == card.slug for slug, card in catalogue.cards().items())


def test_sources_of_a_namespace_split_by_one_rule() -> None:
    """A build holds its own sources against each other; here all that are registered are."""
    rules: dict[str, set[object]] = {}
    for card in catalogue.cards().values():
        if (namespace := card.keys.namespace) is not None:
            rule = (tuple(sorted(card.splits.shares.items())), card.splits.patients is None)
            rules.setdefault(namespace, set()).add(rule)
    assert {namespace: len(own) for namespace, own in rules.items()} == dict.fromkeys(rules, 1)


def test_only_cards_with_a_block_list_are_read_for_it() -> None:
    listed = [card for card in catalogue.cards().values() if card.block]
    named = {block.source for card in listed for block in card.block}
    assert list(catalogue.blocking_cards(named)) == listed
    assert len(listed) > 1
    for name in named:
        own = [card for card in listed if name in {block.source for block in card.block}]
        found = catalogue.blocking_cards([name])
        assert all(card in found for card in own)
    assert catalogue.blocking_cards(["no_such_source"]) == ()


def test_a_source() -> None:
    source = catalogue.find_source("ham10000")
    assert source.card.slug == source.folder.name == "ham10000"
    assert source.module == "qoqdata.converters.dermoscopy.ham10000.source"
    assert source.configure is None
    assert catalogue.find_source("image_table").configure is not None


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UnknownSource, match="did you mean ham10000") as raised:
        catalogue.find_source("ham1000")
    assert raised.value.code == "unknown_source"
    with pytest.raises(UnknownSource, match="lists them"):
        catalogue.find_source("zzzzzzzz")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An importable package of sources, without entry points."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / f"sources_of_{tmp_path.name}"


def test_digests_follow_code_and_card(package: Path) -> None:
    folder = make(package / "films")
    module = f"{package.name}.films.source"
    first = catalogue.load_source(folder, module)
    (folder / "example").mkdir()
    (folder / "example" / "x.py").write_text("")
    (folder / "notes.md").write_text("")
    assert catalogue.load_source(folder, module) == first
    (folder / "codes.csv").write_text("a\n")
    second = catalogue.load_source(folder, module)
    assert second.code_digest != first.code_digest and second.card_digest == first.card_digest
    (folder / "card.yaml").write_text((folder / "card.yaml").read_text() + "# \n")
    third = catalogue.load_source(folder, module)
    assert third.card_digest != first.card_digest and third.code_digest == second.code_digest


@pytest.mark.parametrize(
    ("code", "changes", "said"),
    [
        (CODE, {"slug": "others"}, "not the folder's name"),
        (CODE, {"licence": {}}, "licence.name"),
        (None, {}, "no importable"),
        ("def plan(job): ...\n", {}, "does not define convert"),
        ("def convert(unit, job): ...\n", {}, "does not define plan"),
        ("plan = convert = 1\n", {}, "does not define plan"),
        ("def plan(job) ...\n", {}, "cannot be imported: SyntaxError"),
        ("import no_such_library\n", {}, "cannot be imported: No module named 'no_such_library'"),
        ("{}['key']\n", {}, "cannot be imported: KeyError: 'key'"),
        ("raise SystemExit(3)\n", {}, "cannot be imported: SystemExit: 3"),
    ],
)
def test_folders_at_fault(package: Path, code: str | None, changes: dict, said: str) -> None:
    folder = make(package / "films", code, **changes)
    with pytest.raises(CardError, match=said) as raised:
        catalogue.load_source(folder, f"{package.name}.films.source")
    assert str(folder) in str(raised.value)


def entry_point(site: Path, package: str) -> None:
    """What installing a package with this entry point leaves behind."""
    info = site / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[qoqdata.sources]\n{package} = {package}\n")


def elsewhere(site: Path, code: str) -> subprocess.CompletedProcess:
    """Run code in a process that has `site` on its path."""
    script = f"import sys; sys.path.insert(0, {str(site)!r})\n{code}"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)


LIST = (
    "from qoqdata.sources import catalogue\n"
    "from qoqdata.errors import QoqdataError\n"
    "try: print(*catalogue.cards())\n"
    "except QoqdataError as error: print('error', error)\n"
)


def test_sources_of_other_packages(tmp_path: Path) -> None:
    make(tmp_path / "mine" / "deep" / "films")
    # Cards inside examples and raw trees are no sources.
    make(tmp_path / "mine" / "deep" / "films" / "example" / "inner")
    make(tmp_path / "mine" / "raw" / "other")
    entry_point(tmp_path, "mine")
    code = LIST + "print(catalogue.find_source('films').module)"
    listed, module = elsewhere(tmp_path, code).stdout.splitlines()
    assert {"films", "ham10000"} <= set(listed.split())
    assert not {"inner", "other"} & set(listed.split())
    assert module == "mine.deep.films.source"


def test_one_name_for_two_sources(tmp_path: Path) -> None:
    """Neither is meant for sure, so neither is there; all others are."""
    make(tmp_path / "mine" / "ham10000")
    make(tmp_path / "mine" / "films")
    entry_point(tmp_path, "mine")
    done = elsewhere(tmp_path, LIST + "catalogue.find_source('ham10000')")
    listed = done.stdout.split()
    assert {"films", "ptb_xl"} <= set(listed) and "ham10000" not in listed
    warned, *_, error = done.stderr.splitlines()
    for text in (warned, error):
        assert f"{tmp_path / 'mine' / 'ham10000'}" in text
        assert "two sources are called 'ham10000'" in text


COMMAND = (
    "from qoqdata.cli.main import run\n"
    "import sys; sys.argv = ['qoqdata', 'sources', *sys.argv[1:]]; run()\n"
)
FAULTY = {
    "card": "licence.name: is missing",
    "yaml": "is not YAML",
    "name": "slug 'films' is not the folder's name",
    "table": "codes.csv",
}


@pytest.mark.parametrize("fault", FAULTY)
def test_a_broken_card_is_one_warning(tmp_path: Path, fault: str) -> None:
    """Once it took the whole catalogue with it, and so every command."""
    changes: dict[str, object] = {
        "card": {"licence": {}},
        "name": {"slug": "films"},
        "table": {"labels": {"file": "codes.csv", "key": "a", "value": "b"}},
    }.get(fault, {})  # type: ignore[assignment]
    folder = make(tmp_path / "mine" / "broken", **changes)
    if fault == "yaml":
        (folder / "card.yaml").write_text("{")
    make(tmp_path / "mine" / "sound")
    entry_point(tmp_path, "mine")
    done = elsewhere(tmp_path, COMMAND)
    listed = {line.split()[0].rstrip(":") for line in done.stdout.splitlines() if line}
    assert done.returncode == 0
    assert {"sound", "ptb_xl"} <= listed and "broken" not in listed
    # YAML's own words take several lines.
    warned = [line for line in done.stderr.splitlines() if "warning" in line]
    assert len(warned) == 1 and "Traceback" not in done.stderr
    assert str(folder) in warned[0] and FAULTY[fault] in warned[0]


def test_a_source_that_cannot_be_imported_is_one_warning(tmp_path: Path) -> None:
    make(tmp_path / "mine" / "broken", "1 / 0\n")
    make(tmp_path / "mine" / "sound")
    entry_point(tmp_path, "mine")
    code = (
        "from qoqdata.sources import catalogue\n"
        "for _ in range(2): print(*(source.card.slug for source in catalogue.sources()))\n"
    )
    done = elsewhere(tmp_path, code)
    for line in done.stdout.splitlines():
        assert {"sound", "ptb_xl"} <= set(line.split()) and "broken" not in line.split()
    assert done.stderr.count("CatalogueWarning") == 1
    assert "cannot be imported: ZeroDivisionError: division by zero" in done.stderr


def test_a_package_that_cannot_be_imported_is_one_warning(tmp_path: Path) -> None:
    make(tmp_path / "mine" / "films")
    (tmp_path / "mine" / "__init__.py").write_text("import no_such_library\n")
    entry_point(tmp_path, "mine")
    entry_point(tmp_path, "gone")
    done = elsewhere(tmp_path, COMMAND)
    assert done.returncode == 0 and "ptb_xl" in done.stdout and "films" not in done.stdout
    gone, mine = done.stderr.splitlines()
    assert gone.startswith("warning: package gone: cannot be imported: ModuleNotFoundError")
    assert mine.startswith("warning: package mine: cannot be imported: ModuleNotFoundError")


def test_listing_imports_no_converter(tmp_path: Path) -> None:
    make(tmp_path / "mine" / "films", "raise RuntimeError('imported')\n")
    entry_point(tmp_path, "mine")
    done = elsewhere(tmp_path, LIST)
    assert "films" in done.stdout.split() and not done.stderr
