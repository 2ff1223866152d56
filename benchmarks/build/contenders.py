"""Ways from a raw folder to stored images, each a command of its own.

python -m benchmarks.build.contenders NAME RAW OUT
"""

from __future__ import annotations

import sys
from pathlib import Path


def dicom2jpg(raw: Path, out: Path) -> None:
    """dicom2jpg over the folder, in one process: JPEG files at full size, quality 95."""
    import dicom2jpg as peer

    peer.dicom2jpg(str(raw), target_root=str(out), multiprocessing=False)


def plain_loop(raw: Path, out: Path) -> None:
    """What a script does: pydicom's LUTs, min-max stretch, a JPEG file at full size, quality 95."""
    import cv2
    import numpy as np
    import pydicom
    from pydicom.pixels import apply_modality_lut, apply_voi_lut

    out.mkdir()
    for path in sorted(raw.glob("*.[dj][cp][mg]")):
        if path.suffix == ".jpg":
            pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            assert pixels is not None
        else:
            dataset = pydicom.dcmread(path)
            values = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset)
            values = (values - values.min()) / (values.max() - values.min()) * 255
            pixels = values.astype(np.uint8)
        target = str(out / f"{path.stem}.jpg")
        cv2.imwrite(target, pixels, [cv2.IMWRITE_JPEG_QUALITY, 95])


CONTENDERS = {"dicom2jpg": dicom2jpg, "plain_loop": plain_loop}

if __name__ == "__main__":
    name, raw, out = sys.argv[1:]
    CONTENDERS[name](Path(raw), Path(out))
