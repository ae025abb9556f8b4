"""What one version of limits says otherwise than another: grades, points, and what each grade may have."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from models.instalments.limits import Bounds
from models.strategy.difference import Difference

if TYPE_CHECKING:
    from models.instalments.limits import Limits, Tier


def differences(before: Limits, after: Limits) -> list[Difference]:
    """Every figure that is not the same in both, by part and key, in the order of the newer one; the gone ones last."""
    old, new = _figures(before), _figures(after)
    return [
        Difference(part, key, old.get((part, key), ""), new.get((part, key), ""))
        for part, key in dict.fromkeys([*new, *old])
        if old.get((part, key)) != new.get((part, key))
    ]


def _figures(one: Limits) -> dict[tuple[str, str], str]:
    told = {("limits", "lenders"): " ".join(one.lenders), ("limits", "grace_days"): str(one.grace_days)}
    told |= {("ability", key): str(value) for key, value in vars(one.ability).items()}
    told |= {("willingness", key): str(value) for key, value in vars(one.willingness).items() if key != "points"}
    told |= {("points", sign): str(number) for sign, number in one.willingness.points.items()}
    for place, tier in enumerate(one.tiers, 1):
        told |= _of_tier(place, tier)
    return told


def _of_tier(place: int, tier: Tier) -> dict[tuple[str, str], str]:
    """The place counts: the first tier that fits is taken."""
    part = f"tier {place}"
    told = {(part, "ability"): " ".join(tier.ability), (part, "willingness"): " ".join(tier.willingness)}
    for people, bound in (("within", tier.within), ("beyond", tier.beyond)):
        told |= {(part, f"{people}.{field.name}"): str(getattr(bound, field.name)) for field in fields(Bounds)}
    return told
