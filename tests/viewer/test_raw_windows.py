"""Other windows of an image come from the raw file of its record, or not at all."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image

from qoqdata.dataset import Dataset
from qoqdata.readers import encode
from qoqdata.readers.dicom import read_dicom
from qoqdata.serving.gate import Gate
from qoqdata.sources.rawtree import RawTree
from qoqdata.viewer.app import viewer_app
from tests.readers import dicom_objects
from tests.records.sound_rows import facts, image_row
from tests.validation.written_set import write
from tests.viewer.conftest import BOXED, inside, rows
from tests.viewer.test_commands import command

__all__ = ["command"]

#: Hounsfield units: air, water, soft tissue, bone.
VALUES = (-1000, 0, 40, 1000)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    root = tmp_path / "raw"
    root.mkdir()
    pixels = np.repeat(np.int16([VALUES]), 4, axis=0)
    one = dicom_objects.image(pixels, RescaleSlope=1, RescaleIntercept=0, RescaleType="HU")
    dicom_objects.save(one, root / "a.dcm")
    return root


@pytest.fixture
def dataset(tmp_path: Path, raw: Path) -> Dataset:
    """The boxed record is the raw file through the lung window; the others have none there."""
    content = rows()
    film = encode.png(read_dicom(raw / "a.dcm", window="lung").frames[0])
    shown = {"images": [{"bytes": film, "path": "0.png"}], "image_info": [facts(width=4, height=4)]}
    shown |= dict.fromkeys(("masks", "mask_info", "regions"))
    own = image_row()["provenance"] | {"raw": ["a.dcm"], "digest": RawTree(raw).digest(["a.dcm"])}
    for row in content:
        if row["id"] == BOXED:
            row |= shown | {"provenance": own}
    return write(tmp_path / "set", content)


def opened(dataset: Dataset, folders: dict[str, Path]) -> FlaskClient:
    gate = Gate("127.0.0.1")
    app = viewer_app(dataset, gate, raw=folders, author="ana")
    app.test_client_class = inside(gate)
    client = app.test_client()
    client.get("/", query_string={"token": gate.token}, base_url="http://localhost")
    return client


def offered(client: FlaskClient, id_: str = BOXED) -> list[str]:
    page = client.get(f"/record/{id_}").text
    _, _, choice = page.partition("data-window=")
    return re.findall(r"<option>([^<]*)</option>", choice.partition("</select>")[0])


def test_a_window_shows_the_values_of_the_raw_file(dataset: Dataset, raw: Path) -> None:
    """By hand, LINEAR (PS3.3 C.11.2.1.2.1): lung is -600 / 1500, so -1000 HU is at
    ((-1000 + 600.5) / 1499 + 0.5) * 255 = 59.54, and what is above 149 is white."""
    client = opened(dataset, {"films": raw})
    assert {"brain", "bone", "lung", "abdomen"} <= set(offered(client))
    answer = client.get(f"/record/{BOXED}/image/0/window/lung")
    with Image.open(BytesIO(answer.data)) as image:
        assert answer.mimetype == "image/png" and image.size == (4, 4)
        levels = np.asarray(image)[0].tolist()
    assert levels[0] == 60 and levels[3] == 255 and levels[0] < levels[1] < levels[2]
    brain = client.get(f"/record/{BOXED}/image/0/window/brain").data
    with Image.open(BytesIO(brain)) as image:
        assert np.asarray(image)[0].tolist()[0] == 0
    assert client.get(f"/record/{BOXED}/image/0/window/brains").status_code == 500
    assert client.get(f"/record/{BOXED}/image/7/window/lung").status_code == 500


def test_nothing_is_guessed(dataset: Dataset, raw: Path, tmp_path: Path) -> None:
    assert offered(opened(dataset, {})) == []
    assert offered(opened(dataset, {"others": raw})) == []
    client = opened(dataset, {"films": raw})
    others = [row["id"] for row in rows() if row["id"] != BOXED]
    assert [offered(client, id_) for id_ in others] == [[]] * len(others)
    # Another file under the same name is not what was converted.
    other = dicom_objects.image(
        np.int16([VALUES[::-1]] * 4), RescaleSlope=1, RescaleIntercept=0, RescaleType="HU"
    )
    dicom_objects.save(other, raw / "a.dcm")
    assert offered(client) == []
    answer = client.get(f"/record/{BOXED}/image/0/window/lung")
    assert answer.status_code == 500 and "not the file that was converted" in answer.text
    (raw / "a.dcm").unlink()
    assert offered(client) == []
    assert client.get(f"/record/{BOXED}/image/0").status_code == 200


def test_a_folder_that_is_not_there_is_told(dataset: Dataset, command: Callable) -> None:
    for text in ("films", "films=/nowhere/x", "=/"):
        code, _, err = command("view", dataset.root, "--raw", text)
        assert code == 2 and "names no source with a folder" in err and err.count("\n") == 1
