"""A pytest plugin that runs the suite of `qoqdata.suite.checks` for every registered source.

    pytest --pyargs qoqdata.suite.checks                             # all sources
    pytest --pyargs qoqdata.suite.checks --qoqdata-source my_source  # one of them
    pytest --pyargs qoqdata.suite.checks --qoqdata-accept            # take as expected

Outside packages get it with qoqdata: their sources are found through the entry-point group.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from qoqdata.sources.protocol import Source

FIXTURE = "qoqdata_source"
_SOURCES: pytest.StashKey[dict[str, Source]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the plugin."""
    group = parser.getgroup("qoqdata", "qoqdata sources")
    group.addoption(
        "--qoqdata-source", action="append", metavar="SLUG", help="only this source; repeatable"
    )
    group.addoption(
        "--qoqdata-accept", action="store_true", help="write what the examples give as expected"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a source for every test that asks for `qoqdata_source`."""
    if FIXTURE not in metafunc.fixturenames:
        return
    by_slug = _sources_of_run(metafunc.config)
    metafunc.parametrize(FIXTURE, by_slug.values(), ids=list(by_slug), scope="module")


def _sources_of_run(config: pytest.Config) -> dict[str, Source]:
    """The sources that a run is about by slug, loaded once."""
    from qoqdata.sources import catalogue

    if _SOURCES not in config.stash:
        slugs = config.getoption("--qoqdata-source")
        sources = map(catalogue.find_source, slugs) if slugs else catalogue.sources()
        config.stash[_SOURCES] = {source.card.slug: source for source in sources}
    return config.stash[_SOURCES]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What the suite left out, a line a source."""
    reports = [one for reports in terminalreporter.stats.values() for one in reports]
    notes = [
        content
        for report in reports
        for name, content in getattr(report, "user_properties", ())
        if name == "qoqdata" and getattr(report, "when", "") == "call"
    ]
    for slug, note in sorted(set(map(tuple, notes))):
        terminalreporter.write_line(f"{slug}: {note}")
