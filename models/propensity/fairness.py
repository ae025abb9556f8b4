"""How a model treats groups that it must not look at: who is chosen, and whether chances come true in each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from models.propensity import measures

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from models.propensity.parameters import Parameters

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

OK, LOW, OFF, TOO_FEW = "ok", "selected_less", "off_calibration", "too_few"
COLUMNS = [
    "attribute", "group", "placements", "selected", "selection_ratio", "foretold", "observed", "ratio", "low", "high",
    "auc", "state",
]  # fmt: skip


def table(
    attribute: str,
    names: Sequence[str],
    code: Ints,
    chance: Floats,
    paid: Floats,
    chosen: npt.NDArray[np.bool_],
    parameters: Parameters,
) -> pd.DataFrame:
    """One row per group, COLUMNS, the largest first; figures of small groups are None.

    code: the position of each placement's group in `names`, -1 where it is unknown (named `unknown`). chosen: in the
    better half of the bands. selection_ratio: of the group over everybody's. ratio: observed over foretold, with
    Wilson's interval over the chance. state: `selected_less` below the four-fifths rule, `off_calibration` where the
    interval does not hold 1, Bonferroni's over the groups shown.
    """
    everybody = float(chosen.mean()) if len(chosen) else 0.0
    shown = [*enumerate(names), (-1, "unknown")]
    groups = [(name, np.flatnonzero(code == place)) for place, name in shown]
    groups = sorted((one for one in groups if len(one[1])), key=lambda one: (-len(one[1]), one[0]))
    enough = sum(len(rows) >= parameters.smallest_group for _, rows in groups)
    credible = 1 - (1 - parameters.credible) / max(enough, 1)
    found = [
        {"attribute": attribute, "group": name}
        | _group(chance[rows], paid[rows], chosen[rows], everybody, credible, parameters)
        for name, rows in groups
    ]
    return pd.DataFrame(found, columns=COLUMNS)


def _group(
    chance: Floats,
    paid: Floats,
    chosen: npt.NDArray[np.bool_],
    everybody: float,
    credible: float,
    parameters: Parameters,
) -> dict[str, object]:
    if len(chance) < parameters.smallest_group:
        return {"placements": len(chance), "state": TOO_FEW}
    foretold, observed, selected = float(chance.mean()), float(paid.mean()), float(chosen.mean())
    low, high = measures.wilson(np.array([observed]), np.array([len(paid)]), credible)
    ratio = selected / everybody if everybody > 0 else None
    less = ratio is not None and ratio < parameters.ratio_low
    off = foretold > 0 and not float(low[0]) <= foretold <= float(high[0])
    ranked = measures.auc(chance, paid)
    return {
        "placements": len(chance), "selected": selected, "selection_ratio": ratio, "foretold": foretold,
        "observed": observed, "ratio": observed / foretold if foretold > 0 else None,
        "low": float(low[0]) / foretold if foretold > 0 else None,
        "high": float(high[0]) / foretold if foretold > 0 else None,
        "auc": None if np.isnan(ranked) else ranked, "state": OFF if off else LOW if less else OK,
    }  # fmt: skip
