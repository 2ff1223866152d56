"""A small set with everything that the viewer draws, and a browser's client for it."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image

from qoqdata.dataset import Dataset
from qoqdata.serving.gate import Gate
from qoqdata.viewer.app import viewer_app
from tests.records.sound_rows import ecg_row, facts, image_row, mask_info, region
from tests.validation.written_set import write

HOSTILE = '<img src=x onerror="document.title=1">'
#: Ids by what the record shows.
BOXED, PLAIN, SCAN, HEART, TEXT = ("a" * 32, "b" * 32, "c" * 32, "d" * 32, "e" * 32)
SIZE = 240


def picture(level: int, size: int = SIZE) -> dict:
    """A grey ramp from `level` on, as a record stores it."""
    pixels = (np.tile(np.linspace(level, 200, size), (size, 1))).astype(np.uint8)
    with BytesIO() as stream:
        Image.fromarray(pixels).save(stream, "PNG")
        return {"bytes": stream.getvalue(), "path": f"{level}.png"}


def label_map(code: int, size: int = SIZE) -> dict:
    """A mask whose lower right quarter has `code`."""
    codes = np.zeros((size, size), np.uint8)
    codes[size // 2 :, size // 2 :] = code
    with BytesIO() as stream:
        Image.fromarray(codes).save(stream, "PNG")
        return {"bytes": stream.getvalue(), "path": "mask.png"}


def rows() -> list[dict]:
    seen = facts(width=SIZE, height=SIZE)
    heart = np.sin(np.arange(5500) / 50).astype(np.float32)
    return [
        image_row(
            id=BOXED,
            images=[picture(0)],
            image_info=[seen],
            masks=[label_map(7)],
            mask_info=[mask_info(width=SIZE, height=SIZE, reader="r2")],
            regions=[
                region(x_min=20.0, y_min=30.0, x_max=120.0, y_max=90.0, reader="r1"),
                region(label="tube", x_min=60.0, y_min=8.0, x_max=90.0, y_max=200.0, role="given"),
            ],
        ),
        image_row(
            id=PLAIN,
            split="test",
            study="b2" * 16,
            patient="b1" * 16,
            question=HOSTILE,
            answer="Clear",
            labels=["Clear"],
            sex="male",
            age=40,
            images=[picture(40)],
            image_info=[seen],
            masks=None,
            mask_info=None,
            regions=None,
            context="Report: \u202eevil\u202c &amp; <b>bold</b>",
        ),
        image_row(
            id=SCAN,
            modality="volume_3d",
            study="c2" * 16,
            labels=["Effusion"],
            images=[picture(level) for level in (10, 60, 110)],
            image_info=[facts(width=SIZE, height=SIZE, index=n) for n in range(3)],
            masks=None,
            mask_info=None,
            regions=None,
        ),
        ecg_row(
            id=HEART,
            source="films",
            study="d2" * 16,
            ecg={
                "leads": ["I", "II"],
                "fs": 500.0,
                "signal": [heart.tolist(), (heart / 2).tolist()],
                "valid": [[True] * 5500, [True] * 100 + [False] * 50 + [True] * 5350],
            },
        ),
        image_row(
            id=TEXT,
            split="validation",
            study="e2" * 16,
            images=None,
            image_info=None,
            masks=None,
            mask_info=None,
            regions=None,
            labels=None,
            sex=None,
            age=None,
        ),
    ]


def inside(gate: Gate) -> type[FlaskClient]:
    """A client whose paths are those below the viewer's root, or full URLs."""

    class Inside(FlaskClient):
        def open(self, *arguments: Any, **settings: Any) -> Any:
            settings.setdefault("base_url", f"http://localhost{gate.root}/")
            return super().open(*arguments, **settings)

    return Inside


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return write(tmp_path / "set", rows())


@pytest.fixture
def gate() -> Gate:
    return Gate("127.0.0.1")


@pytest.fixture
def stranger(dataset: Dataset, gate: Gate) -> Iterator[FlaskClient]:
    """Somebody on this machine who does not know the token."""
    app = viewer_app(dataset, gate, author="ana")
    app.testing = False
    app.test_client_class = inside(gate)
    with app.test_client() as client:
        yield client


@pytest.fixture
def client(stranger: FlaskClient, gate: Gate) -> FlaskClient:
    """Somebody who opened the printed URL."""
    opened = stranger.get("/", query_string={"token": gate.token}, base_url="http://localhost")
    assert opened.status_code == 303
    return stranger
