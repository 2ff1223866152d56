"""A made-up COVIDx-US: tables of the repository, and clips of several formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qoqdata.simulation import blob, write_csv, write_jpeg, write_video

from ..phantom import sonogram

SOURCES = ("Butterfly", "Litfl", "PocusAtlas", "GrepMed")
CLASSES = ("COVID", "Pneumonia", "Normal", "Other")
FILETYPES = ("mp4", "gif", "avi", "mov")
FRAMES, FPS, CROP = 10, 10, 4
QUIRKS = {
    "missing_file": "a clip that its site has taken down",
    "missing_key": "a clip that no table names; one that lost its row of labels",
    "bad_table": "two tables that name two classes",
    "duplicate_key": "a clip listed twice",
    "unreadable_file": "a clip that was cut",
}


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` clips of about n / 2 patients, each as fetched and cropped, with masks of marks.

    Always: a score NA, blank sex and age, a last row of blanks. With quirks each fault of QUIRKS,
    and clips of the heart.
    """
    rng = np.random.default_rng(seed)
    labels: list[dict[str, object]] = []
    facts: list[dict[str, object]] = []
    for number in range(n):
        source, kind = SOURCES[number // 2 % len(SOURCES)], CLASSES[number % len(CLASSES)]
        key = f"{number + 1}_{source.lower()}_{kind.lower()}"
        filetype = FILETYPES[number % len(FILETYPES)]
        probe = "Linear" if number % 5 == 4 else "Convex"
        shared: dict[str, object] = {"id": key, "source": source, "probe": probe, "class": kind}
        score = "NA" if number % 6 == 5 else str(number % 4)
        labels.append(shared | {"LUSS": score, "type": "lung", "patient": f"p{number // 2 + 1}"})
        known = number % 3 == 0
        facts.append(
            shared
            | {"filetype": filetype, "type": None if number % 7 == 6 else "lung"}
            | {"gender": "female" if known else None, "age": 40 + number % 40 if known else None}
        )
        _clip(out, key, filetype, probe, kind, rng)
    if quirks:
        _break(out, labels, facts)
    facts.append(dict.fromkeys(facts[0]))
    write_csv(out / "labels" / "COVIDx-US1.4_4class.csv", labels)
    write_csv(out / "utils" / "video_metadata.csv", facts)


def _clip(
    out: Path, key: str, filetype: str, probe: str, kind: str, rng: np.random.Generator
) -> None:
    shape = (48, 56)
    dark = [] if kind == "Normal" else [blob(rng, shape)]
    frames = [sonogram(rng, shape, dark) for _ in range(FRAMES)]
    mark = np.zeros(shape, bool)
    mark[6:14, 6:18] = True
    for frame in frames:
        frame[mark] = 255
    write_video(out / "data/video/original" / f"{key}.{filetype}", frames, FPS)
    # GIF and MPEG need no even sides, Motion JPEG no more than that.
    inner = np.s_[CROP:-CROP, CROP:-CROP]
    cropped = [np.ascontiguousarray(frame[inner]) for frame in frames]
    write_video(out / "data/video/cropped" / f"{key}_prc.avi", cropped, FPS)
    name = f"{key}_prc_{probe.lower()}_frame0_mask.jpg"
    write_jpeg(out / "data/mask" / name, mark[inner].astype(np.uint8) * 255)


def _break(out: Path, labels: list[dict[str, object]], facts: list[dict[str, object]]) -> None:
    folder = out / "data/video/original"

    def path(number: int) -> Path:
        return folder / f"{facts[number]['id']}.{facts[number]['filetype']}"

    path(0).unlink()
    path(1).rename(folder / "999_uf_normal.gif")
    cut = path(2)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    labels[3]["class"] = "Normal"
    facts[4]["type"] = "cardiac"
    labels.append(labels[5] | {"LUSS": "3"})
    del labels[6]
