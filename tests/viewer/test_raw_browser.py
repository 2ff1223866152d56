"""A window that is chosen on one slice is that of all, also of those that come by scrolling."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from qoqdata.readers import dicom
from qoqdata.records.dicoms import ordered_images
from qoqdata.serving.server import bound
from qoqdata.viewer.served import COMMAND, viewer_of
from tests.validation.written_set import write
from tests.viewer.test_raw_series import HU, LUNG, record, written

pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from tests.viewer.test_browser import browser, wait

__all__ = ["browser"]
pytestmark = pytest.mark.slow
SHOWN = "return document.querySelector('figure:not([hidden]) img').getAttribute('src')"


def test_a_window_holds_for_all_slices(browser: Any, tmp_path: Path) -> None:
    raw = written(tmp_path / "raw", HU)
    names = sorted(path.name for path in raw.iterdir())
    order = dicom.read_series_order([raw / name for name in names])
    images, _ = ordered_images(order, [1, 3, 5, 7], [LUNG])
    volume = {"modality": "volume_3d", "masks": None, "mask_info": None, "regions": None}
    row = record(images, raw, names, **volume)
    dataset = write(tmp_path / "set", [row])
    make = viewer_of(dataset, raw={"films": raw}, author="ana")
    server, url = bound(make, command=COMMAND)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        browser.get(url)
        browser.get(f"{browser.current_url}record/{row['id']}")
        choices = [Select(one) for one in browser.find_elements(By.CSS_SELECTOR, "[data-window]")]
        assert len(choices) == 4
        choices[0].select_by_visible_text("bone")
        for number in range(4):
            end = f"/image/{number}/window/bone"
            wait(browser, lambda end=end: browser.execute_script(SHOWN).endswith(end))
            wide = "return document.querySelector('figure:not([hidden]) img').naturalWidth"
            wait(browser, lambda wide=wide: browser.execute_script(wide) == 30)
            browser.find_element(By.ID, "figures").send_keys("]")
        Select(browser.find_elements(By.CSS_SELECTOR, "[data-window]")[3]).select_by_index(0)
        for number in (3, 2, 1, 0):
            end = f"/image/{number}"
            wait(browser, lambda end=end: browser.execute_script(SHOWN).endswith(end))
            browser.find_element(By.ID, "figures").send_keys("[")
    finally:
        browser.get("about:blank")
        server.shutdown()
        thread.join()
        server.server_close()
