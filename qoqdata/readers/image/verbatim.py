"""Encoded images as they are stored: which may be kept, and how text is taken out of them."""

from __future__ import annotations

from qoqdata.errors import InputError, UnreadableFile, UnsupportedFormat
from qoqdata.readers.image import jpeg, png

_APPLICATION = range(0xE0, 0xF0)

#: A file of which the parts are known already, so that they need not be looked for again.
Parsed = jpeg.JpegLayout | png.PngLayout


def parsed(data: bytes, where: str | None = None) -> Parsed | None:
    """The parts of a JPEG or PNG, None for another format; raises UnreadableFile for damage."""
    if data.startswith(jpeg.MAGIC):
        return jpeg.layout(data, where)
    if data.startswith(png.MAGIC):
        return png.chunks(data, where)
    return None


def strip(file: bytes | Parsed) -> tuple[bytes, tuple[str, ...]]:
    """A JPEG or PNG without anything that may hold text, and the names of what was removed.

    JPEG keeps tables, frame, scans, the JFIF segment without thumbnail and the Adobe segment;
    PNG keeps IHDR, PLTE, tRNS, IDAT and IEND. All other segments and chunks go, and so does
    whatever follows the end of the image. Compressed pixel data is copied untouched, so the
    pixels decode identically.

    Raises UnreadableFile when the file is cut or damaged, and UnsupportedFormat for other formats,
    for animated PNG, and when Exif turns the image: without Exif it would lie on its side, so it
    has to be decoded and encoded again.
    """
    if not isinstance(file, bytes):
        structure = file
    elif (found := parsed(file)) is not None:
        structure = found
    else:
        raise UnsupportedFormat(
            f"metadata can be stripped from JPEG and PNG only; this begins with {file[:8]!r}",
            fix="decode the image and encode it as PNG",
        )
    if isinstance(structure, jpeg.JpegLayout):
        return _strip_jpeg(structure)
    return _strip_png(structure)


def storable(file: bytes | Parsed) -> bool:
    """Whether these bytes may be stored as they are once `strip` has been applied.

    True for one whole 8-bit image that every viewer shows alike: baseline or progressive
    Huffman-coded JPEG with 1 or 3 components, or PNG of 8-bit grey or RGB without transparency;
    not animated; Exif orientation absent or 1. Pixels are not decoded.
    """
    try:
        match parsed(file) if isinstance(file, bytes) else file:
            case jpeg.JpegLayout() as structure:
                return _storable_jpeg(structure)
            case png.PngLayout(chunks=chunks):
                return _storable_png(chunks)
    except InputError:
        pass
    return False


def _storable_jpeg(structure: jpeg.JpegLayout) -> bool:
    frame = jpeg.frame(structure)
    jpeg.check_scans(structure)
    return (
        frame.process in (0, 1, 2)
        and frame.bits == 8
        and len(frame.components) in (1, 3)
        and structure.orientation[0] == 1
    )


def _storable_png(chunks: tuple[png.PngChunk, ...]) -> bool:
    header = png.header(chunks)
    kinds = {chunk.kind for chunk in chunks}
    return (
        header.depth == 8
        and header.colour in (png.GREY, png.RGB)
        and b"IDAT" in kinds
        and not kinds & {b"tRNS", b"acTL"}
        and png.orientation(chunks)[0] == 1
    )


def _strip_jpeg(structure: jpeg.JpegLayout) -> tuple[bytes, tuple[str, ...]]:
    jpeg.frame(structure)
    _refuse_turned(structure.orientation[0])
    names = []
    for segment, payload in zip(structure.segments, structure.kept, strict=True):
        if payload is None:
            names.append(_jpeg_name(segment))
        elif payload != segment.payload:
            names.append(_jpeg_name(segment) + " beyond its fixed fields")
    if structure.stray:
        names.append(f"{structure.stray} bytes between segments")
    if structure.trailing:
        names.append(f"{structure.trailing} bytes after the end")
    return structure.bare, tuple(names)


def _jpeg_name(segment: jpeg.JpegSegment) -> str:
    """Marker name; never any of the payload, which may be the very text that has to go."""
    if segment.marker == jpeg.COM:
        return "COM"
    if segment.marker in _APPLICATION:
        return f"APP{segment.marker - 0xE0}"
    return f"FF{segment.marker:02X}"


def _strip_png(structure: png.PngLayout) -> tuple[bytes, tuple[str, ...]]:
    chunks, trailing = structure
    png.header(chunks)
    kinds = [chunk.kind for chunk in chunks]
    if b"IDAT" not in kinds:
        raise UnreadableFile("PNG holds no pixel data")
    if b"acTL" in kinds:
        raise UnsupportedFormat("animated PNG, expected one image", fix="export its frames")
    _refuse_turned(png.orientation(chunks)[0])
    names = [kind.decode("latin-1") for kind in kinds if kind not in png.NEEDED]
    if trailing:
        names.append(f"{trailing} bytes after the end")
    return png.bare(chunks), tuple(names)


def _refuse_turned(orientation: int) -> None:
    if orientation != 1:
        raise UnsupportedFormat(
            f"Exif orientation {orientation} turns the image; stripping Exif would undo that",
            fix="decode the image (it comes out upright) and encode it again",
        )
