"""The viewer in a real browser: search, overlays, slices, decisions by keyboard, both themes."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qoqdata.dataset import Dataset
from qoqdata.serving.server import bound
from qoqdata.viewer.served import COMMAND, viewer_of
from tests.viewer.conftest import BOXED, HEART, PLAIN, SCAN, TEXT

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.common.exceptions import (  # noqa: E402
    NoSuchElementException,
    StaleElementReferenceException,
)
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

pytestmark = pytest.mark.slow
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("no chromium with its chromedriver on the PATH")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1400,1000"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER)) as driver:
        yield driver


@pytest.fixture
def url(dataset: Dataset) -> Iterator[str]:
    server, url = bound(viewer_of(dataset, author="ana"), command=COMMAND)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield url
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def page(browser: Any, url: str) -> Iterator[Any]:
    """The grid, opened by the printed URL."""
    browser.get(url)
    browser.get_log("browser")
    yield browser
    # Or it would go on asking a server that is gone.
    browser.get("about:blank")


def wait(page: Any, condition: Any) -> Any:
    # An element may be of the page that is just left.
    passing = [StaleElementReferenceException, NoSuchElementException]
    return WebDriverWait(page, 60, ignored_exceptions=passing).until(lambda _: condition())


def shown(page: Any) -> list[str]:
    links = page.find_elements(By.CSS_SELECTOR, ".card")
    return [link.get_attribute("href").partition("/record/")[2][:32] for link in links]


def press(page: Any, keys: str) -> None:
    page.switch_to.active_element.send_keys(keys)


def photograph(page: Any, name: str) -> None:
    """Keep a picture to look at where QOQDATA_SCREENSHOTS names a folder."""
    if folder := os.environ.get("QOQDATA_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.save_screenshot(f"{folder}/{name}.png")


def wear(page: Any, theme: str) -> None:
    page.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": theme}]},
    )


def failures(page: Any) -> list[str]:
    """What the browser complains of, a refusal by the content policy among it."""
    return [line["message"] for line in page.get_log("browser") if line["level"] == "SEVERE"]


def test_the_token_leaves_the_address_and_search_finds(page: Any) -> None:
    assert "token" not in page.current_url
    assert shown(page) == [PLAIN, BOXED, SCAN, HEART, TEXT]
    assert page.title.startswith("written")  # no markup of a question ran
    for theme in ("light", "dark"):
        wear(page, theme)
        photograph(page, f"grid-{theme}")
    loaded = "return [...document.images].every(i => i.complete && i.naturalWidth > 0)"
    wait(page, lambda: page.execute_script(loaded))
    press(page, "/")
    press(page, "sinus\ue007")
    wait(page, lambda: shown(page) == [HEART])
    page.find_element(By.CSS_SELECTOR, ".chip").click()
    wait(page, lambda: len(shown(page)) == 5)
    page.find_element(By.CSS_SELECTOR, "input[name=split][value=train]").click()
    wait(page, lambda: shown(page) == [BOXED, SCAN, HEART])
    page.refresh()
    assert shown(page) == [BOXED, SCAN, HEART]
    assert failures(page) == []


def test_overlays_by_label_and_reader(page: Any) -> None:
    page.get(f"{page.current_url}record/{BOXED}")
    for theme in ("light", "dark"):
        wear(page, theme)
        photograph(page, f"boxes-{theme}")

    def visible() -> list[str]:
        groups = page.find_elements(By.CSS_SELECTOR, ".over g")
        return [g.get_attribute("data-label") for g in groups if g.is_displayed()]

    everything = visible()
    assert everything[:2] == ["opacity", "tube"] and len(everything) == 3
    image, over = (page.find_element(By.CSS_SELECTOR, f".canvas {name}") for name in ("img", "svg"))
    assert image.rect == over.rect  # boxes lie where the pixels are
    page.find_element(By.CSS_SELECTOR, "[data-layer=label][value=tube]").click()
    assert visible() == [everything[0], everything[2]]
    page.find_element(By.CSS_SELECTOR, "[data-layer=reader][value=r2]").click()
    assert visible() == ["opacity"]
    page.find_element(By.TAG_NAME, "h1").click()
    for expected in ([], everything):
        press(page, "o")
        assert visible() == expected
    width = image.rect["width"]
    press(page, "++")
    wait(page, lambda: abs(image.rect["width"] / width - 1.25**2) < 0.02)
    assert image.rect == over.rect
    press(page, "0")
    wait(page, lambda: image.rect["width"] == width)
    assert failures(page) == []


def test_slices_and_sheets_scroll_by_key(page: Any) -> None:
    root = page.current_url
    for record, last in ((SCAN, "Slice 3"), (HEART, "sheet 2 of 2")):
        page.get(f"{root}record/{record}")
        for theme in ("light", "dark"):
            wear(page, theme)
            photograph(page, f"{'slices' if record == SCAN else 'ecg'}-{theme}")
        press(page, "]]]")

        def caption() -> str:
            found = page.find_elements(By.CSS_SELECTOR, "figcaption")
            return " ".join(one.text for one in found if one.is_displayed())

        wait(page, lambda last=last: last in caption())
        loaded = "return document.querySelector('figure:not([hidden]) img').naturalWidth > 0"
        wait(page, lambda loaded=loaded: page.execute_script(loaded))
    assert failures(page) == []


def test_decide_undo_and_reload_by_keyboard(page: Any, dataset: Dataset) -> None:
    page.find_element(By.CSS_SELECTOR, f'.card[href*="{BOXED}"]').click()
    state = lambda: page.find_element(By.CSS_SELECTOR, "#status .state").text  # noqa: E731
    assert state() == "kept"
    press(page, "d")
    press(page, "cut off at the <b>apex</b>\ue007")
    wait(page, lambda: state() == "dropped")
    assert "cut off at the <b>apex</b>" in page.find_element(By.ID, "status").text
    assert len(dataset) == 4
    wear(page, "light")
    photograph(page, "decided")
    page.refresh()
    assert state() == "dropped"
    press(page, "n")
    wait(page, lambda: SCAN in page.current_url)
    press(page, "u")
    wait(page, lambda: BOXED in page.current_url and state() == "kept")
    assert len(dataset) == 5
    press(page, "g")
    wait(page, lambda: len(shown(page)) == 5)
    assert failures(page) == []


def test_relabel_and_comment_by_keyboard(page: Any, dataset: Dataset) -> None:
    page.find_element(By.CSS_SELECTOR, f'.card[href*="{BOXED}"]').click()
    status = lambda: page.find_element(By.ID, "status").text  # noqa: E731
    press(page, "r")
    right = page.switch_to.active_element.get_attribute("value")
    press(page, " \ue007")  # ticks the first option, then to the reason
    press(page, "no effusion\ue007")
    wait(page, lambda: "decided to relabel it" in status())
    assert f"right is {right}" in status() and len(dataset) == 4
    press(page, "c")
    press(page, "rotated\ue007")
    verdicts = lambda: page.find_element(By.ID, "verdicts").text  # noqa: E731
    wait(page, lambda: "rotated" in verdicts())
    wear(page, "light")
    photograph(page, "relabelled")
    for left in ("no effusion", "kept"):
        press(page, "u")
        wait(page, lambda left=left: left in status() + verdicts() and "rotated" not in verdicts())
    assert len(dataset) == 5
    assert failures(page) == []


def test_two_tabs_see_each_other_and_overwrite_nothing(page: Any, dataset: Dataset) -> None:
    place = f"{page.current_url}record/{BOXED}"
    grid = page.current_window_handle
    status = lambda: page.find_element(By.ID, "status").text  # noqa: E731
    tabs = []
    for _ in range(2):
        page.switch_to.new_window("tab")
        page.get(place)
        tabs.append(page.current_window_handle)
    try:
        # The second tab does not look again by itself before it decides.
        page.execute_script("document.querySelector('#main').removeAttribute('data-watched')")
        page.switch_to.window(tabs[0])
        press(page, "d")
        press(page, "of the first tab\ue007")
        wait(page, lambda: "of the first tab" in status())
        page.switch_to.window(tabs[1])
        assert "kept" in status()
        press(page, "k")
        press(page, "of the second tab\ue007")
        wait(page, lambda: page.find_element(By.CSS_SELECTOR, "[role=alert]"))
        assert "decided since it was shown" in page.find_element(By.CSS_SELECTOR, ".refused").text
        assert page.find_element(By.ID, "why").get_attribute("value") == "of the second tab"
        assert "of the first tab" in status() and len(dataset) == 4
        photograph(page, "two-tabs")
        press(page, "\ue00ck")
        press(page, "\ue007")
        wait(page, lambda: "decided to keep it: of the second tab" in status())
        # The first tab and the grid follow by themselves; what is typed stays.
        page.switch_to.window(tabs[0])
        page.find_element(By.ID, "why").send_keys("half a rea")
        wait(page, lambda: "decided to keep it: of the second tab" in status())
        assert page.find_element(By.ID, "why").get_attribute("value") == "half a rea"
        assert page.find_element(By.ID, "seen").get_attribute("value") == "2"
    finally:
        for tab in tabs:
            page.switch_to.window(tab)
            page.close()
        page.switch_to.window(grid)


def test_another_site_gets_nothing(browser: Any, url: str) -> None:
    browser.get(url)
    place = browser.current_url
    browser.get("data:text/html,<title>elsewhere</title>")
    browser.execute_script(
        "const form = document.createElement('form'); form.method = 'post';"
        f"form.action = '{place}undo'; document.body.append(form); form.submit()"
    )
    wait(browser, lambda: "This did not work" in browser.page_source)
    assert "token" in browser.page_source  # the cookie did not come along
