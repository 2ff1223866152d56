"""A made-up VinDr-CXR: films, three readers' votes and boxes in train, one consensus in test."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qoqdata.simulation import film, write_csv, write_dicom

LOCAL = (
    "Aortic enlargement",
    "Atelectasis",
    "Calcification",
    "Cardiomegaly",
    "Clavicle fracture",
    "Consolidation",
    "Edema",
    "Emphysema",
    "Enlarged PA",
    "ILD",
    "Infiltration",
    "Lung Opacity",
    "Lung cavity",
    "Lung cyst",
    "Mediastinal shift",
    "Nodule/Mass",
    "Pleural effusion",
    "Pleural thickening",
    "Pneumothorax",
    "Pulmonary fibrosis",
    "Rib fracture",
    "Other lesion",
)
GLOBAL = ("COPD", "Lung tumor", "Pneumonia", "Tuberculosis", "Other diseases")
CORNERS = ("x_min", "y_min", "x_max", "y_max")
READERS = 17
#: A sixth of the images, as in the real source, are the test part.
TEST_EVERY = 6
SHAPE = (88, 72)

Box = tuple[str, float, float, float, float]
Row = dict[str, object]

NO_BOX: Box = ("No finding", np.nan, np.nan, np.nan, np.nan)

#: Reasons of the quarantine that quirks lead to.
QUIRKS = ("bad_table", "missing_file", "missing_key", "unreadable_file")


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` images. With quirks: a file without pixels, one lost, one that no table names, an image
    with two readers' rows, a box over the edge, one outside, labels without their box, an odd cell.
    """
    rng = np.random.default_rng(seed)
    labels: dict[str, list[Row]] = {"train": [], "test": []}
    boxes: dict[str, list[Row]] = {"train": [], "test": []}
    for number in range(n):
        part = "test" if number % TEST_EVERY == TEST_EVERY - 1 else "train"
        key = rng.bytes(16).hex()
        shape = (SHAPE[0] + int(rng.integers(16)), SHAPE[1] + int(rng.integers(16)))
        truth, suspected = _truth(rng, shape)
        _film(out / part / f"{key}.dicom", rng, shape, truth, seed)
        readers = sorted(rng.choice(READERS, 3, replace=False) + 1) if part == "train" else [0]
        for reader in readers:
            who: Row = {"rad_id": f"R{reader}"} if reader else {}
            seen = [box for box in truth if not reader or rng.random() < 0.8]
            seen = [_moved(box, rng, shape) for box in seen] if reader else seen
            diseases = suspected if not reader or rng.random() < 0.8 else set()
            labels[part].append(_label_row(key, who, {box[0] for box in seen}, diseases, part))
            boxes[part] += [_box_row(key, who, box) for box in seen]
            if not seen:
                boxes[part].append(_box_row(key, who, NO_BOX))
    if quirks:
        _break(out, labels["train"], boxes["train"], rng)
    for part in ("train", "test"):
        named = ["rad_id"] if part == "train" else []
        columns = ["image_id", *named, *_columns(part)]
        write_csv(out / f"annotations/image_labels_{part}.csv", labels[part], columns=columns)
        columns = ["image_id", *named, "class_name", *CORNERS]
        write_csv(out / f"annotations/annotations_{part}.csv", boxes[part], columns=columns)


def _film(
    path: Path, rng: np.random.Generator, shape: tuple[int, int], truth: list[Box], seed: int
) -> None:
    """A film with an opacity in each box."""
    bits = int(rng.choice([10, 12, 14]))
    bright = film(rng, shape, bits=bits).astype(np.float64)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    for _, left, top, right, bottom in truth:
        away = ((columns - (left + right) / 2) / (right - left)) ** 2
        away = away + ((rows - (top + bottom) / 2) / (bottom - top)) ** 2
        bright += (2**bits - 1 - bright) * 0.6 * np.exp(-((6 * away) ** 2))
    pixels = bright.astype(np.uint16)
    inverse = bool(rng.random() < 0.2)
    if inverse:
        pixels = (2**bits - 1 - pixels).astype(np.uint16)
    write_dicom(
        path,
        pixels,
        seed=seed,
        spacing=(0.14, 0.14),
        window=(2 ** (bits - 1), 2**bits) if rng.random() < 0.7 else None,
        age=int(rng.integers(18, 95)) if rng.random() < 0.4 else None,
        sex=str(rng.choice(["M", "F", "O", ""])),
        BitsStored=bits,
        HighBit=bits - 1,
        PhotometricInterpretation="MONOCHROME1" if inverse else "MONOCHROME2",
    )


def _truth(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[list[Box], set[str]]:
    """Boxes and diseases of a film; about half the films have neither."""
    if rng.random() < 0.5:
        return [], set()
    boxes = []
    for name in rng.choice(LOCAL, int(rng.integers(1, 4)), replace=False):
        rows, columns = shape
        width, height = rng.uniform(0.1, 0.4) * columns, rng.uniform(0.1, 0.4) * rows
        x, y = rng.uniform(0, columns - width), rng.uniform(0, rows - height)
        boxes.append((str(name), x, y, x + width, y + height))
    return boxes, {str(rng.choice(GLOBAL))} if rng.random() < 0.6 else set()


def _moved(box: Box, rng: np.random.Generator, shape: tuple[int, int]) -> Box:
    """The box as another hand draws it, still on the film."""
    name, *corners = box
    limits = (shape[1], shape[0]) * 2
    moved = [
        min(max(corner + rng.normal(0, 0.5), 0), limit)
        for corner, limit in zip(corners, limits, strict=True)
    ]
    return (name, *moved)  # type: ignore[return-value]


def _columns(part: str) -> list[str]:
    last = "Other diseases" if part == "train" else "Other disease"
    return [*LOCAL, *GLOBAL[:-1], last, "No finding"]


def _label_row(key: str, who: Row, findings: set[str], diseases: set[str], part: str) -> Row:
    said = findings | diseases | (set() if findings | diseases else {"No finding"})
    said |= {"Other disease"} if "Other diseases" in said else set()
    return {"image_id": key} | who | {name: int(name in said) for name in _columns(part)}


def _box_row(key: str, who: Row, box: Box) -> Row:
    name, *corners = box
    cells = [None if np.isnan(corner) else round(corner, 3) for corner in corners]
    return {"image_id": key} | who | {"class_name": name} | dict(zip(CORNERS, cells, strict=True))


def _break(out: Path, labels: list[Row], boxes: list[Row], rng: np.random.Generator) -> None:
    """Faults in the first training images; those with boxes are found in the table of boxes."""
    keys = list(dict.fromkeys(row["image_id"] for row in labels))
    folder = out / "train"
    pixels = film(rng, SHAPE)
    write_dicom(folder / f"{keys[0]}.dicom", pixels)
    data = (folder / f"{keys[0]}.dicom").read_bytes()
    (folder / f"{keys[0]}.dicom").write_bytes(data[: len(data) - pixels.size // 2])
    (folder / f"{keys[1]}.dicom").unlink()
    write_dicom(folder / f"{rng.bytes(16).hex()}.dicom", pixels)
    labels.remove(next(row for row in labels if row["image_id"] == keys[2]))
    next(row for row in labels if row["image_id"] == keys[3])["Edema"] = "yes"
    drawn = [row for row in boxes if row["x_min"] is not None and row["image_id"] not in keys[:4]]
    by_image = list({row["image_id"]: row for row in drawn}.values())
    if len(by_image) < 3:
        return
    by_image[0]["x_max"] = 10 * SHAPE[1]
    by_image[1] |= {"x_min": 20 * SHAPE[1], "x_max": 30 * SHAPE[1]}
    boxes.remove(by_image[2])
