"""One place per kind of drop, seen from both sides: ours through the drop, the agency's through its directory."""

from __future__ import annotations

import hashlib
import os
import pwd
import random
import shutil
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from connectors.drops import Drop, DropSettings, FolderSettings, Pushed, SftpSettings, open_drop
from infra.sandbox.host import SandboxHost, make_directories
from infra.sandbox.paramiko_host import Faults, ParamikoHost
from infra.sandbox.servers import ChrootedHost, DropbearHost, ProftpdHost, Server

if TYPE_CHECKING:
    from tests.conftest import Needs

AGENCY = "alpha"


@dataclass
class Place:
    """A drop's settings, and the directory behind it as the agency sees it."""

    settings: DropSettings
    directory: Path
    owner: str | None = None
    """the system user as whom we write there, where it is not the one who runs the tests"""

    def emptied(self) -> Place:
        """The same place as if nothing had ever been in it."""
        shutil.rmtree(self.directory / "taken", ignore_errors=True)
        for directory in (self.outgoing, self.incoming):
            shutil.rmtree(directory)
            directory.mkdir()
            if self.owner in {one.pw_name for one in pwd.getpwall()}:
                shutil.chown(directory, self.owner)
        return replace(self)

    def limit(self, **limits: float) -> None:
        """From now on, its drops have these limits."""
        assert isinstance(self.settings, SftpSettings)
        self.settings = replace(self.settings, **limits)  # type: ignore[arg-type]  # seconds, all of them

    @property
    def outgoing(self) -> Path:
        return self.directory / "to_agency"

    @property
    def incoming(self) -> Path:
        return self.directory / "from_agency"

    def drop(self) -> Drop:
        return open_drop(self.settings)

    def delivered(self, name: str) -> list[bytes]:
        """Every copy that the agency got under `name`: still there, or taken."""
        taken = sorted((self.directory / "taken").glob(f"*{name}"))
        return [path.read_bytes() for path in [*taken, self.outgoing / name] if path.exists()]

    def take(self, name: str) -> None:
        """The agency takes what is published under `name`, if it is there."""
        (self.directory / "taken").mkdir(exist_ok=True)
        with suppress(FileNotFoundError):
            (self.outgoing / name).rename(self.directory / "taken" / f"{time.monotonic_ns()}.{name}")

    def receive(self, name: str, content: bytes) -> None:
        """The agency leaves a file for us."""
        (self.incoming / name).write_bytes(content)


@dataclass
class Transmission:
    """What the caller's database knows of one file to be sent."""

    file: Path
    name: str
    intent: bool = False
    sidecars: dict[str, Path] = field(default_factory=dict)
    record: Callable[[], None] = field(init=False)
    """Commits the intent; a test may put something else in its place."""

    def __post_init__(self) -> None:
        self.record = self.commit

    @property
    def content(self) -> bytes:
        return self.file.read_bytes()

    def commit(self) -> None:
        self.intent = True

    def push(self, drop: Drop) -> Pushed:
        sha256 = hashlib.sha256(self.content).hexdigest()
        return drop.push(
            self.file,
            self.name,
            sha256=sha256,
            record_intent=self.record,
            intent_recorded=self.intent,
            sidecars=self.sidecars,
        )


class Wire:
    """A TCP relay in front of a server, which can be cut or stalled after so many bytes from the client."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.after: int | None = None
        self.how = "cut"
        self.carried = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            for source, sink, counted in ((client, server, True), (server, client, False)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._carry, args=(source, sink, counted), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        with suppress(OSError):
            while block := source.recv(65536):
                if counted:
                    self.carried += len(block)
                    if self.after is not None and self.carried > self.after:
                        if self.how == "stall":
                            time.sleep(30)
                            return
                        for end in (source, sink):
                            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        break
                sink.sendall(block)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


Make = Callable[..., Transmission]


def _quick(settings: SftpSettings) -> SftpSettings:
    return replace(settings, connect_timeout=10.0, stall_timeout=10.0, settle_seconds=0.2)


@pytest.fixture
def openssh(tmp_path: Path, needs: Needs) -> Iterator[Place]:
    needs("sshd")
    with SandboxHost(tmp_path / "openssh", [AGENCY]) as host:
        yield Place(_quick(host.settings_for(AGENCY, host.client_key(AGENCY))), host.directory(AGENCY))


@pytest.fixture
def paramiko_host(tmp_path: Path) -> Iterator[ParamikoHost]:
    with ParamikoHost(tmp_path / "paramiko", [AGENCY]) as host:
        yield host


@pytest.fixture
def faults(paramiko_host: ParamikoHost) -> Faults:
    """What the misbehaving server does wrong; change it at will."""
    return paramiko_host.faults


@pytest.fixture
def misbehaving(paramiko_host: ParamikoHost) -> Place:
    settings = paramiko_host.settings_for(AGENCY, paramiko_host.client_key(AGENCY))
    return Place(_quick(settings), paramiko_host.directory(AGENCY))


@pytest.fixture
def folder(tmp_path: Path) -> Place:
    root = tmp_path / "folder"
    make_directories(root)
    return Place(FolderSettings(root, settle_seconds=0.2), root)


def _serving(server: Server) -> Iterator[Place]:
    """A place on a real server, started once for all tests; skipped where this machine cannot, a failure under CI."""
    if lacking := server.missing():
        if os.environ.get("CI") == "true" and "root" not in lacking:
            pytest.fail(lacking)
        pytest.skip(f"{type(server).__name__}: {lacking}")
    with server:
        yield Place(
            _quick(server.settings_for(AGENCY, server.client_key(AGENCY))), server.directory(AGENCY), server.username
        )


@pytest.fixture(scope="session")
def _chrooted() -> Iterator[Place]:
    yield from _serving(ChrootedHost(AGENCY))


@pytest.fixture(scope="session")
def _proftpd() -> Iterator[Place]:
    yield from _serving(ProftpdHost(AGENCY))


@pytest.fixture(scope="session")
def _dropbear() -> Iterator[Place]:
    yield from _serving(DropbearHost(AGENCY))


@pytest.fixture
def chrooted(_chrooted: Place) -> Place:
    """OpenSSH, our user confined to a directory; the agency is another user."""
    return _chrooted.emptied()


@pytest.fixture
def proftpd(_proftpd: Place) -> Place:
    """ProFTPD's mod_sftp."""
    return _proftpd.emptied()


@pytest.fixture
def dropbear(_dropbear: Place) -> Place:
    """Dropbear with OpenSSH's sftp-server."""
    return _dropbear.emptied()


@pytest.fixture(params=["folder", "openssh", "chrooted", "proftpd", "dropbear", "paramiko"])
def place(request: pytest.FixtureRequest) -> Place:
    """Every kind of drop in turn."""
    found = request.getfixturevalue("misbehaving" if request.param == "paramiko" else request.param)
    assert isinstance(found, Place)
    return found


@pytest.fixture
def transmission(tmp_path: Path) -> Make:
    """A file of seeded bytes to be sent, with sidecars of so many bytes."""

    def make(
        name: str = "lender.alpha.placement.20261122.000001.zip.age", size: int = 100_000, **sidecars: int
    ) -> Transmission:
        file = tmp_path / f"sealed-{name}"
        file.write_bytes(random.Random(size).randbytes(size))
        made = Transmission(file, name)
        for suffix, length in sidecars.items():
            beside = tmp_path / f"sealed-{name}.{suffix}"
            beside.write_bytes(random.Random(length).randbytes(length))
            made.sidecars[f".{suffix}"] = beside
        return made

    return make


@pytest.fixture
def wire(openssh: Place) -> Iterator[tuple[Wire, Place]]:
    """OpenSSH behind a wire that can be cut."""
    assert isinstance(openssh.settings, SftpSettings)
    relay = Wire(openssh.settings.host, openssh.settings.port)
    yield relay, Place(replace(openssh.settings, port=relay.port), openssh.directory)
    relay.close()
