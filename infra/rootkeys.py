"""Which keeper of the keyring's root key the settings ask for, and how it is reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from keys.roots.keyfile import KeyFile
from keys.roots.passphrase import Passphrase
from models.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from infra.settings import Settings
    from keys.roots.root import Root

_CHINA: Final = "cn-"


def keeper_of(settings: Settings) -> str:
    """Whom the settings ask for: `root_key`, else the passphrase where one is set, else the file."""
    return settings.root_key or ("passphrase" if settings.passphrase is not None else "file")


def root_of(
    settings: Settings,
    keeper: str | None = None,
    *,
    key_file: Path | None = None,
    passphrase: str | Callable[[], str] | None = None,
) -> Root:
    """The keeper that the settings ask for, or the one named; key_file, passphrase: instead of the settings' own.

    Raises ConfigurationError for a keeper of which a setting is missing.
    """
    chosen = keeper or keeper_of(settings)
    if chosen == "file":
        return KeyFile(key_file or settings.key_file_path)
    if chosen == "passphrase":
        secret = settings.passphrase.get_secret_value() if settings.passphrase is not None else ""
        return Passphrase(passphrase or secret)
    if chosen == "keyring":
        from keys.roots.system import SystemKeyring

        return SystemKeyring()
    return _vault(settings) if chosen == "vault" else _kms(settings)


def _vault(settings: Settings) -> Root:
    from keys.roots.hashicorp import VaultLogin, VaultTransit
    from keys.roots.wire import Patience, Wire

    if not settings.vault_address:
        raise ConfigurationError("Vault keeps the root key, and has no address", fix="set vault_address")
    patience = Patience(settings.root_timeout, settings.root_attempts)
    token, secret_id = settings.vault_token, settings.vault_secret_id
    return VaultTransit(
        Wire("Vault", settings.vault_address, settings.vault_ca, patience),
        VaultLogin(
            token=token.get_secret_value() if token is not None else None,
            token_file=settings.vault_token_file,
            role_id=settings.vault_role_id,
            secret_id=secret_id.get_secret_value() if secret_id is not None else None,
        ),
        mount=settings.vault_mount,
        key=settings.vault_key,
        namespace=settings.vault_namespace,
    )


def _kms(settings: Settings) -> Root:
    from keys.roots.aws import AwsKms
    from keys.roots.wire import Patience, Wire

    region = settings.kms_region
    if not region:
        raise ConfigurationError("AWS KMS keeps the root key, and no region is set", fix="set kms_region")
    top = "amazonaws.com.cn" if region.startswith(_CHINA) else "amazonaws.com"
    address = settings.kms_endpoint or f"https://kms.{region}.{top}"
    patience = Patience(settings.root_timeout, settings.root_attempts)
    return AwsKms(Wire("AWS KMS", address, None, patience), settings.kms_key, region)
