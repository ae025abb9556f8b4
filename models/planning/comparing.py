"""What two plans do differently: agency by agency, and who moved from where to where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

NOWHERE: Final = "-"
"""Where an account is that one of the plans leaves out, or does not know."""
OPTIMUM: Final = ("status", "value_minor", "relaxed", "costs", "prices")
"""What is told of each plan's optimum, where it has one."""


def compared(
    first: pd.DataFrame, second: pd.DataFrame, before: Mapping[str, Any], after: Mapping[str, Any]
) -> dict[str, Any]:
    """The second plan against the first, JSON-able, in counts alone.

    first, second: lines, `account_id agency balance_minor`; before, after: the plans' summaries.
    `agencies`: accounts and balance of each in both, and expected net-back where a plan says it; `moves`: accounts per
    pair of agencies; `rules`: the optimum of each: what it gave up, what its rules cost, which bounds bind and at what
    price.
    """
    both = first[["account_id", "agency"]].merge(
        second[["account_id", "agency"]], on="account_id", how="outer", suffixes=("_before", "_after")
    )
    pairs = both.fillna({"agency_before": NOWHERE, "agency_after": NOWHERE})
    moved = pairs[pairs["agency_before"] != pairs["agency_after"]]
    counted = moved.groupby(["agency_before", "agency_after"]).size().reset_index(name="accounts")
    moves = counted.sort_values(["accounts", "agency_before", "agency_after"], ascending=[False, True, True])
    return {
        "accounts": {"before": len(first), "after": len(second)},
        "same": int((pairs["agency_before"] == pairs["agency_after"]).sum()),
        "moved": len(moved),
        "expected_net_minor": {
            "before": before.get("expected_net_minor"), "after": after.get("expected_net_minor"),
            "difference": _less(after.get("expected_net_minor"), before.get("expected_net_minor")),
        },
        "agencies": _agencies(before, after),
        "moves": [
            {"from": str(source), "to": str(there), "accounts": int(count)}
            for source, there, count in zip(
                moves["agency_before"], moves["agency_after"], moves["accounts"], strict=True
            )
        ],
        "rules": {
            side: {key: optimum[key] for key in OPTIMUM} if optimum else None
            for side, optimum in (("before", before.get("optimum")), ("after", after.get("optimum")))
        },
    }  # fmt: skip


def _agencies(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = [{row["agency"]: row for row in summary["agencies"]} for summary in (before, after)]
    told = []
    for agency in sorted({*rows[0], *rows[1]}):
        one, other = (side.get(agency, {}) for side in rows)
        told.append(
            {
                "agency": agency,
                "name": other.get("name") or one.get("name"),
                **{
                    f"{key}_{side}": row.get(key, 0 if key != "expected_net_minor" else None)
                    for key in ("accounts", "balance_minor", "expected_net_minor")
                    for side, row in (("before", one), ("after", other))
                },
            }
        )
        told[-1]["difference"] = told[-1]["accounts_after"] - told[-1]["accounts_before"]
    return told


def _less(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one - other
