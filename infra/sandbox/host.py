"""An OpenSSH server on loopback, with a throw-away configuration: for the sandbox, the tests and the benchmarks.

One sshd, run by whoever runs this, root or not. Each agency has a directory and a key of its own, and the key decides
the directory (`command="internal-sftp -d ..."` beside it in `authorized_keys`); all log in as the same user. That
separates the agencies for the sandbox, not against an attacker: there is no chroot.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from connectors.drops.settings import SftpSettings
from models.errors import ConfigurationError

if TYPE_CHECKING:
    from types import TracebackType

SSHD = Path("/usr/sbin/sshd")
TO_AGENCY, FROM_AGENCY = "to_agency", "from_agency"
_STARTS_WITHIN = 10.0
_ATTEMPTS = 5
_CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {home}/host_key
PidFile none
AuthorizedKeysFile {home}/authorized_keys
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UsePAM no
StrictModes no
UseDNS no
MaxStartups 200
MaxSessions 100
AllowTcpForwarding no
X11Forwarding no
PrintMotd no
Subsystem sftp internal-sftp
LogLevel ERROR
"""


class Host(Protocol):
    """A server for the sandbox: OpenSSH where it is installed, else one within this process."""

    host: str
    port: int

    @property
    def host_key_line(self) -> str:
        """The host's public key, to be pinned."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def authorize(self, agency: str, public_key_line: str) -> None:
        """`public_key_line` opens the agency's directory."""

    def client_key(self, agency: str) -> str:
        """A new private key (OpenSSH text) that opens the agency's directory."""

    def settings_for(self, agency: str, private_key_text: str) -> SftpSettings:
        """What a drop needs to reach the agency's directory."""

    def directory(self, agency: str) -> Path:
        """Where the agency's `to_agency` and `from_agency` lie."""


def sshd_is_installed() -> bool:
    """Whether this machine has an OpenSSH server to start."""
    return SSHD.exists() or shutil.which("sshd") is not None


class SandboxHost:
    """sshd under `root`, for as long as the context lasts; `<root>/<agency>/to_agency` and `from_agency` are made.

    port: to come back under the same address as before; 0 takes a free one. The host key is kept in `root`.
    """

    def __init__(self, root: Path, agencies: list[str], port: int = 0) -> None:
        self.host = "127.0.0.1"
        self.port = port
        self._root = root.absolute()
        self._home = self._root / ".sshd"
        self._agencies = list(agencies)
        self._process: subprocess.Popen[bytes] | None = None
        self._host_key = ""

    @property
    def host_key_line(self) -> str:
        """The host's public key, to be pinned."""
        return self._host_key

    def __enter__(self) -> Self:
        self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self._home / "authorized_keys").touch(mode=0o600)
        for agency in self._agencies:
            make_directories(self.directory(agency))
        self._host_key = kept_key(self._home / "host_key")
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def change_host_key(self) -> str:
        """The server comes back under the same address with another host key; returns its public line."""
        self.__exit__(None, None, None)
        for name in ("host_key", "host_key.pub"):
            (self._home / name).unlink()
        self.__enter__()
        return self._host_key

    def forget(self, public_key_line: str) -> None:
        """`public_key_line` opens nothing any more."""
        blob = public_key_line.split()[1]
        file = self._home / "authorized_keys"
        left = [line for line in file.read_text().splitlines() if blob not in line.split()]
        file.write_text("\n".join([*left, ""]))

    def directory(self, agency: str) -> Path:
        """Where the agency's `to_agency` and `from_agency` lie."""
        return self._root / agency

    def authorize(self, agency: str, public_key_line: str) -> None:
        """`public_key_line` opens the agency's directory from now on; a key that is there already moves to it."""
        kind, blob = public_key_line.split()[:2]
        file = self._home / "authorized_keys"
        others = [line for line in file.read_text().splitlines() if blob not in line.split()]
        command = f"internal-sftp -d {self.directory(agency)}"
        new = self._home / "authorized_keys.new"
        new.write_text("\n".join([*others, f'restrict,command="{command}" {kind} {blob} {agency}', ""]))
        new.chmod(0o600)
        new.replace(file)

    def client_key(self, agency: str) -> str:
        """A new private key (OpenSSH text) that opens the agency's directory."""
        private, public = new_key()
        self.authorize(agency, public)
        return private

    def settings_for(self, agency: str, private_key_text: str) -> SftpSettings:
        """What a drop needs to reach the directory of the agency that the key is authorised for."""
        if agency not in self._agencies:
            raise ConfigurationError(
                f"The sandbox has no agency {agency!r}.", fix=f"One of: {', '.join(self._agencies)}."
            )
        user = pwd.getpwuid(os.getuid()).pw_name
        return SftpSettings(self.host, self.port, user, (self.host_key_line,), private_key_text)

    def _start(self) -> None:
        sshd = str(SSHD) if SSHD.exists() else shutil.which("sshd")
        if sshd is None:
            message = "OpenSSH's server is not installed."
            raise ConfigurationError(message, fix="apt-get install openssh-server, or use the host within the process.")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd's privilege separation wants it, as root only
        wanted = self.port
        for _attempt in range(_ATTEMPTS):  # another process may take the free port first
            self.port = wanted or free_port()
            config = self._home / "sshd_config"
            config.write_text(_CONFIG.format(port=self.port, home=self._home))
            with (self._home / "log").open("ab") as log:
                self._process = subprocess.Popen(
                    [sshd, "-D", "-e", "-f", str(config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
            if speaks_ssh(self.host, self.port, self._process):
                return
        said = (self._home / "log").read_text(errors="replace").strip().splitlines()[-1:]
        message = f"sshd did not start: {said[0] if said else 'it says nothing'}."
        raise ConfigurationError(message, fix=f"See {self._home / 'log'}.")


def speaks_ssh(host: str, port: int, process: subprocess.Popen[bytes]) -> bool:
    """Whether the server speaks SSH before it ends or the time is up; if not, it is ended."""
    until = time.monotonic() + _STARTS_WITHIN
    while time.monotonic() < until and process.poll() is None:
        try:
            with socket.create_connection((host, port), timeout=1) as caller:
                if caller.recv(4) == b"SSH-":
                    return True
        except OSError:
            time.sleep(0.02)
    process.kill()
    process.wait()
    return False


def program(name: str) -> Path | None:
    """Where a program lies, looking where Debian puts servers too."""
    found = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin")))
    return Path(found) if found else None


def sandbox_host(root: Path, agencies: list[str], port: int = 0) -> Host:
    """OpenSSH's server where it is installed, else the one within this process; not started yet: a context manager."""
    if sshd_is_installed():
        return SandboxHost(root, agencies, port)
    from infra.sandbox.paramiko_host import ParamikoHost

    return ParamikoHost(root, agencies, port)


def make_directories(agency: Path) -> None:
    """The two directories of an agency are there."""
    for direction in (TO_AGENCY, FROM_AGENCY):
        (agency / direction).mkdir(parents=True, exist_ok=True)


def new_key() -> tuple[str, str]:
    """A new Ed25519 key: private part (OpenSSH text), public line."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    return private, public


def kept_key(file: Path) -> str:
    """The public line of the key kept in `file`, made on first use and the same ever after."""
    public = file.with_name(file.name + ".pub")
    if not public.exists():
        private, line = new_key()
        file.touch(mode=0o600)
        file.write_text(private)
        public.write_text(line + "\n")
    return public.read_text().strip()


def free_port() -> int:
    """A port of the loopback interface that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
