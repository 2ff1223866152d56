"""Ridge regression, its penalty chosen by generalised cross-validation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

#: Penalties that are tried, times the largest eigenvalue.
_PENALTIES = np.geomspace(1e-6, 1e1, 15)


@dataclass(frozen=True, eq=False)
class Ridge:
    """A fit: `coefficients` (features, outputs) of features less `centre`, times `scale`."""

    centre: Matrix
    scale: Matrix
    coefficients: Matrix
    offset: Matrix

    def __call__(self, features: NDArray[np.floating]) -> Matrix:
        """Predicted outputs (n, outputs) of features (n, features)."""
        return (features - self.centre) * self.scale @ self.coefficients + self.offset


def fit(features: NDArray[np.floating], outputs: Matrix) -> Ridge:
    """Fit `outputs` (n, outputs) on `features` (n, features), each made to unit variance.

    The penalty minimises n |y - f|^2 / (n - df)^2 over all outputs together (Golub, Heath and
    Wahba, Technometrics 1979), df being the effective degrees of freedom, 1 of them the mean's.
    """
    given = np.asarray(features, np.float64)
    centre, spread = given.mean(axis=0), given.std(axis=0)
    scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 1e-9)
    varying = np.flatnonzero(scale)
    x = (given[:, varying] - centre[varying]) * scale[varying]
    offset = outputs.mean(axis=0)
    y = outputs - offset
    values, vectors = np.linalg.eigh(x.T @ x)
    values = values.clip(min=0.0)
    turned = vectors.T @ (x.T @ y)
    coefficients = np.zeros((given.shape[1], outputs.shape[1]))
    if varying.size and values[-1] > 0:
        penalty = _penalty(values, turned, y)
        coefficients[varying] = vectors @ (turned / (values + penalty)[:, None])
    return Ridge(centre, scale, coefficients, offset)


def _penalty(values: Matrix, turned: Matrix, y: Matrix) -> float:
    """The penalty with the least generalised cross-validation error; the larger of equals."""
    errors = []
    for penalty in _PENALTIES * values[-1]:
        kept = values + penalty
        explained = (turned**2 * ((values + 2 * penalty) / kept**2)[:, None]).sum()
        freedom = len(y) - 1 - (values / kept).sum()
        residual = max(float((y**2).sum() - explained), 0.0)
        errors.append(len(y) * residual / max(freedom, 1e-9) ** 2)
    best = len(errors) - 1 - int(np.argmin(errors[::-1]))
    return float(_PENALTIES[best] * values[-1])
