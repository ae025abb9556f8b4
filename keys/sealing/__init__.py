"""Sealing: signed by the sender, encrypted to the receiver, and opened only after the signature was checked.

`seal_for` and `open_from` know nothing of who is the lender: the other side of a keyring is whoever its keys are
trusted under, so an agency with a keyring of its own seals to the lender with the same two functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from keys.entries import NO_SKEW, why_not
from keys.errors import KeyUnknown, OpenRefused, SealRefused
from keys.sealing.age import AgeSuite
from keys.sealing.openpgp import OpenPgpSuite
from keys.sealing.suite import Opened, SealedBy, Suite

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta
    from pathlib import Path

    from keys.entries import Entry
    from keys.keyring import Keyring

__all__ = ["SUITES", "Opened", "SealedBy", "Suite", "newest_valid", "open_from", "seal_for", "sign_for", "suite_named"]

SUITES: Final[Mapping[str, Suite]] = {suite.name: suite for suite in (AgeSuite(), OpenPgpSuite())}


def suite_named(name: str) -> Suite:
    """Return the suite; raises KeyUnknown, naming the ones there are."""
    if name not in SUITES:
        raise KeyUnknown(f"there is no sealing suite {name!r}", fix=f"choose one of {', '.join(SUITES)}")
    return SUITES[name]


def seal_for(
    keyring: Keyring,
    agency: str,
    suite: str,
    plain: Path,
    sealed: Path,
    now: datetime,
    *,
    lender: str = "",
    announces: str = "",
) -> SealedBy:
    """Write `sealed`, signed with our newest valid key and encrypted to the agency's newest valid one.

    lender: for whom; its own pair signs, if it has one in force. announces: the generation of ours that the file
    brings; a pair that was there before it signs.
    Raises SealRefused, with nothing written, if either side has no valid key.
    """
    by = suite_named(suite)
    signer = _signer(keyring, suite, lender, announces, now)
    recipient = newest_valid(keyring.trusted_keys(agency, suite), f"{agency} has given us no {suite} key", now)
    by.seal(plain, sealed, signer=signer, recipients=[recipient], now=now)
    return SealedBy(
        suite=suite,
        signer_fingerprint=signer.fingerprint,
        signer_generation=signer.generation,
        recipient_fingerprint=recipient.public["encrypt_fingerprint"],
        recipient_generation=recipient.generation,
        files=(sealed, *by.sidecars(sealed)),
    )


def sign_for(
    keyring: Keyring,
    suite: str,
    file: Path,
    signature: Path,
    now: datetime,
    *,
    lender: str = "",
    announces: str = "",
) -> Entry:
    """Write a detached signature over `file`, by the key that `seal_for` would sign with, and return that key.

    Raises SealRefused, with nothing written, if there is none.
    """
    signer = _signer(keyring, suite, lender, announces, now)
    suite_named(suite).sign(file, signature, signer=signer, now=now)
    return signer


def open_from(
    keyring: Keyring,
    agency: str,
    suite: str,
    sealed: Path,
    plain: Path,
    now: datetime,
    *,
    lender: str = "",
    skew: timedelta = NO_SKEW,
) -> Opened:
    """Write `plain` if the agency signed `sealed` with a valid key and sealed it to a key of ours that opens.

    lender: for whom it is; its own pairs open it too. skew: how far the agency's clock may be off.
    Raises OpenRefused with its `code`, and leaves no plaintext, otherwise.
    """
    by = suite_named(suite)
    verifiers = keyring.trusted_keys(agency, suite)
    if not verifiers:
        raise OpenRefused(
            f"{sealed.name}: no {suite} key of {agency} is pinned",
            code="unknown_key",
            fix="compare fingerprints with the agency, then trust its key",
        )
    identities = keyring.opening_keys(suite, lender)
    if not identities:
        raise OpenRefused(
            f"{sealed.name}: we have no {suite} key of our own",
            code="unknown_key",
            fix="make one with `consign keys rotate` and give the agency its public half",
        )
    return by.open(sealed, plain, identities=identities, verifiers=verifiers, now=now, skew=skew)


def _signer(keyring: Keyring, suite: str, lender: str, announces: str, now: datetime) -> Entry:
    if announces:
        older = keyring.announcing_keys(suite, announces, lender)
        return newest_valid(older, f"no {suite} key of ours was there before generation {announces}", now)
    return newest_valid(keyring.signing_keys(suite, now, lender), f"we have no {suite} key of our own", now)


def newest_valid(entries: Sequence[Entry], none_at_all: str, now: datetime) -> Entry:
    """Return the newest valid key, of entries that come newest first; raises SealRefused if there is none."""
    for entry in entries:
        if entry.state(now) == "valid":
            return entry
    msg = why_not(entries[0], now) if entries else none_at_all
    raise SealRefused(msg, fix="run `consign keys list`; then rotate our key, or trust a new one of the agency's")
