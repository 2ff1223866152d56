"""The stream as a Hugging Face IterableDataset."""

from __future__ import annotations

from itertools import islice

import pytest
from datasets import Image, IterableDataset, List
from PIL import Image as Pillow

from qoqdata.dataset import Dataset
from qoqdata.errors import UsageError


def test_the_view(mixed: Dataset) -> None:
    stream = mixed.stream(columns=["id", "images", "age", "labels"], workers=1)
    next(iter(stream))
    view = stream.hf()
    assert isinstance(view, IterableDataset)
    assert view.features is not None and view.features["images"] == List(Image())
    for _ in range(2):
        rows = list(islice(view, 6))
        assert [row["id"] for row in rows] == stream.order(1, 7)["id"].to_list()
    assert [row["position"] for row in rows] == [1, 2, 3, 4, 5, 6]
    image = rows[0]["images"][0]
    assert isinstance(image, Pillow.Image) and image.size == (6, 4)
    assert set(rows[0]) == {"id", "images", "labels", "age", "position"}
    stream.close()


def test_the_view_decodes_itself(mixed: Dataset) -> None:
    with pytest.raises(UsageError, match="decodes images itself"):
        mixed.stream(images="array").hf()
