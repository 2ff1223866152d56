"""The Image Pixel module (PS3.3 C.7.6.3): the layout of the pixel data, checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

from pydicom.dataset import Dataset
from pydicom.uid import UID, RLELossless

from qoqdata.errors import NoPixels, UnreadableFile, UnsupportedFormat
from qoqdata.readers.dicom import elements
from qoqdata.readers.dicom.dataset import OpenFile
from qoqdata.readers.dicom.pixel_data import PixelData, pixel_data
from qoqdata.readers.limits import Limits

_FLOATS = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}
_STARTS = (b"\xff\xd8", b"\xff\x4f")  # JPEG and JPEG-LS, JPEG 2000
GREY = ("MONOCHROME1", "MONOCHROME2")


@dataclass(frozen=True)
class ImagePixel:
    """Layout of the pixel data `data`. `photometric` is the stored one, `keyword` their element.

    `bits_allocated` is 1, 8, 16, 32 or 64; `repairs` names what was wrong and harmless.
    """

    rows: int
    columns: int
    frames: int
    samples: int
    photometric: str
    planar: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    keyword: str
    data: PixelData
    transfer_syntax: UID
    repairs: tuple[str, ...] = ()

    @property
    def floating(self) -> bool:
        """True when the stored values are floating point numbers."""
        return self.keyword in _FLOATS

    @property
    def tabled(self) -> bool:
        """True when one table can hold every stored value."""
        return not self.floating and self.word_bits in (8, 16)

    @property
    def word_bits(self) -> int:
        """Bits of the container word of a decoded value; single bits are unpacked to bytes."""
        return max(8, self.bits_allocated)

    @property
    def word(self) -> tuple[int, int, bool]:
        """Container bits, stored bits and sign of a decoded value, for `stored_values`."""
        return self.word_bits, self.bits_stored, self.signed


def image_pixel(file: OpenFile, *, limits: Limits) -> ImagePixel:
    """The layout that the header declares, after checks of sense, limits and actual length.

    Raises NoPixels for an object without an image, UnreadableFile when the header contradicts
    itself or the data are shorter than it says, UnsupportedFormat for layouts outside DICOM's
    current ones, TooLarge beyond the limits.
    """
    dataset = file.dataset
    keyword = _keyword(file)
    syntax = _transfer_syntax(dataset)
    rows = elements.required(dataset, "Rows")
    columns = elements.required(dataset, "Columns")
    frames = elements.integer(dataset, "NumberOfFrames")
    samples = elements.integer(dataset, "SamplesPerPixel")
    repairs = []
    if frames is None or frames == 0:
        if frames == 0:
            repairs.append("NumberOfFrames is 0: read as 1")
        frames = 1
    if samples is None:
        samples = 1
    limits.check_shape("image_pixels", (rows, columns), where=file.where)
    limits.check_shape("frames", (frames,), where=file.where)
    limits.check_shape("voxels", (frames, rows, columns), where=file.where)
    pixel = ImagePixel(
        rows=rows,
        columns=columns,
        frames=frames,
        samples=samples,
        photometric=elements.code_string(dataset, "PhotometricInterpretation") or "",
        planar=elements.integer(dataset, "PlanarConfiguration") or 0,
        bits_allocated=_FLOATS.get(keyword) or elements.required(dataset, "BitsAllocated"),
        bits_stored=_FLOATS.get(keyword) or elements.required(dataset, "BitsStored"),
        signed=elements.integer(dataset, "PixelRepresentation") == 1,
        keyword=keyword,
        data=pixel_data(dataset, keyword, encapsulated=syntax.is_encapsulated),
        transfer_syntax=syntax,
    )
    _check_bits(pixel, elements.integer(dataset, "HighBit"))
    repairs += _check_length(pixel)
    return replace(pixel, repairs=tuple(repairs))


def _keyword(file: OpenFile) -> str:
    present = [name for name in ("PixelData", *_FLOATS) if name in file.dataset]
    if len(present) == 1:
        return present[0]
    if present:
        raise UnreadableFile("the file holds more than one kind of pixel data")
    if "Rows" in file.dataset or "BitsAllocated" in file.dataset:
        raise UnreadableFile("the header declares an image, but the pixel data are missing")
    modality = elements.code_string(file.dataset, "Modality") or "unknown modality"
    raise NoPixels(f"a DICOM object without an image ({modality})")


def _transfer_syntax(dataset: Dataset) -> UID:
    syntax = UID(elements.text(dataset.file_meta, "TransferSyntaxUID") or "")
    if not syntax.is_transfer_syntax:
        raise UnsupportedFormat("the transfer syntax is private or unknown")
    return syntax


def _check_bits(pixel: ImagePixel, high_bit: int | None) -> None:
    container, bits = pixel.bits_allocated, pixel.bits_stored
    if container not in (1, 8, 16, 32, 64) or (container == 64 and not pixel.floating):
        raise UnsupportedFormat(f"BitsAllocated {container} is outside the current standard")
    if not 1 <= bits <= container:
        raise UnreadableFile(f"BitsStored {bits} does not fit BitsAllocated {container}")
    if pixel.samples not in (1, 3):
        raise UnsupportedFormat(f"{pixel.samples} samples per pixel")
    if not pixel.photometric:
        raise UnreadableFile("PhotometricInterpretation is missing")
    single = pixel.photometric in (*GREY, "PALETTE COLOR")
    if single != (pixel.samples == 1):
        raise UnreadableFile(f"{pixel.photometric} does not go with {pixel.samples} samples")
    native = not pixel.transfer_syntax.is_encapsulated
    if native and not pixel.floating and high_bit is not None and high_bit != bits - 1:
        raise UnsupportedFormat(
            f"HighBit {high_bit} is not BitsStored - 1: where the value lies is not certain"
        )


def _check_length(pixel: ImagePixel) -> list[str]:
    """Raise UnreadableFile when uncompressed data are shorter than declared; tell of excess."""
    length = pixel.data.length
    if pixel.transfer_syntax.is_encapsulated or length is None:
        _check_items(pixel)
        return []
    bits = pixel.rows * pixel.columns * pixel.samples * pixel.bits_allocated
    if pixel.photometric == "YBR_FULL_422":
        bits = bits * 2 // 3
    size = ceil(bits * pixel.frames / 8)
    if length < size:
        raise UnreadableFile(f"the pixel data hold {length:,} bytes, the header declares {size:,}")
    if length - size > 1:
        return ["pixel data longer than declared: the excess bytes are left out"]
    return []


def _check_items(pixel: ImagePixel) -> None:
    """Raise UnreadableFile unless the compressed items can be the declared number of frames."""
    count = len(pixel.data.items)
    starts = sum(start in _STARTS for start in pixel.data.items)
    frames = count if pixel.transfer_syntax == RLELossless else starts
    if count < pixel.frames or frames > pixel.frames:
        raise UnreadableFile(
            f"the pixel data hold {max(count, frames)} compressed items, "
            f"the header declares {pixel.frames} frames"
        )
