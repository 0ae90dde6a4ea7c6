"""The model that one hospital can make of its own rows: logistic regression, as its statistician would fit it. Pure.

The strength of the L2 penalty is chosen by cross-validation on the hospital's training rows. Where the model is used
on other hospitals' patients, its log odds are corrected for their prevalence (Saerens, Latinne and Decaestecker 2002).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FOLDS = 5
STRENGTHS = np.logspace(-3, 3, 7)

Array = npt.NDArray[np.float64]
Truth = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class LocalModel:
    """`mean`, `scale`: of the hospital's training rows. `weights`: float64 of shape (features,). `prevalence`: of the
    hospital's training rows."""

    mean: Array
    scale: Array
    weights: Array
    bias: float
    prevalence: float

    def predict(self, rows: Array, prevalence: float | None = None) -> Array:
        """The probability of each row, of shape (rows,). `prevalence`: of the patients that the rows belong to; None
        for the hospital's own patients."""
        shift = 0.0 if prevalence is None else _log_odds(prevalence) - _log_odds(self.prevalence)
        odds = (rows - self.mean) / self.scale @ self.weights + self.bias + shift
        return np.asarray(1 / (1 + np.exp(-np.clip(odds, -700, 700))))


def fit(rows: Array, truth: Truth, seed: int) -> LocalModel:
    """The model of a hospital's training rows. `rows`: of shape (rows, features). `seed`: of the folds.

    Raises ValueError if a class has fewer than two rows.
    """
    from sklearn.linear_model import LogisticRegression  # slow to import
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from threadpoolctl import threadpool_limits

    fewest = int(min(truth.sum(), (~truth).sum()))
    if fewest < 2:
        raise ValueError(f"a class has {fewest} training rows; cross-validation needs 2")
    mean, scale = rows.mean(axis=0), rows.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    folds = StratifiedKFold(min(FOLDS, fewest), shuffle=True, random_state=seed)
    search = GridSearchCV(
        LogisticRegression(max_iter=2000), {"C": STRENGTHS}, cv=folds, scoring="neg_log_loss", error_score="raise"
    )
    # With such small matrices, further threads of BLAS only spin: one thread takes a sixth of the processor time.
    with threadpool_limits(1):
        best = search.fit((rows - mean) / scale, truth).best_estimator_
    return LocalModel(mean, scale, best.coef_[0], float(best.intercept_[0]), float(truth.mean()))


def _log_odds(share: float) -> float:
    return float(np.log(share / (1 - share)))
