"""Two release policies compared: what leaves newly, no more, with more or less shown, or otherwise."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final

import pandas as pd

from models.kinds import PLACEMENT_FIELDS
from models.release import CHANNELS, EVERY_AGENCY, STAGES, NotReleased, Policy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from models.gate.limits import Limits
    from models.release import Release
    from models.treatments import Treatment

NEWLY, NO_MORE, MORE, LESS, OTHERWISE = "leaves newly", "leaves no more", "shows more", "shows less", "otherwise"
COLUMNS: Final = ("purpose", "stage", "channel", "agency", "field", "before", "after", "change")
ABOUT: Final = ("basis", "legal_basis", "erase_after_days")
"""What a release says beside its fields: compared too, where both speak."""
_EXACT: Final = ("year", "month", "province", "city")
"""Of dates, then of regions: each more exact than the one before."""


def differences(before: Policy, after: Policy) -> pd.DataFrame:
    """What the second policy lets out differently: one row per purpose, stage, channel, agency and field.

    Columns as in COLUMNS; treatments in words, `-` where the field stays; agency `*` is every one that neither policy
    names. Where a release's basis, or its time until erasure, differs, that is a row of its own, in brackets.
    """
    named = sorted({agency for policy in (before, after) for agency in _agencies(policy)})
    rows = [
        (purpose, stage, channel, agency, *row)
        for purpose, stage, channel, agency in product(
            dict.fromkeys([*_purposes(before), *_purposes(after)]), STAGES, CHANNELS, [EVERY_AGENCY, *named]
        )
        for row in _between(
            _release(before, purpose, stage, channel, agency), _release(after, purpose, stage, channel, agency)
        )
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def compared(before: Treatment | None, after: Treatment | None) -> str:
    """What the second treatment of a field does against the first; None: the field stays."""
    if before is None or after is None:
        return NO_MORE if after is None else NEWLY
    if "release" in (before.how, after.how):
        return MORE if after.how == "release" else LESS
    return _order(more=_shows_all_of(before, after), less=_shows_all_of(after, before))


def _shows_all_of(one: Treatment, by: Treatment) -> bool:
    """Whether what the other treatment of the same field lets out holds all that this one does."""
    match by.how:
        case "mask":
            return by.first >= one.first and by.last >= one.last
        case "band":
            return {*by.edges} >= {*one.edges}
        case _:
            return _EXACT.index(by.to or by.how) >= _EXACT.index(one.to or one.how)


def _order(*, more: bool, less: bool) -> str:
    return OTHERWISE if more == less else MORE if more else LESS


def _between(old: Release | None, new: Release | None) -> Iterator[tuple[str, str, str, str]]:
    """Field, before, after and change, for each field that leaves otherwise; then what else the releases say."""
    treatments = [{} if told is None else told.treatments for told in (old, new)]
    for field in PLACEMENT_FIELDS:
        before, after = (told.get(field) for told in treatments)
        if (was := _words(before)) != (will := _words(after)):
            yield field, was, will, compared(before, after)
    if old is None or new is None:
        return
    for name in ABOUT:
        was, will = str(getattr(old, name)), str(getattr(new, name))
        if was != will:
            yield f"({name})", was or "-", will or "-", _kept(old, new) if name == "erase_after_days" else OTHERWISE
    if old.risk.told != new.risk.told:
        was, will = (", ".join(f"{key} {value}" for key, value in told.risk.told.items()) for told in (old, new))
        yield "(risk)", was, will, _order(more=_as_strict(old.risk, new.risk), less=_as_strict(new.risk, old.risk))


def _kept(old: Release, new: Release) -> str:
    return "kept longer" if new.erase_after_days > old.erase_after_days else "kept shorter"


def _as_strict(one: Limits, other: Limits) -> bool:
    """Whether the one holds a package to all that the other does."""
    return (
        one.k >= other.k
        and one.l >= other.l
        and one.unique_share <= other.unique_share
        and one.suppress <= other.suppress
        and one.sensitive == other.sensitive
    )


def _words(how: Treatment | None) -> str:
    """The treatment in words; bands of other edges are another one, though they may be as many."""
    if how is None:
        return "-"
    return f"{how.words} ({' | '.join(how.labels)})" if how.labels else how.words


def _release(policy: Policy, purpose: str, stage: str, channel: str, agency: str) -> Release | None:
    try:
        return policy.release(purpose, stage, [channel], "" if agency == EVERY_AGENCY else agency)
    except NotReleased:
        return None


def _agencies(policy: Policy) -> set[str]:
    return {agency for one in policy.parts for entry in one.entries for agency in entry.agencies}


def _purposes(policy: Policy) -> list[str]:
    return [purpose for one in policy.parts for purpose in one.purposes]
