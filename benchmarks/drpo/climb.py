"""Questions of CLIMB: the published sizes of its data sets, and rewards made up for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Training records of the 30 data sets used (CLIMB data sheet; QoQ-Med, arXiv 2506.00711).
SIZES = {
    "RSPECT": 1_342_945, "MIMIC-CXR": 348_516, "CheXpert": 212_243, "Chapman": 38_207,
    "ISIC": 26_501, "Georgia": 18_622, "PTB-XL": 17_476, "INSPECT": 17_434,
    "VinDr-Mammo": 16_000, "VinDr-CXR": 15_000, "LC25000": 15_000, "HAM10000": 8_012,
    "Jichi": 7_950, "CoronaHack": 5_284, "CPSC": 4_815, "BCSS": 4_211, "LNDb": 4_130,
    "APTOS": 2_929, "Brain tumor": 2_870, "CBIS": 2_230, "COVID-19": 2_002, "Hemorrhage": 1_986,
    "PAD-UFES": 1_839, "CMMD": 1_404, "Messidor-2": 1_394, "BUSI": 583, "KiTS23": 361,
    "COVID-BLUES": 266, "Brain MRI": 202, "COVID-US": 74,
}  # fmt: skip

NAMES = np.array(list(SIZES))
SHARES = np.array(list(SIZES.values())) / sum(SIZES.values())

# Questions of each data set that a policy is run on before training, and the bins of statistics.
ASKED, BINS = 256, 64
RAREST = frozenset(list(SIZES)[-10:])

# Mean chance of a right answer: from 0.25 to 0.75, in an order that has nothing to do with size.
SUCCESS_RATES = 0.25 + 0.5 * ((np.arange(NAMES.size) * 11) % NAMES.size) / (NAMES.size - 1)
SPREAD = 0.2
ROLLOUTS = 5


@dataclass(frozen=True)
class Questions:
    """`rewards` (Q, 5) float64 in [0, 1], `domains` (Q,) data set of each question."""

    rewards: NDArray[np.float64]
    domains: NDArray[np.str_]

    def columns(self) -> dict[str, Any]:
        """Rewards, question ids and domains, one entry per rollout, as `DRPO.step` takes them."""
        count, rollouts = self.rewards.shape
        return {
            "rewards": self.rewards.ravel(),
            "questions": np.repeat(np.arange(count), rollouts),
            "domains": np.repeat(self.domains, rollouts),
        }


def draw(rng: np.random.Generator, count: int, *, every_set: bool = False) -> Questions:
    """`count` questions, data sets in proportion to their sizes.

    The chance p of a right answer is normal around the success rate of its data set, std 0.2,
    within 0.02 to 0.98. A rollout's reward is 0.5 for a right answer (chance p), plus 0.3 p U for
    its region and 0.2 U' for its form, U and U' uniform on [0, 1]. With `every_set` the first 30
    questions are one of each data set.
    """
    sets = rng.choice(NAMES.size, count, p=SHARES)
    if every_set:
        sets[: NAMES.size] = np.arange(NAMES.size)
    return questions_of(rng, sets)


def questions_of(rng: np.random.Generator, sets: NDArray[np.intp]) -> Questions:
    """One question of each data set in `sets` (Q,), as in `draw`."""
    count = sets.size
    chance = np.clip(SUCCESS_RATES[sets] + rng.normal(0.0, SPREAD, count), 0.02, 0.98)[:, None]
    right, region, form = rng.random((3, count, ROLLOUTS))
    return Questions(0.5 * (right < chance) + 0.3 * chance * region + 0.2 * form, NAMES[sets])


def statistics(rng: np.random.Generator) -> dict[str, dict[str, Any]]:
    """Priors of every data set as `qoqdata stats` gives them: its records, and the success
    rates of 256 of its questions in bins of 1/64."""
    priors = {}
    for index, (name, size) in enumerate(SIZES.items()):
        rates = questions_of(rng, np.full(ASKED, index)).rewards.mean(axis=1)
        place = (rates * BINS).astype(int)
        bins = [rates[place == number] for number in np.unique(place)]
        priors[name] = {
            "n_records": size,
            "success_rate": float(rates.mean()),
            "n_questions": ASKED,
            "histogram": [(float(b.mean()), float(b.size), float(b.var())) for b in bins],
        }
    return priors
