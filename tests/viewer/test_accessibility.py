"""No page of the viewer keeps somebody out who sees little or uses no mouse."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

from selenium.webdriver.common.by import By

from qoqdata.curation.decisions import comment, decide
from qoqdata.dataset import Dataset
from qoqdata.readers import encode
from qoqdata.readers.dicom import read_dicom
from qoqdata.serving.server import bound
from qoqdata.sources.rawtree import RawTree
from qoqdata.viewer.served import COMMAND, viewer_of
from tests.readers import dicom_objects
from tests.validation.written_set import write
from tests.viewer.accessibility import grave_findings
from tests.viewer.conftest import BOXED, HEART, SCAN, SIZE, TEXT, rows
from tests.viewer.test_browser import browser, failures, page, photograph, press, url, wait

__all__ = ["browser", "page", "url"]
pytestmark = pytest.mark.slow


def test_axe_finds_nothing_grave_on_any_page(page: Any, dataset: Dataset) -> None:
    decide(dataset, BOXED, False, "cut off", author="ana")
    comment(dataset, BOXED, "rotated", author="ana")
    root = page.current_url
    places = {
        "grid": "",
        "filtered": "?state=dropped&q=what",
        "nothing": "?q=nothing-has-this",
        "boxed": f"record/{BOXED}?at=0",
        "slices": f"record/{SCAN}",
        "ecg": f"record/{HEART}",
        "why": f"record/{BOXED}/why",
        "quarantine": "quarantine",
        "fault": f"record/{'f' * 32}",
    }
    found = []
    for name, place in places.items():
        page.get(f"{root}{place}")
        page.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true })")
        for theme in ("light", "dark"):
            found += grave_findings(page, theme=theme)
            photograph(page, f"axe-{name}-{theme}")
    assert found == []


def test_axe_finds_what_is_wrong(page: Any) -> None:
    """The gate, inverted: a field without a label and grey on grey are told."""
    page.execute_script(
        "document.querySelector('label[for=q]').remove();"
        "document.querySelector('.asked').style.cssText = 'color: #888; background: #999'"
    )
    found = " ".join(grave_findings(page, theme="light"))
    assert "label (critical)" in found and "color-contrast (serious)" in found


def calipers(page: Any) -> str:
    return page.find_element(By.ID, "measured").text


def test_calipers_by_keys_on_an_ecg(page: Any) -> None:
    """A half of the sheet across is 275 mm / 2 = 137.5 mm: 5500 ms; a tenth down of its 63 mm (two
    leads) 6.3 mm: 0.63 mV."""
    page.get(f"{page.current_url}record/{HEART}")
    press(page, "m")
    press(page, "\ue007")
    assert calipers(page) == "Now the other end."
    shift, down, left = "\ue008", "\ue015", "\ue012"
    press(page, f"{shift}{down * 2}{shift}")
    press(page, "\ue007")
    assert calipers(page) == "0 ms, 0.63 mV"
    press(page, "\ue007")
    press(page, f"{shift}{left * 10}{shift}")
    press(page, "\ue007")
    assert calipers(page) == "5500 ms, 0.00 mV"
    assert page.find_elements(By.CSS_SELECTOR, ".calipers line")
    photograph(page, "calipers")
    press(page, "\ue00c")
    assert calipers(page) == "" and not page.find_elements(By.CSS_SELECTOR, ".calipers")
    assert failures(page) == []


def test_another_window_comes_from_the_raw_file(browser: Any, tmp_path: Path) -> None:
    """The picture changes, its place does not, and the overlays stay on it."""
    raw = tmp_path / "raw"
    raw.mkdir()
    ramp = np.tile(np.linspace(-1000, 1000, SIZE).astype(np.int16), (SIZE, 1))
    one = dicom_objects.image(ramp, RescaleSlope=1, RescaleIntercept=0, RescaleType="HU")
    dicom_objects.save(one, raw / "a.dcm")
    (row,) = [row for row in rows() if row["id"] == BOXED]
    row["provenance"] |= {"raw": ["a.dcm"], "digest": RawTree(raw).digest(["a.dcm"])}
    row["images"][0]["bytes"] = encode.png(read_dicom(raw / "a.dcm", window="lung").frames[0])
    dataset = write(tmp_path / "scan", [row])
    make = viewer_of(dataset, raw={"films": raw}, author="ana")
    server, address = bound(make, command=COMMAND)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        browser.get(address)
        browser.get_log("browser")
        browser.get(f"{browser.current_url}record/{BOXED}")
        assert grave_findings(browser, theme="light") == []
        image = browser.find_element(By.CSS_SELECTOR, ".canvas img")
        place = image.rect
        choice = browser.find_element(By.CSS_SELECTOR, "[data-window]")
        choice.send_keys("brain")
        loaded = "const i = document.querySelector('.canvas img');"
        loaded += "return i.complete && i.naturalWidth > 0 && i.src"
        wait(browser, lambda: str(browser.execute_script(loaded)).endswith("/window/brain"))
        assert image.rect == place
        facts = browser.find_element(By.CSS_SELECTOR, "figcaption small")
        assert not facts.is_displayed()  # it tells the window of the stored image
        assert browser.find_element(By.CSS_SELECTOR, ".canvas svg.over").rect == place
        photograph(browser, "window")
        assert failures(browser) == []
    finally:
        browser.get("about:blank")
        server.shutdown()
        thread.join()
        server.server_close()


def test_nothing_is_measured_where_there_is_no_scale(page: Any) -> None:
    page.get(f"{page.current_url}record/{TEXT}")
    assert not page.find_elements(By.ID, "measure")
    press(page, "m")
    wait(page, lambda: not page.find_elements(By.CSS_SELECTOR, ".calipers"))
