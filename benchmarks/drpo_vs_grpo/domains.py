"""The nine domains: how many records CLIMB has of each, their answers, and what is asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.drpo.climb import SIZES

#: Data sets of CLIMB by domain (CLIMB data sheet); every data set is in one domain.
SETS = {
    "ct": ("RSPECT", "INSPECT", "LNDb", "Hemorrhage", "KiTS23"),
    "chest_xray": ("MIMIC-CXR", "CheXpert", "VinDr-CXR", "CoronaHack", "COVID-19"),
    "ecg": ("Chapman", "Georgia", "PTB-XL", "CPSC"),
    "dermoscopy": ("ISIC", "HAM10000", "PAD-UFES"),
    "mammography": ("VinDr-Mammo", "CBIS", "CMMD"),
    "pathology": ("LC25000", "BCSS"),
    "fundus": ("Jichi", "APTOS", "Messidor-2"),
    "mri": ("Brain tumor", "Brain MRI"),
    "ultrasound": ("BUSI", "COVID-BLUES", "COVID-US"),
}

#: Answers of each domain, most common first.
ANSWERS = {
    "ct": ("No embolism", "Acute embolism", "Chronic embolism"),
    "chest_xray": ("Clear lungs", "Effusion", "Pneumonia", "Cardiomegaly", "Pneumothorax"),
    "ecg": ("Sinus rhythm", "Infarction", "Bundle branch block", "Atrial fibrillation"),
    "dermoscopy": (
        "Nevus",
        "Melanoma",
        "Benign keratosis",
        "Basal cell carcinoma",
        "Actinic keratosis",
        "Vascular lesion",
        "Dermatofibroma",
    ),
    "mammography": ("Normal breast", "Benign mass", "Malignant mass"),
    "pathology": ("Benign colon", "Colon carcinoma", "Benign lung", "Lung carcinoma", "Stroma"),
    "fundus": ("Grade 0", "Grade 2", "Grade 1", "Grade 3", "Grade 4"),
    "mri": ("Glioma", "Meningioma", "Pituitary tumour", "No tumour"),
    "ultrasound": ("Benign nodule", "Malignant nodule", "No nodule"),
}

DOMAINS = tuple(ANSWERS)
#: The union vocabulary: one answer token each.
VOCABULARY = tuple(answer for answers in ANSWERS.values() for answer in answers)
#: Each class of a domain is this much as common as the one before it.
CLASS_RATIO = 0.6
#: Contrast of each domain's findings over that of the set; it has nothing to do with size.
CONTRAST = dict(zip(DOMAINS, (1.0, 0.85, 1.1, 0.95, 0.8, 1.2, 0.9, 1.05, 1.0), strict=True))


@dataclass(frozen=True)
class World:
    """One set of questions to simulate.

    `skew` exponent on CLIMB's shares (1 as published, 0 equal domains); `contrast` of the
    findings over the noise (higher is easier); `train` records, and `held` records of every
    domain in each of validation and test; `seed` of the images; `passes` times the usual number
    of batches; `least` training records of every domain.
    """

    skew: float = 1.0
    contrast: float = 2.0
    train: int = 24_000
    held: int = 250
    seed: int = 0
    passes: int = 1
    least: int = 1

    @property
    def name(self) -> str:
        """A slug that tells worlds apart."""
        return f"{self.set_name}_x{self.passes}" if self.passes > 1 else self.set_name

    @property
    def set_name(self) -> str:
        """A slug that tells data sets apart."""
        name = f"skew{self.skew:g}_contrast{self.contrast:g}_n{self.train}_{self.held}_s{self.seed}"
        return f"{name}_least{self.least}" if self.least > 1 else name


def shares(skew: float) -> NDArray[np.float64]:
    """(9,) share of each domain: CLIMB's to the power `skew`, normalised."""
    counts = np.array([sum(SIZES[name] for name in SETS[domain]) for domain in DOMAINS], float)
    powered = (counts / counts.sum()) ** skew
    return powered / powered.sum()


def train_counts(world: World) -> NDArray[np.intp]:
    """(9,) training records of each domain: its share, at least one of every class."""
    rounded = np.round(shares(world.skew) * world.train).astype(np.intp)
    return np.maximum(rounded, [max(len(ANSWERS[domain]), world.least) for domain in DOMAINS])


def class_counts(domain: str, count: int) -> NDArray[np.intp]:
    """(K,) records of each class: geometric shares by largest remainder, at least one each."""
    exact = CLASS_RATIO ** np.arange(len(ANSWERS[domain]))
    exact *= count / exact.sum()
    found = np.maximum(np.floor(exact), 1).astype(np.intp)
    order = np.argsort(np.floor(exact) - exact, kind="stable")
    spare = count - int(found.sum())
    found[order[: max(spare, 0)]] += 1
    while found.sum() > count:
        found[found.argmax()] -= 1
    return found
