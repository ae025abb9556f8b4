"""One question over HTTPS to whoever keeps a root key: time limits, a few more tries, nothing of it in a message."""

from __future__ import annotations

import http.client
import ipaddress
import json
import re
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from keys.errors import KeyringLocked, RootRefused, RootUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_ANSWER_AT_MOST: Final = 1 << 20
_LATER: Final = frozenset({429, 472, 473, 500, 502, 503, 504})
_SAFE: Final = re.compile(r"[^\x20-\x7e]+")
_WORDS_AT_MOST: Final = 200


@dataclass(frozen=True, slots=True)
class Patience:
    """How long we wait for a keeper, and how often we ask again."""

    seconds: float = 10.0
    """to connect, and without a byte"""
    attempts: int = 3
    first_pause: float = 0.25
    """seconds before the second try; then doubled"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, and the JSON object in it, empty where it was none."""

    status: int
    told: Mapping[str, Any]


@dataclass(frozen=True)
class Wire:
    """A keeper's address and how it is reached. ca: a file of certificates to trust in place of the system's."""

    who: str
    """as a message names it"""
    address: str
    ca: Path | None = None
    patience: Patience = Patience()

    def __post_init__(self) -> None:
        """Raise KeyringLocked for an address that is none, or would send a root key in clear over a network."""
        parts = urlsplit(self.address)
        if parts.scheme not in {"https", "http"} or not parts.hostname or parts.username:
            raise KeyringLocked(
                f"the address of {self.who} is no https:// address",
                fix="set it as https://host:port, and no name in it",
            )
        if parts.scheme == "http" and not _is_here(parts.hostname):
            raise KeyringLocked(
                f"the address of {self.who} is http://: the root key would go over the network in clear",
                fix="set its https:// address, and the file of its certificate authority if it is one of your own",
            )

    @property
    def host(self) -> str:
        """The host, with its port where the address states one: what the header `Host` says."""
        return urlsplit(self.address).netloc

    def path(self, below: str) -> str:
        """The path of something below the address."""
        return urlsplit(self.address).path.rstrip("/") + below

    def ask(
        self, path: str, body: bytes, headers: Callable[[], Mapping[str, str]], later: Callable[[Answer], bool]
    ) -> Answer:
        """Return the answer to a POST, asked again while the keeper is not there or says that it cannot now.

        headers: made anew for each try, as a signature has a time in it. later: whether an answer is worth a new try,
        besides those whose status says so.  Raises RootUnavailable after the last try; RootRefused at once for a
        certificate that we do not trust.
        """
        pause, why = self.patience.first_pause, ""
        for attempt in range(1, self.patience.attempts + 1):
            if attempt > 1:
                time.sleep(pause)
                pause *= 2
            try:
                answer = self._once(path, body, headers())
            except ssl.SSLCertVerificationError as fault:
                raise RootRefused(
                    f"the certificate of {self.who} is not trusted: {fault.verify_message}",
                    fix="see that the address is right; name the file of its certificate authority",
                ) from None
            except (OSError, http.client.HTTPException) as fault:
                why = f"does not answer ({type(fault).__name__})"
                continue
            if answer.status not in _LATER and not later(answer):
                return answer
            why = f"cannot now ({answer.status})"
        raise RootUnavailable(
            f"{self.who} {why}; asked {self.patience.attempts} times",
            fix=f"see that {self.host} is up and reached from here; nothing was changed",
        )

    def _once(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        parts = urlsplit(self.address)
        seconds = self.patience.seconds
        host = str(parts.hostname)
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=str(self.ca) if self.ca is not None else None)
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, parts.port, timeout=seconds, context=context
            )
        else:
            connection = http.client.HTTPConnection(host, parts.port, timeout=seconds)
        try:
            connection.request("POST", path, body=body, headers=dict(headers))
            response = connection.getresponse()
            text = response.read(_ANSWER_AT_MOST)
        finally:
            connection.close()
        try:
            told = json.loads(text)
        except ValueError:
            told = {}
        return Answer(response.status, told if isinstance(told, dict) else {})


def words(said: object) -> str:
    """Return what a keeper says of a refusal, cut short and in plain characters: it is shown to a person."""
    return _SAFE.sub("?", str(said))[:_WORDS_AT_MOST]


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
