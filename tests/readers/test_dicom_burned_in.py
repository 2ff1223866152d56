"""What a header says of burned-in text becomes a coded note."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import MultiFrameTrueColorSecondaryCaptureImageStorage as COLOUR_CAPTURE
from pydicom.uid import SecondaryCaptureImageStorage

from qoqdata.readers.dicom import read_dicom
from qoqdata.readers.dicom.burned_in import CAPTURED, STATED, burned_in_notes
from tests.readers.dicom_objects import image

PIXELS = np.arange(48, dtype=np.uint8).reshape(6, 8)


@pytest.mark.parametrize(
    ("keywords", "notes"),
    [
        ({}, ()),
        ({"BurnedInAnnotation": "YES"}, (STATED,)),
        ({"BurnedInAnnotation": "NO"}, ()),
        ({"SOPClassUID": SecondaryCaptureImageStorage}, (CAPTURED,)),
        ({"SOPClassUID": COLOUR_CAPTURE, "BurnedInAnnotation": "YES"}, (STATED, CAPTURED)),
        ({"ConversionType": "WSD"}, (CAPTURED,)),
    ],
)
def test_notes(keywords: dict[str, str], notes: tuple[str, ...]) -> None:
    assert burned_in_notes(image(PIXELS, **keywords)) == notes


def test_they_travel_with_the_image(tmp_path: Path) -> None:
    path = tmp_path / "screen.dcm"
    image(PIXELS, BurnedInAnnotation="YES").save_as(path)
    assert STATED in read_dicom(path).repairs
