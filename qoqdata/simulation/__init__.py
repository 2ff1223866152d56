"""What a source's `simulate.py` draws and writes with: made-up files in the formats of real ones.

    def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
        rng = np.random.default_rng(seed)
        for number in range(n):
            write_png(out / "images" / f"{number:05}.png", film(rng, (96, 80)))

Files depend on what they are given and on nothing else, so a seed gives the same bytes again. Each
says inside that it is synthetic, where its format has a place for that.
"""

from qoqdata.simulation.cohort import official_split
from qoqdata.simulation.dicom import uid, write_dicom
from qoqdata.simulation.drawing import blob, ecg, film, photograph, scan
from qoqdata.simulation.mark import MARK
from qoqdata.simulation.picture import write_jpeg, write_png
from qoqdata.simulation.table import write_csv, write_text, write_xlsx
from qoqdata.simulation.video import write_video
from qoqdata.simulation.volume import write_metaimage, write_nifti
from qoqdata.simulation.wfdb import write_wfdb

__all__ = [
    "MARK",
    "blob",
    "ecg",
    "film",
    "official_split",
    "photograph",
    "scan",
    "uid",
    "write_csv",
    "write_dicom",
    "write_jpeg",
    "write_metaimage",
    "write_nifti",
    "write_png",
    "write_text",
    "write_video",
    "write_wfdb",
    "write_xlsx",
]
