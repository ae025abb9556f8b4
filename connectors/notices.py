"""A notice to people: counts and codes as JSON to a webhook, or as a few lines of e-mail. Each wait has a limit.

What is sent is the caller's to answer for: no debtor's values come here. Redirects are not followed, and errors name
the host alone: an address may carry a secret.
"""

from __future__ import annotations

import http.client
import json
import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from connectors.errors import ConnectorError
from models.errors import ConfigurationError, RemoteError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Security = Literal["tls", "starttls", "none"]


class NoticeFailed(ConnectorError, RemoteError):
    """The notice was not taken; trying again may mend it."""


@dataclass(frozen=True)
class MailServer:
    """Who takes our mail, and as whom we come."""

    host: str
    port: int
    security: Security = "starttls"
    username: str = ""
    password: str = ""


def post(url: str, notice: Mapping[str, object], *, token: str = "", timeout: float = 10.0) -> None:
    """The webhook has taken the notice: it answered with 2xx. Raises NoticeFailed, ConfigurationError for a bad URL.

    timeout: seconds to connect, and again for each answer. token: sent as `Authorization: Bearer`.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError("the webhook's address is no http or https URL", fix="correct `notify_webhook`")
    body = json.dumps(notice, ensure_ascii=True).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "consign"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=timeout, context=ssl.create_default_context()
        )
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        path = parts.path or "/"
        connection.request("POST", f"{path}?{parts.query}" if parts.query else path, body, headers)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        message = f"the webhook at {parts.hostname} did not take the notice: {type(error).__name__}"
        raise NoticeFailed(message, fix="look whether it answers; the next look tries again") from None
    finally:
        connection.close()
    if not http.client.OK <= status < http.client.MULTIPLE_CHOICES:
        message = f"the webhook at {parts.hostname} answered {status}"
        raise NoticeFailed(message, fix="correct its address or token; the next look tries again")


def mail(server: MailServer, sender: str, to: Sequence[str], subject: str, text: str, *, timeout: float = 10.0) -> None:
    """The mail server has taken the notice for every recipient. Raises NoticeFailed."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, ", ".join(to), subject
    message.set_content(text)
    try:
        with _mailing(server, timeout) as talking:
            if server.username:
                talking.login(server.username, server.password)
            refused = talking.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        why = f"the mail server {server.host} did not take the notice: {type(error).__name__}"
        raise NoticeFailed(why, fix="look whether it answers and lets us in; the next look tries again") from None
    if refused:
        why = f"the mail server {server.host} refused {len(refused)} of {len(to)} recipients"
        raise NoticeFailed(why, fix="correct `notify_mail_to`")


def _mailing(server: MailServer, timeout: float) -> smtplib.SMTP:
    if server.security == "tls":
        return smtplib.SMTP_SSL(server.host, server.port, timeout=timeout, context=ssl.create_default_context())
    talking = smtplib.SMTP(server.host, server.port, timeout=timeout)
    if server.security == "starttls":
        try:
            talking.starttls(context=ssl.create_default_context())
        except BaseException:
            talking.close()
            raise
    return talking
