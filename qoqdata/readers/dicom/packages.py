"""Which packages decode which transfer syntax, for the hints of errors.

The names are those of the Python Package Index, where `pip install` finds them.
"""

from __future__ import annotations

from collections.abc import Container

from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

EXPORT_AGAIN = "export it again in another transfer syntax, such as Explicit VR Little Endian"
# Packages by the name that pydicom has for the decoder that they bring, in order of preference.
_JPEG = {
    "pylibjpeg": "pylibjpeg pylibjpeg-libjpeg",
    "gdcm": "python-gdcm",
}
_JPEG_LS = {"pyjpegls": "pyjpegls", **_JPEG}
_JPEG_2000 = {"pylibjpeg": "pylibjpeg pylibjpeg-openjpeg", "gdcm": "python-gdcm"}
_HTJ2K = {"pylibjpeg": "pylibjpeg pylibjpeg-openjpeg"}
PACKAGES: dict[UID, dict[str, str]] = {
    JPEGBaseline8Bit: _JPEG,
    JPEGExtended12Bit: _JPEG,
    JPEGLossless: _JPEG,
    JPEGLosslessSV1: _JPEG,
    JPEGLSLossless: _JPEG_LS,
    JPEGLSNearLossless: _JPEG_LS,
    JPEG2000Lossless: _JPEG_2000,
    JPEG2000: _JPEG_2000,
    HTJ2KLossless: _HTJ2K,
    HTJ2KLosslessRPCL: _HTJ2K,
    HTJ2K: _HTJ2K,
    RLELossless: {"pylibjpeg": "pylibjpeg pylibjpeg-rle", "gdcm": "python-gdcm"},
}


def with_decoder(syntax: UID) -> str:
    """What to do about a file in a syntax for which nothing is installed."""
    packages = list(PACKAGES.get(syntax, {}).values())
    if not packages:
        return EXPORT_AGAIN
    return f"pip install {packages[0]}"


def other_decoder(syntax: UID, installed: Container[str]) -> str:
    """What to do about a frame that no installed decoder can read."""
    packages = PACKAGES.get(syntax, {})
    for plugin, names in packages.items():
        if plugin not in installed:
            return f"fetch the file again, or try another decoder: pip install {names}"
    return "fetch the file again"
