"""What is said of a file that was opened, be it a package or plain: its header, its lines, its sums.

The gateway and `consign file check` both ask here, so that they cannot say different things.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from connectors.layouts.delimited import FileRefused
from connectors.layouts.flat import Flat
from connectors.layouts.package import Package, control_holds
from models.checking import CODES, Checked, TooManyRefused, check, header_rejects

if TYPE_CHECKING:
    from datetime import date

    from models.kinds import Kind


def head_rejects(kind: Kind, package: Package) -> pd.DataFrame:
    """Refusals of the header itself (line 0), which refuse the file."""
    return package.head if isinstance(package, Flat) else header_rejects(kind, package.header)


def judged(kind: Kind, package: Package, latest: date | None) -> Checked:
    """The lines typed, or refused: those that could not be read too. Columns are called by our names.

    Lines are counted as they stand in the file, readable or not; 1 is the first after the header. Raises FileRefused
    where there are too many refusals to tell them one by one.
    """
    try:
        checked = check(kind, package.table, latest, lines=package.lines, unread=package.unread)
    except TooManyRefused as error:
        raise FileRefused(error.code) from None
    if not isinstance(package, Flat) or package.faults.empty:
        return checked
    found = package.faults.assign(fix=package.faults["code"].map(dict(CODES)).astype("str"))
    # a cell that could not be read was emptied: that it is empty is no second fault
    told = pd.MultiIndex.from_frame(found[["line", "column"]])
    others = checked.rejects[~pd.MultiIndex.from_frame(checked.rejects[["line", "column"]]).isin(told)]
    rejects = pd.concat([found, others], ignore_index=True)
    rejects = rejects.sort_values(["line", "column", "code"], kind="stable", ignore_index=True)
    good = checked.good[~checked.good["line"].isin(found["line"])].reset_index(drop=True)
    return Checked(good, rejects, checked.sums)


def sums_hold(kind: Kind, package: Package, checked: Checked) -> bool:
    """True where the sums that the file states are those of its lines, or one of those could not be read."""
    if kind.control is None or checked.sums is None:
        return True
    if isinstance(package, Flat):
        return package.holds(checked.sums)
    return control_holds(package.manifest, checked.sums)


def in_their_words(package: Package, rejects: pd.DataFrame) -> pd.DataFrame:
    """The refusals with the agency's own names of columns, and fixes in its own forms."""
    return package.told(rejects) if isinstance(package, Flat) else rejects
