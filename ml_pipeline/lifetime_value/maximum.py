"""Maximum likelihood over parameters above 0: starts, bounds, and when it did not converge."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import OptimizeResult, minimize

from insight.errors import InputError

Vector = npt.NDArray[np.float64]
# A log-likelihood by customer, on average, and its gradient by the parameters.
Likelihood = Callable[[Vector], tuple[float, Vector]]

# Data are scaled to about 1 before a fit. Beyond these the likelihood is flat: customers who are
# all alike have a maximum at infinity, and the predictions of the bound are the same.
_LOWEST, _HIGHEST = np.log(1e-4), np.log(1e4)
_RESTARTS = 20
_STEEPEST_AT_A_MAXIMUM = 1e-4


@dataclass(frozen=True)
class Maximum:
    """Parameters, the average log-likelihood there, and the names of those at a bound."""

    parameters: Vector
    average: float
    at_bound: tuple[str, ...]


def maximise(
    likelihood: Likelihood, starts: Sequence[Sequence[float]], names: Sequence[str], what: str
) -> Maximum:
    """The highest maximum found from the starts (parameters above 0, data scaled to about 1).

    L-BFGS-B over the logarithms, because a parameter at 0 has no likelihood. Raises InputError
    when no start ends at a maximum; `what` names the model in it.
    """
    found = [each for start in starts if _converged(each := _climb(likelihood, start))]
    if not found:
        raise InputError(
            "the likelihood has no maximum that the search could find",
            where=what,
            next_step="Look for wrong dates and amounts among the customers, or take a longer"
            " history",
        )
    best = min(found, key=lambda result: float(result.fun))
    at_bound = (best.x <= _LOWEST + 1e-3) | (best.x >= _HIGHEST - 1e-3)
    return Maximum(
        parameters=np.exp(best.x),
        average=-float(best.fun),
        at_bound=tuple(name for name, is_at in zip(names, at_bound, strict=True) if is_at),
    )


def _climb(likelihood: Likelihood, start: Sequence[float]) -> OptimizeResult:
    def downwards(logs: Vector) -> tuple[float, Vector]:
        parameters = np.exp(logs)
        value, gradient = likelihood(parameters)
        return -value, -gradient * parameters

    logs = np.log(start)
    for _ in range(_RESTARTS):
        result = minimize(
            downwards,
            logs,
            jac=True,
            method="L-BFGS-B",
            bounds=[(_LOWEST, _HIGHEST)] * len(start),
            options={"maxiter": 1_000, "ftol": 1e-13, "gtol": 1e-7},
        )
        # On a narrow ridge its picture of the slope is wrong in the end; a fresh one goes on.
        if _converged(result):
            break
        logs = result.x
    return result


def _converged(result: OptimizeResult) -> bool:
    """Whether it stands on a maximum, whatever made the search stop."""
    uphill = np.where(
        ((result.x <= _LOWEST) & (result.jac > 0)) | ((result.x >= _HIGHEST) & (result.jac < 0)),
        0.0,
        result.jac,
    )
    steepest = float(np.abs(uphill).max())
    return bool(np.isfinite(result.fun)) and steepest < _STEEPEST_AT_A_MAXIMUM
