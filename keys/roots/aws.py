"""A root key wrapped by AWS KMS: three calls of its JSON protocol, signed by Signature Version 4.

The header holds the key's ARN and the ciphertext. Our own client, of the standard library alone: the whole of botocore
for two verbs would be the largest thing that could read a root key. It takes credentials from AWS_ACCESS_KEY_ID and its
fellows, or from the profile in the shared credentials file; a role of the machine, or a single sign-on, goes through
`aws configure export-credentials`.
"""

from __future__ import annotations

import base64
import binascii
import configparser
import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from keys.errors import KeyringLocked, RootRefused
from keys.roots.root import PURPOSE, ROOT_BYTES, Root
from keys.roots.wire import Answer, Wire, words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_OK: Final = 200
_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_CONTEXT: Final = {"purpose": PURPOSE}
_LATER: Final = frozenset(
    {"ThrottlingException", "KMSInternalException", "DependencyTimeoutException", "KeyUnavailableException"}
)
_FIXES: Final = {
    "AccessDeniedException": "let the key's policy allow us kms:Encrypt and kms:Decrypt",
    "NotFoundException": "see kms_key and kms_region: there is no such key",
    "DisabledException": "enable the key in KMS: the keyring cannot be opened while it is disabled",
    "KMSInvalidStateException": "cancel the key's deletion in KMS, now: without it the keyring cannot be opened",
    "InvalidCiphertextException": "restore the keyring from a backup: its header was altered",
    "IncorrectKeyException": "restore the keyring from a backup: its header was altered",
    "ExpiredTokenException": "get new credentials: these have ended",
    "UnrecognizedClientException": "see AWS_ACCESS_KEY_ID: AWS does not know it",
    "InvalidSignatureException": "see AWS_SECRET_ACCESS_KEY, and this machine's clock",
}


@dataclass(frozen=True)
class Credentials:
    """Who we are in AWS."""

    key_id: str
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


class AwsKms(Root):
    """The root key is wrapped under a key in AWS KMS."""

    kind: ClassVar[str] = "aws-kms"
    said: ClassVar[str] = "key in AWS KMS"

    def __init__(
        self,
        wire: Wire,
        key: str,
        region: str,
        *,
        credentials: Callable[[], Credentials] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Bind the service's address; key: id, alias or ARN, for a new root key."""
        self._wire, self._key, self._region = wire, key, region
        self._credentials, self._clock = credentials or environment_credentials, clock

    def new(self, before: Root | None) -> tuple[dict[str, Any], bytes]:  # noqa: ARG002 - each has its own ciphertext
        """Return a new root key that KMS has wrapped, and opened again to try."""
        if not self._key:
            raise KeyringLocked("no key in AWS KMS is named", fix="set kms_key to its ARN")
        root = secrets.token_bytes(ROOT_BYTES)
        asked = {"KeyId": self._key, "Plaintext": base64.b64encode(root).decode(), "EncryptionContext": _CONTEXT}
        told = self._call("Encrypt", asked)
        header = {"kind": self.kind, "key": str(told.get("KeyId")), "wrapped": str(told.get("CiphertextBlob"))}
        if self.had(header) != root:
            raise RootRefused("KMS does not give back what it wrapped", fix="look at the key in KMS")
        return header, root

    def had(self, header: Mapping[str, Any]) -> bytes:
        """Return the root key that KMS unwraps; it must be under the key that the header names."""
        asked = {"KeyId": header["key"], "CiphertextBlob": header["wrapped"], "EncryptionContext": _CONTEXT}
        told = self._call("Decrypt", asked)
        try:
            root = base64.b64decode(str(told.get("Plaintext")), validate=True)
        except binascii.Error:
            root = b""
        if len(root) != ROOT_BYTES or told.get("KeyId") != header["key"]:
            raise RootRefused(
                "KMS's answer holds no root key of this keyring", fix="see that kms_endpoint is AWS's own"
            )
        return root

    def _call(self, verb: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        body = json.dumps(asked).encode()
        path = self._wire.path("/")

        def headers() -> Mapping[str, str]:
            given = {
                "content-type": "application/x-amz-json-1.1", "host": self._wire.host,
                "x-amz-target": f"TrentService.{verb}",
            }  # fmt: skip
            return signed(given, body, path, self._region, "kms", self._credentials(), self._clock())

        answer = self._wire.ask(path, body, headers, later=lambda one: _kind(one) in _LATER)
        if answer.status == _OK:
            return answer.told
        kind = _kind(answer) or str(answer.status)
        raise RootRefused(
            f"AWS KMS refuses to {verb.lower()}: {kind}", fix=_FIXES.get(kind, "look it up in the reference of AWS KMS")
        )


def _kind(answer: Answer) -> str:
    return words(answer.told.get("__type", "")).rpartition("#")[2]


def signed(
    headers: Mapping[str, str],
    body: bytes,
    path: str,
    region: str,
    service: str,
    who: Credentials,
    at: datetime,
) -> dict[str, str]:
    """Return the headers of a POST with its time and its signature. headers: in lower case, `host` among them."""
    given = dict(headers) | {"x-amz-date": f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"}
    if who.token:
        given["x-amz-security-token"] = who.token
    scope, names, digest = signature(given, body, path, region, service, who.secret)
    given["authorization"] = f"{_ALGORITHM} Credential={who.key_id}/{scope}, SignedHeaders={names}, Signature={digest}"
    return given


def signature(
    headers: Mapping[str, str], body: bytes, path: str, region: str, service: str, secret: str
) -> tuple[str, str, str]:
    """Return the scope, the names of the signed headers and the signature of a POST without a query."""
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in sorted(headers))
    request = "\n".join(["POST", path, "", lines, names, hashlib.sha256(body).hexdigest()])
    moment = headers["x-amz-date"]
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    to_sign = "\n".join([_ALGORITHM, moment, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = b"AWS4" + secret.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return scope, names, hmac.digest(key, to_sign.encode(), "sha256").hex()


def environment_credentials() -> Credentials:
    """Return what AWS_ACCESS_KEY_ID and its fellows say, else the profile of the shared credentials file.

    Raises KeyringLocked where neither is there.
    """
    found: Mapping[str, str] = {name.lower(): text for name, text in os.environ.items() if name.startswith("AWS_")}
    if "aws_access_key_id" not in found:
        file = Path(found.get("aws_shared_credentials_file") or Path.home() / ".aws" / "credentials")
        profiles = configparser.ConfigParser(interpolation=None)
        try:
            profiles.read(file, encoding="utf-8")
            found = profiles[found.get("aws_profile", "default")]
        except (configparser.Error, KeyError, OSError, UnicodeError):
            found = {}
    if not found.get("aws_access_key_id") or not found.get("aws_secret_access_key"):
        raise KeyringLocked(
            "nothing says who we are in AWS", fix="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        )
    return Credentials(
        found["aws_access_key_id"], found["aws_secret_access_key"], found.get("aws_session_token") or None
    )
