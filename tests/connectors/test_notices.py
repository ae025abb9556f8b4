"""Notices reach a real HTTP server and a real mail server, within their limits, and errors name the host alone."""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from connectors.notices import MailServer, NoticeFailed, mail, post
from models.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

NOTICE = {"new": [{"code": "file_refused", "count": 2}], "unresolved": 2}


@dataclass
class Hook:
    """A webhook that keeps what came, and answers as it is told."""

    status: int = 200
    came: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def hook() -> Iterator[Hook]:
    """A webhook on loopback."""
    told = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.came.append((self.path, dict(self.headers), json.loads(body)))
            self.send_response(told.status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        told.url = f"http://127.0.0.1:{server.server_port}/hook?room=7"
        yield told
        server.shutdown()
        thread.join()


@dataclass
class Post:
    """A mail server that keeps what it took."""

    port: int = 0
    refuses: str = ""
    came: list[str] = field(default_factory=list)


@pytest.fixture
def mailbox() -> Iterator[Post]:
    """An SMTP server of a few lines on loopback."""
    kept = Post()

    class Handler(socketserver.StreamRequestHandler):
        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def handle(self) -> None:
            self.say("220 mail")
            while line := self.rfile.readline().decode().strip():
                word = line.split(" ", 1)[0].upper()
                if word == "DATA":
                    self.say("354 go on")
                    lines = []
                    while (one := self.rfile.readline().decode()) != ".\r\n":
                        lines.append(one)
                    kept.came.append("".join(lines))
                    self.say("250 taken")
                elif word == "RCPT" and kept.refuses and kept.refuses in line:
                    self.say("550 nobody here")
                elif word == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 yes")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        kept.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield kept
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def silent() -> Iterator[int]:
    """The port of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_webhook_gets_the_notice_as_json_with_its_token(hook: Hook) -> None:
    post(hook.url, NOTICE, token="s3cret")
    ((path, headers, body),) = hook.came
    assert path == "/hook?room=7"
    assert headers["Authorization"] == "Bearer s3cret"
    assert body == NOTICE


@pytest.mark.parametrize("status", [302, 401, 500])
def test_what_is_no_yes_is_a_failure_that_names_the_host_alone(hook: Hook, status: int) -> None:
    hook.status = status
    with pytest.raises(NoticeFailed, match=str(status)) as it:
        post(hook.url, NOTICE, token="s3cret")
    assert "room" not in str(it.value)
    assert "s3cret" not in str(it.value) + it.value.fix
    assert len(hook.came) == 1  # a redirect is not followed
    assert it.value.retryable


def test_a_server_that_says_nothing_is_waited_for_as_long_as_is_set_and_no_longer() -> None:
    with silent() as port:
        with pytest.raises(NoticeFailed, match="Timeout"):
            post(f"http://127.0.0.1:{port}/", NOTICE, timeout=0.2)
        with pytest.raises(NoticeFailed):
            mail(MailServer("127.0.0.1", port, "none"), "a@x.example", ["b@x.example"], "s", "t", timeout=0.2)


@pytest.mark.parametrize("url", ["ftp://x.example/", "file:///etc/passwd", "x.example/hook", ""])
def test_an_address_that_is_no_webhook_is_a_setting_to_correct(url: str) -> None:
    with pytest.raises(ConfigurationError, match="webhook"):
        post(url, NOTICE)


def test_a_letter_reaches_every_recipient(mailbox: Post) -> None:
    server = MailServer("127.0.0.1", mailbox.port, "none")
    mail(server, "consign@x.example", ["a@x.example", "b@x.example"], "Consign: 2 new", "2 file_refused\n")
    (letter,) = mailbox.came
    assert "Subject: Consign: 2 new" in letter
    assert "To: a@x.example, b@x.example" in letter
    assert "2 file_refused" in letter


@pytest.mark.parametrize("refuses", ["b@", "@x.example"])
def test_a_recipient_who_is_refused_is_told(mailbox: Post, refuses: str) -> None:
    mailbox.refuses = refuses
    server = MailServer("127.0.0.1", mailbox.port, "none")
    with pytest.raises(NoticeFailed):
        mail(server, "consign@x.example", ["a@x.example", "b@x.example"], "s", "t")


def test_a_server_without_encryption_is_not_told_what_was_to_be_encrypted(mailbox: Post) -> None:
    with pytest.raises(NoticeFailed):
        mail(MailServer("127.0.0.1", mailbox.port), "consign@x.example", ["a@x.example"], "s", "t")
    assert mailbox.came == []


def test_nobody_there_is_a_failure() -> None:
    with pytest.raises(NoticeFailed):
        post("http://127.0.0.1:1/", NOTICE)
