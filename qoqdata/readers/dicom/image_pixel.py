"""The Image Pixel module (PS3.3 C.7.6.3): the layout of the pixel data, checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

from pydicom.dataset import Dataset
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
    RLELossless,
)

from qoqdata.errors import NoPixels, UnreadableFile, UnsupportedFormat
from qoqdata.readers.dicom import elements
from qoqdata.readers.dicom.codestream import Codestream, declared
from qoqdata.readers.dicom.dataset import OpenFile
from qoqdata.readers.dicom.fragments import Frames, frame_fragments, offset_tables
from qoqdata.readers.dicom.packages import EXPORT_AGAIN
from qoqdata.readers.dicom.pixel_data import PixelData, pixel_data
from qoqdata.readers.limits import Limits

_FLOATS = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}
GREY = ("MONOCHROME1", "MONOCHROME2")
DCT = (JPEGBaseline8Bit, JPEGExtended12Bit)
_LOSSY = (*DCT, JPEGLSNearLossless, JPEG2000, HTJ2K)
# Enough of a frame for its header, with a thumbnail or a colour profile in front.
_HEAD = 1 << 17


@dataclass(frozen=True)
class ImagePixel:
    """Layout of the pixel data `data`. `photometric` is the stored one, `keyword` their element.

    `bits_allocated` is 1, 8, 16, 32 or 64; `fragments` are those of each compressed frame;
    `sign_in_doubt` and `colour_in_doubt` say that header and codestream differ and that the values
    have to tell (`belief.believed`); `repairs` names what was wrong and what was believed instead.
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
    fragments: Frames = ()
    sign_in_doubt: bool = False
    colour_in_doubt: bool = False
    repairs: tuple[str, ...] = ()

    @property
    def floating(self) -> bool:
        """True when the stored values are floating point numbers."""
        return self.keyword in _FLOATS

    @property
    def lossy(self) -> bool:
        """True when the stored values went through a lossy codec."""
        return self.transfer_syntax in _LOSSY

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

    Where the length or the first codestream proves the header wrong, they are believed.

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
    if not syntax.is_encapsulated:
        return _of_actual_length(replace(pixel, repairs=tuple(repairs)))
    fragments, notes = frame_fragments(
        pixel.data.fragments,
        frames,
        offset_tables(dataset, pixel.data.table),
        rle=syntax == RLELossless,
    )
    pixel = replace(pixel, fragments=fragments, repairs=(*repairs, *notes))
    stream = None
    if syntax != RLELossless:
        stream = declared(pixel.data.joined(fragments[0], most=_HEAD))
    return pixel if stream is None else _as_coded(pixel, stream)


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
        raise UnsupportedFormat("the transfer syntax is private or unknown", fix=EXPORT_AGAIN)
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


def _of_actual_length(pixel: ImagePixel) -> ImagePixel:
    """The layout of uncompressed data that fits their length; tells of excess.

    YBR_FULL and YBR_FULL_422 differ in length only (PS3.3 C.7.6.3.1.2), so the length decides
    between them. Raises UnreadableFile when the data are shorter than declared.
    """
    length = pixel.data.length
    if length is None:
        raise UnreadableFile("uncompressed pixel data without a length")
    samples = pixel.rows * pixel.columns * pixel.samples * pixel.frames
    bits = samples * pixel.bits_allocated
    size = full = ceil(bits / 8)
    if pixel.samples == 3:
        halved = ceil(bits * 2 // 3 / 8)
        # A third of the frames may be missing, which looks the same.
        is_halved = 0 <= length - halved <= 1 and pixel.columns % 2 == 0 and pixel.frames % 3 != 0
        if pixel.photometric == "YBR_FULL_422":
            if 0 <= length - full <= 1:
                note = "YBR_FULL_422 of full length: the chroma is whole, read as YBR_FULL"
                return replace(pixel, photometric="YBR_FULL", repairs=(*pixel.repairs, note))
            size = halved
        elif is_halved and pixel.photometric == "YBR_FULL":
            note = "YBR_FULL of two thirds of its length: read as YBR_FULL_422"
            return replace(pixel, photometric="YBR_FULL_422", repairs=(*pixel.repairs, note))
        elif is_halved:
            raise UnreadableFile(
                f"{pixel.photometric} of two thirds of its length, as only YBR_FULL_422 has: "
                "either the label is wrong or the data are cut"
            )
    if length < size:
        raise UnreadableFile(f"the pixel data hold {length:,} bytes, the header declares {size:,}")
    if length - size > 1:
        note = "pixel data longer than declared: the excess bytes are left out"
        return replace(pixel, repairs=(*pixel.repairs, note))
    return pixel


def _as_coded(pixel: ImagePixel, stream: Codestream) -> ImagePixel:
    """The layout that the first codestream declares where the header says otherwise.

    The size is not replaced: a frame of another size is another frame, and is refused.
    """
    notes = []
    label = pixel.photometric
    if pixel.samples == 3:
        colour = stream.colour if pixel.transfer_syntax in DCT else None
        if colour is not None and colour[:3] != label[:3]:
            notes.append(f"labelled {label}, the JPEG stream is {colour}: read so")
            pixel = replace(pixel, photometric=colour)
        if stream.transformed is not None and label.startswith("YBR"):
            # A label of YCC goes with a transform in the stream, which decoders undo (PS3.5 8.2.4).
            in_doubt = stream.transformed != (label in ("YBR_RCT", "YBR_ICT"))
            pixel = replace(pixel, colour_in_doubt=in_doubt)
    elif stream.signed is not None and stream.signed != pixel.signed:
        bits = min(stream.precision, pixel.word_bits)
        pixel = replace(pixel, sign_in_doubt=True, bits_stored=bits)
    elif pixel.signed and stream.precision < pixel.bits_stored and stream.signed is None:
        pixel = replace(pixel, sign_in_doubt=True, bits_stored=stream.precision)
    elif stream.signed and pixel.bits_stored < stream.precision <= pixel.bits_allocated:
        notes.append(
            f"BitsStored is {pixel.bits_stored}, the codestream has {stream.precision} bits"
        )
        pixel = replace(pixel, bits_stored=stream.precision)
    return replace(pixel, repairs=(*pixel.repairs, *notes))
