"""The one door back from a pseudonym to an account. Who may call it is a list, and a test reads every import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pandas as pd

from keys.errors import ForgedPseudonym
from keys.pseudonyms import account_ids

if TYPE_CHECKING:
    import numpy as np

    from keys.keyring import Keyring

CALLERS: Final = ("flows.collect", "infra.inbound", "infra.sandbox", "console.cli.agency")
"""The modules (and what lies under them) that may import this one."""


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
