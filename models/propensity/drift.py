"""Whether today's accounts are still like those that a model was fitted on, and whether its chances still come true."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import norm

from models.propensity.fitting import shares

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    import numpy.typing as npt

    from models.propensity.model import Model
    from models.propensity.parameters import Parameters

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

STABLE, WATCH, WARN, TOO_FEW = "stable", "watch", "warn", "too_few"
LEAST_SHARE = 1e-4
"""What an empty band counts as, or its logarithm would be endless."""


def stability(model: Model, values: Mapping[str, npt.NDArray[Any]], parameters: Parameters) -> pd.DataFrame:
    """Per fact of the model `fact psi state rows`: the population stability index against what it was fitted on.

    0 is the same mix; from `psi_watch` on something moved, from `psi_warn` on the model is of another population.
    """
    rows = len(next(iter(values.values())))
    found = []
    for term in model.terms:
        now = np.maximum(shares(term, term.codes(values[term.fact])), LEAST_SHARE)
        before = np.maximum(model.seen[term.fact], LEAST_SHARE)
        psi = float(((now - before) * np.log(now / before)).sum())
        found.append({"fact": term.fact, "psi": psi, "state": _state(psi, rows, parameters), "rows": rows})
    return pd.DataFrame(found, columns=["fact", "psi", "state", "rows"])


def _state(psi: float, rows: int, parameters: Parameters) -> str:
    if rows < parameters.drift_rows:
        return TOO_FEW
    return WARN if psi >= parameters.psi_warn else WATCH if psi >= parameters.psi_watch else STABLE


def by_month(chance: Floats, paid: Floats, month: npt.NDArray[np.object_], parameters: Parameters) -> pd.DataFrame:
    """Per month of placement `month placements foretold observed ratio z state`, oldest first.

    A month warns where payers are further off what was foretold than the tolerance, and further than chance lets one
    month of so many be (Bonferroni).
    """
    names, code = np.unique(month.astype(str), return_inverse=True)
    count = np.bincount(code, minlength=len(names))
    foretold, came = (np.bincount(code, column, minlength=len(names)) for column in (chance, paid))
    spread = np.sqrt(np.bincount(code, chance * (1 - chance), minlength=len(names)))
    z = np.divide(came - foretold, spread, out=np.zeros(len(names)), where=spread > 0)
    ratio = np.divide(came, foretold, out=np.full(len(names), np.nan), where=foretold > 0)
    enough = count >= parameters.drift_rows
    limit = norm.ppf(1 - parameters.tail / max(int(enough.sum()), 1))
    off = (np.abs(ratio - 1) > parameters.ratio_tolerance) & (np.abs(z) > limit)
    return pd.DataFrame({
        "month": names, "placements": count, "foretold": foretold / np.maximum(count, 1),
        "observed": came / np.maximum(count, 1), "ratio": ratio, "z": z,
        "state": np.where(~enough, TOO_FEW, np.where(off, WARN, STABLE)),
    })  # fmt: skip
