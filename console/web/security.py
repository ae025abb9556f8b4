"""What every answer carries and every request is held to, whatever page it is about."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from fastapi import HTTPException

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY: Final = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
HSTS: Final = "max-age=31536000; includeSubDomains"
FORM_BYTES: Final = 1 << 20
"""The largest body of a form without a file."""
TOO_LARGE: Final = 413
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def token(cookie: str) -> str:
    """A word that only somebody who has the cookie can say, another one each time: compressing a page tells nothing."""
    salt = secrets.token_hex(8)
    return f"{salt}.{_signed(cookie, salt)}"


def is_token(given: str, cookie: str) -> bool:
    """Whether the word was made from the cookie."""
    salt, dot, signature = given.partition(".")
    return bool(dot) and hmac.compare_digest(signature.encode(), _signed(cookie, salt).encode())


def _signed(cookie: str, salt: str) -> str:
    return hmac.new(cookie.encode(), f"form:{salt}".encode(), hashlib.sha256).hexdigest()


def safe_next(path: str) -> str:
    """The path where it leads to a page of ours, else the first page."""
    told = urlsplit(path)
    ours = path.startswith("/") and not path.startswith(("//", "/\\")) and not told.scheme and not told.netloc
    return path if ours and path.isprintable() and "\\" not in path else "/"


class Guard:
    """Puts the headers on every answer, and refuses a body that is larger than it may be while it comes in."""

    def __init__(self, app: ASGIApp, *, tls: bool, upload_bytes: int) -> None:
        self.app = app
        told = HEADERS | ({"Strict-Transport-Security": HSTS} if tls else {})
        self.headers = [(name.lower().encode(), value.encode()) for name, value in told.items()]
        self.upload_bytes = upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                fresh = [] if b"cache-control" in given else [(b"cache-control", b"no-store")]
                message["headers"] = [*message["headers"], *self.headers, *fresh]
            await send(message)

        await self.app(scope, _bounded(receive, self._most(scope)), sending)

    def _most(self, scope: Scope) -> int:
        kinds = [value for name, value in scope["headers"] if name == b"content-type"]
        return self.upload_bytes if any(kind.startswith(b"multipart/") for kind in kinds) else FORM_BYTES


def _bounded(receive: Receive, most: int) -> Receive:
    came = 0

    async def receiving() -> Message:
        nonlocal came
        message = await receive()
        came += len(message.get("body", b""))
        if came > most:
            raise HTTPException(TOO_LARGE)
        return message

    return receiving
