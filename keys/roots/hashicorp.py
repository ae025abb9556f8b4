"""A root key wrapped by HashiCorp Vault's transit engine: Vault never gives its own key, and sees ours to wrap it.

The header holds the engine's path, the key's name and the ciphertext `vault:v3:…`; the address and who we are there
come from the settings. A new version of Vault's key goes on opening what older ones wrapped, until Vault is told
otherwise (`min_decryption_version`): make a new root key before (`consign keys rotate root`).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final

from keys.errors import KeyringLocked, RootRefused
from keys.roots.root import PURPOSE, ROOT_BYTES, Root
from keys.roots.wire import Answer, Wire, words

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_OK: Final = 200
_FORBIDDEN: Final = 403
_NOT_THERE: Final = 404
_NAME: Final = re.compile(r"[A-Za-z0-9_./-]{1,200}")
_BOUND: Final = base64.b64encode(PURPOSE.encode()).decode()


@dataclass(frozen=True)
class VaultLogin:
    """Who we are in Vault: a token, a file that holds one (an agent renews it), or an AppRole."""

    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    role_id: str | None = None
    secret_id: str | None = field(default=None, repr=False)
    approle: str = "approle"
    """where the AppRole method is mounted"""


class VaultTransit(Root):
    """The root key is wrapped under a key in Vault."""

    kind: ClassVar[str] = "vault"
    said: ClassVar[str] = "key in Vault"

    def __init__(
        self, wire: Wire, login: VaultLogin, *, mount: str = "transit", key: str = "consign", namespace: str = ""
    ) -> None:
        """Bind Vault's address and our login; mount, key: of the transit engine, for a new root key.

        Raises KeyringLocked for names that cannot stand in a path.
        """
        _refuse_odd(mount, key)
        self._wire, self._login, self._mount, self._key, self._namespace = wire, login, mount, key, namespace
        self._token: str | None = None

    def new(self, before: Root | None) -> tuple[dict[str, Any], bytes]:  # noqa: ARG002 - each has its own ciphertext
        """Return a new root key that Vault has wrapped, and opened again to try."""
        root = secrets.token_bytes(ROOT_BYTES)
        asked = {"plaintext": base64.b64encode(root).decode(), "associated_data": _BOUND}
        told = self._transit(self._mount, "encrypt", self._key, asked)
        header = {"kind": self.kind, "mount": self._mount, "key": self._key, "wrapped": str(told.get("ciphertext"))}
        if self.had(header) != root:
            raise RootRefused("Vault does not give back what it wrapped", fix="look at the transit key in Vault")
        return header, root

    def had(self, header: Mapping[str, Any]) -> bytes:
        """Return the root key that Vault unwraps."""
        asked = {"ciphertext": header["wrapped"], "associated_data": _BOUND}
        told = self._transit(header["mount"], "decrypt", header["key"], asked)
        try:
            root = base64.b64decode(str(told.get("plaintext")), validate=True)
        except binascii.Error:
            root = b""
        if len(root) != ROOT_BYTES:
            raise RootRefused("Vault's answer holds no root key", fix="see that the address is Vault's own")
        return root

    def _transit(self, mount: str, verb: str, key: str, asked: Mapping[str, str]) -> Mapping[str, Any]:
        _refuse_odd(mount, key)  # a header that somebody altered does not choose what our token is used for
        path = f"/v1/{mount}/{verb}/{key}"
        answer = self._post(path, asked, login=True)
        if answer.status == _FORBIDDEN and self._login.role_id is not None:
            self._token = None  # it may have ended: an AppRole gets the next
            answer = self._post(path, asked, login=True)
        data = answer.told.get("data")
        if answer.status == _OK and isinstance(data, dict):
            return data
        raise _refusal(
            answer, f"{verb} with {mount}/{key}", f'path "{mount}/{verb}/{key}" {{ capabilities = ["update"] }}'
        )

    def _post(self, path: str, asked: Mapping[str, str], *, login: bool) -> Answer:
        headers = {"Content-Type": "application/json", "X-Vault-Request": "true"}
        if self._namespace:
            headers["X-Vault-Namespace"] = self._namespace
        if login:
            headers["X-Vault-Token"] = self._logged_in()
        return self._wire.ask(self._wire.path(path), json.dumps(asked).encode(), lambda: headers, later=lambda _: False)

    def _logged_in(self) -> str:
        """Return a token; of an AppRole it is asked for once."""
        login = self._login
        if self._token is not None:
            return self._token
        if login.role_id is not None:
            asked = {"role_id": login.role_id} | ({"secret_id": login.secret_id} if login.secret_id else {})
            answer = self._post(f"/v1/auth/{login.approle}/login", asked, login=False)
            token = (answer.told.get("auth") or {}).get("client_token")
            if answer.status != _OK or not isinstance(token, str):
                raise _refusal(answer, f"the login of the role at {login.approle}", "a new secret_id for the role")
            self._token = token
            return token
        if login.token_file is not None:
            try:
                return login.token_file.read_text(encoding="ascii").strip()
            except (OSError, UnicodeError) as fault:
                raise KeyringLocked(
                    f"Vault's token cannot be read from {login.token_file} ({type(fault).__name__})",
                    fix="see that the agent writes it, and that this user may read it",
                ) from None
        if not login.token:
            raise KeyringLocked(
                "nothing says who we are in Vault", fix="set vault_token, vault_token_file or vault_role_id"
            )
        return login.token


def _refuse_odd(*names: str) -> None:
    for name in names:
        if not _NAME.fullmatch(name) or ".." in name:
            raise KeyringLocked(f"{words(name)!r} is no name of a mount or key in Vault", fix="see the settings")


def _refusal(answer: Answer, what: str, right: str) -> RootRefused:
    said = "; ".join(words(one) for one in answer.told.get("errors") or [])
    message = f"Vault refuses {what} ({answer.status}{': ' + said if said else ''})"
    if answer.status == _FORBIDDEN:
        return RootRefused(message, fix=f"the login has ended or lacks a right: {right}")
    if answer.status == _NOT_THERE:
        return RootRefused(message, fix="see vault_mount and vault_namespace: nothing is there")
    return RootRefused(message, fix="look at the transit key in Vault: its type, its min_decryption_version, its name")
