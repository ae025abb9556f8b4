"""SFTP servers of other makes on loopback, with throw-away configurations: what agencies run, for the tests.

ProFTPD's mod_sftp runs as whoever runs this. OpenSSH with a chroot, and Dropbear, serve a system user of their own,
which is made for them and removed again: they need root. Their files lie beneath `/srv`, since sshd accepts a chroot
only where every folder above it is root's and nobody else may write into it, which rules temporary folders out.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from connectors.drops.settings import SftpSettings
from infra.sandbox.host import free_port, kept_key, make_directories, new_key, program, speaks_ssh
from models.errors import ConfigurationError

if TYPE_CHECKING:
    from types import TracebackType

HOMES = Path("/srv")
USER_PREFIX = "consign-t"
_ATTEMPTS = 5
_OWNER_ONLY, _OPEN_FOLDER = 0o700, 0o755

_CHROOTED = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {home}/host_key
PidFile none
AuthorizedKeysFile {home}/authorized_keys
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
MaxStartups 200
PrintMotd no
LogLevel ERROR
Subsystem sftp internal-sftp
Match User {user}
    ChrootDirectory {directory}
    ForceCommand internal-sftp -d /
    AllowTcpForwarding no
    X11Forwarding no
"""

_PROFTPD = """\
ServerName "sandbox"
ServerType standalone
DefaultAddress 127.0.0.1
Port {port}
UseIPv6 off
User {user}
Group {group}
ModulePath {modules}
LoadModule mod_sftp.c
ScoreboardFile {home}/scoreboard
PidFile {home}/pid
SystemLog {home}/log
TransferLog none
WtmpLog off
MaxInstances 100
AuthOrder mod_auth_file.c
AuthUserFile {home}/passwd
RequireValidShell off
RootLogin on
<IfModule mod_delay.c>
  DelayEngine off
</IfModule>
SFTPEngine on
SFTPLog none
SFTPHostKey {home}/host_key
SFTPAuthorizedUserKeys file:{home}/keys/%u
SFTPAuthMethods publickey
{more}
"""


class Server(ABC):
    """A server with one agency, for as long as the context lasts."""

    programs: tuple[str, ...]
    needs_root = False

    def __init__(self, agency: str) -> None:
        self.agency = agency
        self.host = "127.0.0.1"
        self.port = 0
        self._home = Path()
        self._root = Path()
        self._process: subprocess.Popen[bytes] | None = None
        self._host_key = ""

    @classmethod
    def missing(cls) -> str | None:
        """What this machine lacks to start it, or None."""
        if cls.needs_root and os.geteuid() != 0:
            return "only root may start it"
        lacking = [name for name in cls.programs if program(name) is None]
        return f"not installed: {', '.join(lacking)}" if lacking else None

    @property
    def host_key_line(self) -> str:
        """The host's public key, to be pinned."""
        return self._host_key

    @property
    def username(self) -> str:
        """Whom we log in as."""
        return self.agency

    def __enter__(self) -> Self:
        if lacking := self.missing():
            raise ConfigurationError(f"{type(self).__name__}: {lacking}.", fix="Run infra/setup/debian_packages.sh.")
        above = HOMES if os.geteuid() == 0 and HOMES.is_dir() else None
        self._root = Path(tempfile.mkdtemp(prefix="consign-", dir=above))
        self._root.chmod(_OPEN_FOLDER)
        self._home = self._root / "server"
        self._home.mkdir(mode=_OPEN_FOLDER)
        make_directories(self.directory(self.agency))
        try:
            self._prepare()
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None
        shutil.rmtree(self._root, ignore_errors=True)

    def directory(self, agency: str) -> Path:
        """Where the agency's `to_agency` and `from_agency` lie."""
        return self._root / agency

    def client_key(self, agency: str) -> str:
        """A new private key (OpenSSH text) that opens the agency's directory."""
        private, public = new_key()
        self.authorize(agency, public)
        return private

    def settings_for(self, agency: str, private_key_text: str) -> SftpSettings:
        """What a drop needs to reach the agency's directory."""
        del agency
        return SftpSettings(self.host, self.port, self.username, (self.host_key_line,), private_key_text)

    @abstractmethod
    def authorize(self, agency: str, public_key_line: str) -> None:
        """`public_key_line` opens the agency's directory."""

    def _prepare(self) -> None:
        """Keys and users are there."""
        self._host_key = kept_key(self._home / "host_key")

    @abstractmethod
    def _command(self) -> list[str]:
        """What to run for `self.port`, in the foreground; its configuration is written."""

    def _start(self) -> None:
        for _attempt in range(_ATTEMPTS):  # another process may take the free port first
            self.port = free_port()
            with (self._home / "started").open("ab") as log:
                self._process = subprocess.Popen(
                    self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._home
                )
            if speaks_ssh(self.host, self.port, self._process):
                return
        said = (self._home / "started").read_text(errors="replace").strip().splitlines()[-1:]
        message = f"{type(self).__name__} did not start: {said[0] if said else 'it says nothing'}."
        raise ConfigurationError(message, fix="Try its configuration by hand.")


class ProftpdHost(Server):
    """ProFTPD with mod_sftp, and its own defaults where `more` does not say otherwise."""

    programs = ("proftpd",)

    def __init__(self, agency: str, more: str = "") -> None:
        super().__init__(agency)
        self._more = more

    @classmethod
    def missing(cls) -> str | None:
        """What this machine lacks to start it, or None."""
        return super().missing() or (None if _modules() else "not installed: proftpd-mod-crypto")

    def authorize(self, agency: str, public_key_line: str) -> None:
        """`public_key_line` opens the agency's directory, alone."""
        plain, keys = self._home / "client.pub", self._home / "keys"
        plain.write_text(public_key_line + "\n")
        keys.mkdir(exist_ok=True)
        told = subprocess.run(["ssh-keygen", "-e", "-m", "RFC4716", "-f", str(plain)], check=True, capture_output=True)
        (keys / agency).write_bytes(told.stdout)

    def _prepare(self) -> None:
        super()._prepare()
        passwd = self._home / "passwd"
        user = pwd.getpwuid(os.getuid())
        passwd.touch(mode=0o600)
        passwd.write_text(
            f"{self.agency}:*:{user.pw_uid}:{user.pw_gid}::{self.directory(self.agency)}:/usr/sbin/nologin\n"
        )

    def _command(self) -> list[str]:
        user = pwd.getpwuid(os.getuid())
        config = self._home / "proftpd.conf"
        config.write_text(
            _PROFTPD.format(
                port=self.port, home=self._home, user=user.pw_name, group=_group_of(user.pw_gid), modules=_modules(),
                more=self._more,
            )
        )  # fmt: skip
        return [str(program("proftpd")), "--nodaemon", "--quiet", "--config", str(config)]


class _OwnUser(Server):
    """A server of a system user of its own."""

    needs_root = True
    shell = "/usr/sbin/nologin"

    def __init__(self, agency: str) -> None:
        super().__init__(agency)
        self._user = ""

    @property
    def username(self) -> str:
        """The system user."""
        return self._user

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if self._user:
            _remove(self._user)

    def _prepare(self) -> None:
        super()._prepare()
        _sweep()
        self._user = f"{USER_PREFIX}{os.getpid()}-{self.programs[0][:8]}"
        directory = self.directory(self.agency)
        # `*` is no password; `!`, which is useradd's own, would be a locked account, and sshd lets no key open one
        _run("useradd", "--system", "--no-create-home", "-d", str(directory), "-s", self.shell, "-p", "*", self._user)
        for owned in directory.iterdir():
            shutil.chown(owned, self._user)


class ChrootedHost(_OwnUser):
    """OpenSSH as most agencies run it: a user of its own, confined by chroot to its directory, with SFTP alone."""

    programs = ("sshd", "useradd", "userdel")

    def authorize(self, agency: str, public_key_line: str) -> None:
        """`public_key_line` opens the agency's directory, alone."""
        del agency
        file = self._home / "authorized_keys"
        file.touch(mode=0o644)
        file.write_text(public_key_line + "\n")

    def _command(self) -> list[str]:
        Path("/run/sshd").mkdir(mode=_OPEN_FOLDER, exist_ok=True)
        config = self._home / "sshd_config"
        config.write_text(
            _CHROOTED.format(
                port=self.port, home=self._home, user=self._user, directory=self.directory(self.agency)
            )
        )  # fmt: skip
        return [str(program("sshd")), "-D", "-e", "-f", str(config)]


class DropbearHost(_OwnUser):
    """Dropbear with OpenSSH's sftp-server, as small devices have it."""

    programs = ("dropbear", "dropbearkey", "useradd", "userdel")
    shell = "/bin/sh"

    @classmethod
    def missing(cls) -> str | None:
        """What this machine lacks to start it, or None."""
        there = Path("/usr/lib/sftp-server").exists()
        return super().missing() or (None if there else "not installed: openssh-sftp-server")

    def authorize(self, agency: str, public_key_line: str) -> None:
        """`public_key_line` opens the agency's directory, alone."""
        folder = self.directory(agency) / ".ssh"
        folder.mkdir(mode=_OWNER_ONLY, exist_ok=True)
        file = folder / "authorized_keys"
        file.write_text(public_key_line + "\n")
        file.chmod(0o600)
        for owned in (folder, file):
            shutil.chown(owned, self._user)

    def _prepare(self) -> None:
        super()._prepare()
        key = self._home / "dropbear_key"
        shown = _run("dropbearkey", "-t", "ed25519", "-f", str(key))
        self._host_key = next(line for line in shown.splitlines() if line.startswith("ssh-ed25519 "))
        shutil.chown(self.directory(self.agency), self._user)

    def _command(self) -> list[str]:
        at = f"{self.host}:{self.port}"
        key, pid = self._home / "dropbear_key", self._home / "pid"
        return [str(program("dropbear")), "-F", "-E", "-s", "-m", "-r", str(key), "-P", str(pid), "-p", at]


def _run(name: str, *arguments: str) -> str:
    done = subprocess.run([str(program(name)), *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        raise ConfigurationError(f"{name} failed: {done.stderr.strip()[-200:]}.", fix="See what it says.")
    return done.stdout


def _sweep() -> None:
    """Users that a killed run left behind are gone."""
    for one in pwd.getpwall():
        number = one.pw_name.removeprefix(USER_PREFIX).partition("-")[0]
        if one.pw_name.startswith(USER_PREFIX) and number.isdigit() and not Path(f"/proc/{number}").exists():
            with suppress(ConfigurationError):  # another run may be at it too
                _remove(one.pw_name)


def _remove(user: str) -> None:
    """The user is gone; its last sessions may still be ending."""
    _run("userdel", "--force", user)


def _modules() -> Path | None:
    """Where ProFTPD's modules lie, if mod_sftp is among them."""
    places = [Path("/usr/lib/proftpd"), Path("/usr/libexec/proftpd"), Path("/usr/lib64/proftpd")]
    return next((place for place in places if (place / "mod_sftp.so").exists()), None)


def _group_of(number: int) -> str:
    import grp

    return grp.getgrgid(number).gr_name
