"""Which facts a model may look at, and which it may never: no attribute of the person, and no stand-in for one.

Facts are of the account and of what came of it before. `refuse` looks at names, `stand_ins` at how much a fact tells of
an attribute that is monitored (region; an age band, where compliance has released it for monitoring).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from models.errors import RefusedByPolicy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy.typing as npt

    from models.propensity.parameters import Parameters

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

WORD = re.compile(r"[a-z]+")
BUCKET_EDGES: Final = (0.0, 30.0, 60.0, 90.0, 120.0, 150.0)
"""Where a bucket ends (M1, M2 …): dpd bends there, so a bucket is no fact of its own."""


@dataclass(frozen=True)
class Fact:
    """One thing that a model looks at: a curve over numbers (NaN: unknown), or levels of a text (empty: unknown).

    knots: where a curve may bend besides the quantiles. log: its numbers are logarithms.
    """

    name: str
    kind: Literal["curve", "level"]
    en: str
    zh: str
    knots: tuple[float, ...] = ()
    log: bool = False

    def words(self, language: str) -> str:
        """What it is called in that language."""
        return self.zh if language == "zh" else self.en


FACTS: Final = (
    Fact("balance", "curve", "balance owed, against what is usual", "欠款余额（相对常见水平）", log=True),
    Fact("dpd", "curve", "days past due", "逾期天数", knots=BUCKET_EDGES),
    Fact("share_owed", "curve", "share of the credit granted that is owed", "欠款占授信比例"),
    Fact("months_open", "curve", "months since the credit was opened", "开户月数"),
    Fact("product", "level", "product", "产品"),
    Fact("round", "level", "round of placement", "委案轮次"),
    Fact("past_payments", "curve", "payments in earlier placements", "以往委案中的还款次数"),
    Fact("days_since_payment", "curve", "days since the last payment in one", "距上次还款天数"),
    Fact("past_contacts", "curve", "contact attempts in earlier placements", "以往委案中的联系次数"),
    Fact("past_reached", "curve", "share of those that reached the debtor", "以往联系的接通比例"),
)  # fmt: skip
"""What the store's models look at. The lender's own score band is not among them: it changes with later snapshots, so
what it says today of a placement of last year may know how that ended."""


class ProtectedFact(RefusedByPolicy):
    """A model was to look at an attribute of the person, or at a stand-in for one; the message names the fact."""


def refuse(names: Iterable[str], parameters: Parameters) -> None:
    """Nothing, where no fact's name speaks of a protected attribute. Raises ProtectedFact, naming those that do."""
    found = sorted(name for name in names if protected(name, parameters))
    if found:
        raise ProtectedFact(
            f"no model may look at {', '.join(found)}: attributes of the person are protected",
            fix="leave them out; `words` and `parts` under [protected] in models/propensity/parameters.toml list them",
        )


def protected(name: str, parameters: Parameters) -> bool:
    """Whether a word of the name is a protected attribute's."""
    plain = name.casefold()
    words = set(WORD.findall(plain))
    spoken = plain in parameters.protected_words or bool(words & parameters.protected_words)
    return spoken or any(part in plain for part in parameters.protected_parts)


def stand_ins(
    codes: Mapping[str, Ints], monitored: Mapping[str, Ints], parameters: Parameters
) -> dict[tuple[str, str], float]:
    """How much each fact tells of each monitored attribute: (fact, attribute) → Cramér's V, 0 nothing, 1 all.

    codes, monitored: per name one code per placement; a negative code is unknown, and left out.
    An attribute of one value, or known of too few, has no entry.
    """
    found = {}
    for attribute, groups in monitored.items():
        known = groups >= 0
        if known.sum() < parameters.proxy_rows or len(np.unique(groups[known])) < 2:  # noqa: PLR2004 - two sides
            continue
        for fact, levels in codes.items():
            both = known & (levels >= 0)
            if both.sum() >= parameters.proxy_rows:
                found[fact, attribute] = cramers_v(levels[both], groups[both])
    return found


def refuse_stand_ins(found: Mapping[tuple[str, str], float], parameters: Parameters) -> None:
    """Nothing, where no fact tells that much of a monitored attribute. Raises ProtectedFact."""
    worst = sorted((pair, value) for pair, value in found.items() if value >= parameters.proxy_limit)
    if worst:
        said = ", ".join(f"{fact} for {attribute} ({value:.2f})" for (fact, attribute), value in worst)
        raise ProtectedFact(
            f"these facts stand in for a monitored attribute (Cramér's V from {parameters.proxy_limit}): {said}",
            fix="fit the model without them: `--without FACT`",
        )


def cramers_v(one: Ints, other: Ints) -> float:
    """How much two codings tell of each other, 0 to 1, less what chance makes of many levels (Bergsma 2013)."""
    rows, columns = np.unique(one, return_inverse=True)[1], np.unique(other, return_inverse=True)[1]
    r, c, n = int(rows.max()) + 1, int(columns.max()) + 1, len(one)
    if min(r, c) < 2 or n < 2:  # noqa: PLR2004 - one level tells nothing
        return 0.0
    table = np.bincount(rows * c + columns, minlength=r * c).reshape(r, c).astype(np.float64)
    expected = table.sum(1, keepdims=True) @ table.sum(0, keepdims=True) / n
    phi = float(((table - expected) ** 2 / expected).sum() / n)
    corrected = max(0.0, phi - (r - 1) * (c - 1) / (n - 1))
    least = min(r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)) - 1
    return float(min(1.0, np.sqrt(corrected / least))) if least > 0 else 0.0
