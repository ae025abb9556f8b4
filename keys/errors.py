"""What `keys` refuses, and why: every type a caller may want to tell apart.

Messages name keys, generations, fingerprints and files; never key bytes and never a debtor's values.
"""

from __future__ import annotations

from typing import Literal

from models.errors import ConfigurationError, ConsignError, Findings, RefusedByPolicy, RemoteError, RemoteRefused

RefusalCode = Literal[
    "bad_signature",
    "wrong_signer",
    "not_for_us",
    "truncated",
    "tampered",
    "key_expired",
    "key_revoked",
    "unknown_key",
]


class KeysError(ConsignError):
    """The root of everything that `keys` raises on purpose."""


class KeyUnknown(KeysError, ConfigurationError):
    """The keyring holds no such key, agency, suite or secret."""


class KeyDestroyed(KeysError, RefusedByPolicy):
    """The key was destroyed on purpose, and what it sealed is gone with it."""


class KeyUnfit(KeysError, ConfigurationError):
    """A key that was handed in cannot be used: unreadable, the wrong kind, secret where public was asked for."""


class KeyringLocked(KeysError, ConfigurationError):
    """The keyring cannot be opened: wrong passphrase, wrong key file, readable by others, damaged."""


class RootUnavailable(KeysError, RemoteError):
    """Who keeps the root key (Vault, AWS KMS, the system's keyring) does not answer, or says that it cannot now."""


class RootRefused(KeysError, RemoteRefused):
    """Who keeps the root key answered, and will not: credentials, rights, a key that is gone, a certificate."""


class ProgramMissing(KeysError, ConfigurationError):
    """A program that a sealing suite needs is not installed."""


class SealRefused(KeysError, RefusedByPolicy):
    """Nothing was sealed: a key is missing, expired, revoked or not the right one."""


class OpenRefused(KeysError, Findings):
    """A sealed file was not opened, and no plaintext was left; `code` says why in one word."""

    def __init__(self, message: str, *, code: RefusalCode, fix: str = "") -> None:
        super().__init__(message, fix=fix)
        self.code = code


class ForgedPseudonym(KeysError, Findings):
    """A text that claims to be a pseudonym was not made with any key of this agency."""


class CellTampered(KeysError, Findings):
    """A vault cell was altered, or moved to another row or column, or belongs to another data key."""
