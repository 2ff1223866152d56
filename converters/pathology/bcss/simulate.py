"""A made-up BCSS: stained regions of slides of several hospitals, with codes of tissue."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qoqdata.simulation import blob, write_csv, write_png, write_text
from qoqdata.sources.card import load_card

SITES = ("A1", "OL", "BH", "E2", "D8")
#: Regions are of one tile or of two side by side.
SHAPES = ((120, 120), (96, 780))
MPP = "0.2500"
STROMA, TUMOR, LYMPHOCYTES, UNKNOWN = 2, 1, 3, 99
QUIRKS = {
    "missing_file": "a slide in the table of bounds whose mask was not fetched",
    "missing_key": "a region of a slide that the table of bounds lacks",
    "bad_table": "a region that begins elsewhere by its name than by the table",
    "bad_label": "a mask with a code that the table of codes lacks",
    "misaligned": "a mask of another size",
}


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` regions of slides: stroma with tumor, lymphocytes and another tissue; one in four reaches
    out of what is annotated. With quirks each fault of QUIRKS."""
    rng = np.random.default_rng(seed)
    codes = load_card(Path(__file__).with_name("card.yaml")).mask_codes
    colours = rng.integers(90, 240, (256, 3))
    bounds: list[dict[str, object]] = []
    for number in range(n):
        slide = f"TCGA-{SITES[number % len(SITES)]}-A{number:03X}-DX1"
        x, y = (int(corner) for corner in rng.integers(1000, 90000, 2))
        mask = _tissue(rng, SHAPES[number % 2], number, len(codes))
        name = f"{slide}_xmin{x}_ymin{y}_MPP-{MPP}.png"
        height, width = mask.shape
        row: dict[str, object] = {"": slide, "xmin": x, "ymin": y}
        row |= {"xmax": x + width, "ymax": y + height}
        write_png(out / "images" / name, _stained(rng, mask, colours))
        fault = number if quirks else len(QUIRKS)
        if fault == 0:
            mask[:3, :3] = UNKNOWN
        elif fault == 1:
            row["xmin"] = x + 1
        elif fault == 2:
            mask = mask[:-1]
        if fault != 3:
            write_png(out / "masks" / name, mask)
        if fault != 4:
            bounds.append(row)
    write_csv(out / "meta" / "roiBounds.csv", bounds)
    lines = ["label\tGT_code", *(f"{name}\t{code}" for code, name in codes.items())]
    write_text(out / "meta" / "gtruth_codes.tsv", "".join(f"{line}\r\n" for line in lines))


def _tissue(
    rng: np.random.Generator, shape: tuple[int, int], number: int, count: int
) -> np.ndarray:
    mask = np.full(shape, STROMA, np.uint8)
    for left in range(0, shape[1], shape[0]):
        part = mask[:, left : left + shape[0]]
        for code in (int(rng.integers(4, count)), TUMOR, TUMOR, LYMPHOCYTES):
            part[blob(rng, part.shape)] = code
    if number % 4 == 1:
        mask[:, : shape[1] // 3] = 0
    return mask


def _stained(rng: np.random.Generator, mask: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """A colour for each code, with one grain all over, which packs well."""
    grain = np.tile(rng.integers(-12, 13, (16, 16, 1)), (mask.shape[0] // 16 + 1, 60, 1))
    picture = colours[mask] + grain[: mask.shape[0], : mask.shape[1]]
    return np.clip(picture, 0, 255).astype(np.uint8)
