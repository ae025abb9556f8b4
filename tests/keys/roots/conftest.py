"""Keepers of root keys that speak the real protocols over real sockets, and misbehave when they are told to.

There is no Vault and no AWS on these machines. What stands in for them wraps with AES-GCM under keys with versions,
checks the token or recomputes the signature from the bytes that came, and answers as their references say.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.x509.oid import NameOID

from keys.roots.aws import AwsKms, Credentials
from keys.roots.hashicorp import VaultLogin, VaultTransit
from keys.roots.wire import Patience, Wire

Told = tuple[int, dict[str, Any]]
QUICK = Patience(seconds=0.5, attempts=3, first_pause=0.01)
ROLE = ("role-7", "secret-9")
WHO = Credentials("AKIDCONSIGN", "wJalrXUtnFEMI/K7MDENG", "session-1")
REGION = "cn-north-1"
ARN = "arn:aws-cn:kms:cn-north-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@dataclass
class Keeper:
    """What any of them may be told to do: be slow, be away for the next answers, forbid; and what it was asked."""

    versions: list[bytes] = field(default_factory=lambda: [secrets.token_bytes(32)])
    least: int = 1
    slow: float = 0
    away: int = 0
    forbids: bool = False
    asked: list[str] = field(default_factory=list)
    address: str = ""

    def wrap(self, plain: bytes, bound: bytes) -> tuple[int, bytes]:
        nonce = secrets.token_bytes(12)
        return len(self.versions), nonce + AESGCM(self.versions[-1]).encrypt(nonce, plain, bound)

    def unwrap(self, version: int, sealed: bytes, bound: bytes) -> bytes | None:
        try:
            return AESGCM(self.versions[version - 1]).decrypt(sealed[:12], sealed[12:], bound)
        except (InvalidTag, ValueError, IndexError):
            return None

    def rotate(self) -> None:
        self.versions.append(secrets.token_bytes(32))

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> Told:
        raise NotImplementedError


@dataclass
class Vault(Keeper):
    """The transit engine and the AppRole login of HashiCorp Vault."""

    tokens: set[str] = field(default_factory=lambda: {"hvs.root"})
    key: str = "consign"

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> Told:  # noqa: PLR0911 - one for each answer
        asked = json.loads(body)
        if path == "/v1/auth/approle/login":
            if (asked.get("role_id"), asked.get("secret_id")) != ROLE:
                return 400, {"errors": ["invalid role or secret ID"]}
            self.tokens.add(f"hvs.{secrets.token_hex(4)}")
            return 200, {"auth": {"client_token": max(self.tokens - {"hvs.root"}), "lease_duration": 3600}}
        if headers.get("x-vault-token") not in self.tokens or self.forbids:
            return 403, {"errors": ["1 error occurred:\n\t* permission denied\n\n"]}
        (_, mount, verb, key) = path.strip("/").split("/", 3)
        if mount != "transit":
            return 404, {"errors": ["no handler for route"]}
        if key != self.key:
            return 400, {"errors": ["encryption key not found"]}
        bound = base64.b64decode(asked["associated_data"])
        if verb == "encrypt":
            version, sealed = self.wrap(base64.b64decode(asked["plaintext"]), bound)
            return 200, {"data": {"ciphertext": f"vault:v{version}:{base64.b64encode(sealed).decode()}"}}
        (_, named, sealed_text) = asked["ciphertext"].split(":")
        if int(named[1:]) < self.least:
            return 400, {"errors": ["ciphertext or signature version is disallowed by policy (too old)"]}
        plain = self.unwrap(int(named[1:]), base64.b64decode(sealed_text), bound)
        if plain is None:
            return 400, {"errors": ["cipher: message authentication failed"]}
        return 200, {"data": {"plaintext": base64.b64encode(plain).decode()}}


@dataclass
class Kms(Keeper):
    """Encrypt and Decrypt of AWS KMS, behind a signature that is computed anew from what came."""

    throttles: int = 0
    disabled: bool = False

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> Told:  # noqa: PLR0911 - one for each answer
        if fault := _unsigned(path, headers, body):
            return 400, {"__type": fault, "message": "see the reference"}
        if self.throttles:
            self.throttles -= 1
            return 400, {"__type": "ThrottlingException"}
        if self.forbids:
            return 400, {"__type": "AccessDeniedException", "Message": f"User: {WHO.key_id} is not authorized"}
        if self.disabled:
            return 400, {"__type": "DisabledException"}
        asked = json.loads(body)
        bound = json.dumps(asked.get("EncryptionContext", {}), sort_keys=True).encode()
        if asked["KeyId"] not in {ARN, "alias/consign"}:
            return 400, {"__type": "com.amazonaws.kms#NotFoundException"}
        if headers["x-amz-target"] == "TrentService.Encrypt":
            version, sealed = self.wrap(base64.b64decode(asked["Plaintext"]), bound)
            blob = base64.b64encode(bytes([version]) + sealed).decode()
            return 200, {"KeyId": ARN, "CiphertextBlob": blob, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}
        blob_bytes = base64.b64decode(asked["CiphertextBlob"])
        plain = self.unwrap(blob_bytes[0], blob_bytes[1:], bound)
        if plain is None:
            return 400, {"__type": "InvalidCiphertextException"}
        return 200, {"KeyId": ARN, "Plaintext": base64.b64encode(plain).decode()}


def _unsigned(path: str, headers: dict[str, str], body: bytes) -> str | None:
    """What is wrong with the signature of a request: written from AWS's page on Signature Version 4, not from ours."""
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    parts = dict(part.strip().split("=", 1) for part in rest.split(",") if "=" in part)
    if scheme != "AWS4-HMAC-SHA256" or "Signature" not in parts:
        return "MissingAuthenticationTokenException"
    key_id, day, region, service, last = parts["Credential"].split("/")
    if key_id != WHO.key_id or headers.get("x-amz-security-token") != WHO.token:
        return "UnrecognizedClientException"
    if (region, service, last) != (REGION, "kms", "aws4_request"):
        return "InvalidSignatureException"
    names = parts["SignedHeaders"].split(";")
    if not {"host", "x-amz-date", "x-amz-target", "x-amz-security-token"} <= set(names):
        return "InvalidSignatureException"
    sent = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if abs(datetime.now(UTC) - sent) > timedelta(minutes=5):
        return "InvalidSignatureException"
    canonical = f"POST\n{path}\n\n" + "".join(f"{name}:{headers[name].strip()}\n" for name in names)
    canonical += f"\n{parts['SignedHeaders']}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{day}/{region}/{service}/{last}"
    text = f"AWS4-HMAC-SHA256\n{headers['x-amz-date']}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"

    def mac(key: bytes, said: str) -> bytes:
        return hmac.new(key, said.encode(), hashlib.sha256).digest()

    signing = mac(mac(mac(mac(b"AWS4" + WHO.secret.encode(), day), region), service), "aws4_request")
    return None if hmac.compare_digest(mac(signing, text).hex(), parts["Signature"]) else "InvalidSignatureException"


def serve(keeper: Keeper, certificate: tuple[Path, Path] | None = None) -> ThreadingHTTPServer:
    """The keeper behind a port of this machine, over TLS where there is a certificate."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            keeper.asked.append(self.path)
            time.sleep(keeper.slow)
            if keeper.away:
                keeper.away -= 1
                status, told = 503, {"errors": ["Vault is sealed"]}
            else:
                status, told = keeper.answer(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            text = json.dumps(told).encode()
            with suppress(OSError):  # whoever asked has gone
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Say nothing: a client that does not trust us hangs up."""

    server = Server(("127.0.0.1", 0), Handler)
    scheme = "http"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    keeper.address = f"{scheme}://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    return server


@pytest.fixture
def served() -> Iterator[Callable[..., None]]:
    """A function: the keeper is behind a port until the test ends."""
    servers = []

    def start(keeper: Keeper, certificate: tuple[Path, Path] | None = None) -> None:
        servers.append(serve(keeper, certificate))

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def vault(served: Callable[..., None]) -> Vault:
    """A Vault with the key `consign`, the token `hvs.root` and one AppRole."""
    keeper = Vault()
    served(keeper)
    return keeper


@pytest.fixture
def kms(served: Callable[..., None]) -> Kms:
    """AWS KMS with one key."""
    keeper = Kms()
    served(keeper)
    return keeper


@pytest.fixture
def in_vault(vault: Vault) -> Callable[..., VaultTransit]:
    """A function: the root key kept in the fake Vault, by a login, with the adapter's other options."""

    def root(login: VaultLogin | None = None, **options: Any) -> VaultTransit:
        return VaultTransit(Wire("Vault", vault.address, None, QUICK), login or VaultLogin(token="hvs.root"), **options)

    return root


@pytest.fixture
def in_kms(kms: Kms) -> Callable[..., AwsKms]:
    """A function: the root key kept in the fake KMS, with the adapter's options."""

    def root(key: str = "alias/consign", **options: Any) -> AwsKms:
        given = {"credentials": lambda: WHO} | options
        return AwsKms(Wire("AWS KMS", kms.address, None, QUICK), key, REGION, **given)

    return root


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that signs itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "vault.test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"
