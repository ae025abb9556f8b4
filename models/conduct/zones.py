"""What time it is where a debtor is: by the account's region, else by the offset that the agency reported.

China has one zone. In the United States the state says it; a state with two zones is judged in both, and only what
both forbid is a breach, so that none is invented. A region that says nothing leaves the activity's own offset.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Mapping

OFFSET: Final = "offset"
"""What stands for a zone where only the activity's own offset is known."""

_EASTERN, _CENTRAL, _MOUNTAIN, _PACIFIC = "America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles"
_BY_ZONES: Final[Mapping[tuple[str, ...], str]] = {
    (_EASTERN,): "CT DE DC GA ME MD MA NH NJ NY NC OH PA RI SC VT VA WV",
    (_CENTRAL,): "AL AR IL IA LA MN MS MO OK WI",
    (_MOUNTAIN,): "CO MT NM UT WY",
    (_PACIFIC,): "CA NV WA",
    (_EASTERN, _CENTRAL): "FL IN KY MI TN",
    (_CENTRAL, _MOUNTAIN): "KS NE ND SD TX",
    (_MOUNTAIN, _PACIFIC): "ID OR",
    ("America/Phoenix", _MOUNTAIN): "AZ",  # the Navajo Nation keeps summer time
    ("America/Anchorage", "America/Adak"): "AK",
    ("Pacific/Honolulu",): "HI",
    ("America/Puerto_Rico",): "PR VI",
    ("Pacific/Guam",): "GU MP",
    ("Pacific/Pago_Pago",): "AS",
}
US_STATES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {state: zones for zones, states in _BY_ZONES.items() for state in states.split()}
)
EU_COUNTRIES: Final[Mapping[str, str]] = MappingProxyType({
    "AT": "Europe/Vienna", "BE": "Europe/Brussels", "BG": "Europe/Sofia", "CY": "Asia/Nicosia", "CZ": "Europe/Prague",
    "DE": "Europe/Berlin", "DK": "Europe/Copenhagen", "EE": "Europe/Tallinn", "FI": "Europe/Helsinki",
    "FR": "Europe/Paris", "GR": "Europe/Athens", "HR": "Europe/Zagreb", "HU": "Europe/Budapest", "IE": "Europe/Dublin",
    "IT": "Europe/Rome", "LT": "Europe/Vilnius", "LU": "Europe/Luxembourg", "LV": "Europe/Riga", "MT": "Europe/Malta",
    "NL": "Europe/Amsterdam", "PL": "Europe/Warsaw", "RO": "Europe/Bucharest", "SE": "Europe/Stockholm",
    "SI": "Europe/Ljubljana", "SK": "Europe/Bratislava",
})  # fmt: skip


@dataclass(frozen=True)
class Local:
    """The time of each contact where the debtor is.

    earliest, latest: naive local instants (datetime64[us]) in the zone that is furthest behind and ahead; one and the
    same where there is one zone. zone: how it was found (`Asia/Shanghai`, `America/Chicago|America/Denver`, `offset`).
    """

    earliest: np.ndarray
    latest: np.ndarray
    zone: np.ndarray

    @property
    def days(self) -> np.ndarray:
        """The local calendar day of each contact (datetime64[D]), in the zone that is furthest behind."""
        found: np.ndarray = self.earliest.astype("datetime64[D]")
        return found


def zones_of(jurisdiction: str, region: str | None) -> tuple[str, ...]:
    """The zones that a debtor of the region may be in; none where the region does not say."""
    if jurisdiction == "CN":
        return ("Asia/Shanghai",)
    if jurisdiction == "GB":
        return ("Europe/London",)
    code = (region or "").strip().upper()
    if jurisdiction == "US":
        return US_STATES.get(code.removeprefix("US-"), ())
    if jurisdiction == "EU":
        found = EU_COUNTRIES.get(code[:2])
        return (found,) if found else ()
    return ()


def local_times(jurisdiction: str, at: pd.Series, offset_minutes: np.ndarray, region: pd.Series) -> Local:
    """Where the debtors were in their day. at: datetime64[us, UTC]; region: text, or missing.

    One conversion per zone, whatever the number of contacts.
    """
    utc = at.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[us]")
    codes, regions = pd.factorize(region, use_na_sentinel=False)
    told = [zones_of(jurisdiction, None if pd.isna(one) else str(one)) for one in regions]
    by_offset = utc + offset_minutes.astype("timedelta64[m]")
    earliest, latest = by_offset.copy(), by_offset.copy()
    labels = np.array(["|".join(zones) or OFFSET for zones in told], dtype=object)
    for zones in set(told) - {()}:
        here = np.isin(codes, [place for place, one in enumerate(told) if one == zones])
        times = np.stack([_in_zone(utc[here], zone) for zone in zones])
        earliest[here], latest[here] = times.min(axis=0), times.max(axis=0)
    return Local(earliest, latest, labels[codes] if len(labels) else np.empty(0, dtype=object))


def _in_zone(utc: np.ndarray, zone: str) -> np.ndarray:
    local = pd.DatetimeIndex(utc, tz="UTC").tz_convert(zone).tz_localize(None)
    found: np.ndarray = local.to_numpy().astype("datetime64[us]")
    return found
