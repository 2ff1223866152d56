"""Clips and ECGs: synthetic files, and the ways to read them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

FRAMES, CHOSEN = 150, 8


def make_clips(root: Path, count: int = 4) -> list[Path]:
    """MPEG-4 clips of 640 x 480, with speckle that moves."""
    root.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        rng = np.random.default_rng(number)
        still = cv2.GaussianBlur(rng.integers(0, 256, (480, 700), np.uint8), (5, 5), 0)
        path = root / f"clip_{number}.mp4"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, (640, 480))
        for frame in range(FRAMES):
            shift = frame % 60
            writer.write(cv2.cvtColor(still[:, shift : shift + 640], cv2.COLOR_GRAY2BGR))
        writer.release()
        paths.append(path)
    return paths


def make_ecgs(root: Path, count: int = 100) -> list[Path]:
    """WFDB records of 12 leads, 10 s at 500 Hz, format 16, with checksums; stems."""
    import wfdb

    root.mkdir(parents=True, exist_ok=True)
    leads = ["I", "II", "III", "aVR", "aVL", "aVF", *(f"V{n}" for n in range(1, 7))]
    stems = []
    for number in range(count):
        rng = np.random.default_rng(number)
        adc = np.cumsum(rng.integers(-9, 10, (5000, 12)), axis=0).clip(-3000, 3000)
        wfdb.wrsamp(
            f"ecg_{number:03d}",
            fs=500,
            units=["mV"] * 12,
            sig_name=leads,
            d_signal=adc.astype(np.int16),
            fmt=["16"] * 12,
            adc_gain=[1000] * 12,
            baseline=[0] * 12,
            write_dir=str(root),
        )
        stems.append(root / f"ecg_{number:03d}")
    return stems


def clip_qoqdata(path: Path) -> np.ndarray:
    """This package: every frame counted, eight kept."""
    from qoqdata.readers import video

    return video.read_video(path, choose=video.FramePolicy("uniform", count=CHOSEN)).frames


def clip_imageio(path: Path) -> np.ndarray:
    """imageio through PyAV: all frames, then eight of them."""
    import imageio.v3 as iio

    frames = iio.imread(path, plugin="pyav")
    return frames[np.linspace(0, len(frames) - 1, CHOSEN).astype(int)]


def clip_pyav(path: Path) -> list[np.ndarray]:
    """PyAV: decode all, convert eight."""
    import av

    wanted = set(np.linspace(0, FRAMES - 1, CHOSEN).astype(int).tolist())
    with av.open(str(path)) as container:
        return [
            frame.to_ndarray(format="rgb24")
            for number, frame in enumerate(container.decode(video=0))
            if number in wanted
        ]


def ecg_qoqdata(stem: Path) -> object:
    """This package: mV by lead, checksums and validity checked."""
    from qoqdata.readers import ecg

    return ecg.read_ecg(stem)


def ecg_wfdb(stem: Path) -> object:
    """wfdb.rdrecord, physical units."""
    import wfdb

    return wfdb.rdrecord(str(stem))


CLIPS: dict[str, Callable[[Path], object]] = {
    "qoqdata": clip_qoqdata,
    "imageio": clip_imageio,
    "PyAV": clip_pyav,
}
ECGS: dict[str, Callable[[Path], object]] = {"qoqdata": ecg_qoqdata, "wfdb": ecg_wfdb}
