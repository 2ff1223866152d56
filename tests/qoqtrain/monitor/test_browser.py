"""The page of a run in a real browser: it follows the run, and nothing that was written runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

from qoqdata.dataset import Dataset
from qoqdata.serving.server import bound
from qoqtrain.monitor.app import watch_app
from qoqtrain.monitor.run_folder import RunFolder
from tests.qoqtrain.monitor.conftest import add_step, numbers
from tests.viewer.test_browser import browser, failures, photograph, wait, wear

__all__ = ["browser"]
pytestmark = pytest.mark.slow


@pytest.fixture
def url(run: Path, dataset: Dataset) -> Iterator[str]:
    folder = RunFolder(run)
    server, url = bound(lambda gate: watch_app(folder, dataset, "", gate), command="qoqtrain watch")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield url
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_page_follows_the_run_until_it_ends(browser: Any, url: str, run: Path) -> None:
    browser.get(url)
    assert "token" not in browser.current_url
    loaded = "return [...document.images].every(i => i.complete && i.naturalWidth > 0)"
    wait(browser, lambda: browser.execute_script(loaded))
    for theme in ("light", "dark"):
        wear(browser, theme)
        photograph(browser, f"run-{theme}")

    def says(words: str) -> bool:
        return words in browser.find_element("css selector", "#main").text

    def follows() -> str:
        return str(browser.find_element("css selector", "#following").text)

    assert says("step\n3") and "Follows the run" in follows()
    add_step(run, numbers(4))
    wait(browser, lambda: says("step\n4"))
    # Whoever reads a response is left alone.
    browser.find_element("css selector", "summary").click()
    pause = browser.find_element("css selector", "#pause")
    pause.click()
    assert follows() == "Paused."
    browser.find_element("css selector", "summary").click()
    (run / "model").mkdir()
    pause.click()
    wait(browser, lambda: follows() == "The run has ended.")
    assert browser.title.startswith("run") and failures(browser) == []
