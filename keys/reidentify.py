"""The one door back from a pseudonym to an account. Who may call it is a list, and a test reads every import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from keys.errors import ForgedPseudonym
from keys.pseudonyms import account_ids
from keys.vault import open_cells

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keys.keyring import Keyring

CALLERS: Final = (
    "flows.collect", "infra.inbound", "infra.jointpayments", "infra.reidentification", "infra.sandbox",
    "console.cli.agency",
)  # fmt: skip
"""The modules (and what lies under them) that may import this one."""

OPENERS: Final = {
    "infra.packages": "opens what the policy releases, for the agency it is sealed to",
    "infra.shredding": "seals anew what shared a key with somebody who is forgotten, and strikes out what they said",
    "keys.reidentify": "opens one account's cells for a person",
}
"""The modules that may open the vault's cells, and what for; a test reads every import and every use of the name."""


class Reidentifier:
    """Opens an agency's pseudonyms with that agency's keys, all generations that are not revoked."""

    def __init__(self, keyring: Keyring) -> None:
        """Bind the keyring that the pseudonyms were made with."""
        self._keyring = keyring

    def accounts_of(self, agency: str, pseudonyms: pd.Series) -> tuple[np.ndarray, np.ndarray]:
        """Return the account ids (int64, 0 where there is none) and which texts are pseudonyms of this agency."""
        return account_ids(self._keyring.pseudonym_keys(agency), pseudonyms)

    def account_of(self, agency: str, pseudonym: str) -> int:
        """Return the one account behind a pseudonym; raises ForgedPseudonym if there is none."""
        accounts, ok = self.accounts_of(agency, pd.Series([pseudonym], dtype="str"))
        if not ok[0]:
            raise ForgedPseudonym(
                f"that is not a pseudonym of {agency}",
                fix="copy all 27 characters from the file; see that it is this agency's, and its key not revoked",
            )
        return int(accounts[0])

    def fields_of(self, key_id: str, account_id: int, cells: Mapping[str, bytes | None]) -> dict[str, str | None]:
        """Return what one account's sealed cells say, by column; None where there is no cell.

        Raises KeyDestroyed for a portfolio that was erased, CellTampered for a cell that is not this account's.
        """
        key, row = self._keyring.data_key(key_id), np.array([account_id], dtype=np.int64)
        return {
            column: None if cell is None else str(open_cells(key, column, row, [cell])[0])
            for column, cell in cells.items()
        }
