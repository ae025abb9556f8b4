"""Several client keys, newest first: a server lets us in with the one it knows, and its patience is not tried."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from connectors.drops import SftpSettings, open_drop
from connectors.drops.errors import AuthRefused, DropUnreachable, HostKeyMismatch
from connectors.drops.hostkeys import read, shown
from connectors.drops.ssh import private_key
from infra.sandbox import host as hosting
from infra.sandbox.host import SandboxHost, new_key
from models.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

AGENCY = "alpha"


@pytest.fixture
def server(tmp_path: Path, needs: Callable[[str], Path]) -> Iterator[SandboxHost]:
    """OpenSSH with one agency."""
    needs("sshd")
    with SandboxHost(tmp_path / "openssh", [AGENCY]) as host:
        yield host


def reach(server: SandboxHost, *keys: str) -> SftpSettings:
    """With these private keys, newest first."""
    settings = replace(server.settings_for(AGENCY, keys[0]), older_keys=keys[1:])
    return replace(settings, connect_timeout=10.0, stall_timeout=10.0)


def fingerprint(private: str) -> str:
    return str(private_key(private).fingerprint)


def test_an_older_key_lets_us_in_until_the_newer_is_known_and_it_is_said_which(server: SandboxHost) -> None:
    old = server.client_key(AGENCY)
    newer, line = new_key()
    with open_drop(reach(server, newer, old)) as drop:
        assert drop.login is not None
        assert (drop.login.accepted, drop.login.refused) == (fingerprint(old), (fingerprint(newer),))
        assert drop.login.host_key == read(server.host_key_line).fingerprint
    server.authorize(AGENCY, line)
    with open_drop(reach(server, newer, old)) as drop:
        assert drop.login is not None
        assert (drop.login.accepted, drop.login.refused) == (fingerprint(newer), ())


@pytest.mark.parametrize("tries", [1, 2])
def test_a_server_that_hangs_up_at_the_first_refused_key_is_asked_anew_with_the_next(
    tries: int, tmp_path: Path, needs: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("sshd")
    monkeypatch.setattr(hosting, "_CONFIG", f"{hosting._CONFIG}MaxAuthTries {tries}\n")
    with SandboxHost(tmp_path / "openssh", [AGENCY]) as host:
        old = host.client_key(AGENCY)
        newer, newest = new_key()[0], new_key()[0]
        with open_drop(reach(host, newest, newer, old)) as drop:
            assert drop.login is not None
            assert drop.login.accepted == fingerprint(old)
            assert drop.login.refused == (fingerprint(newest), fingerprint(newer))
            drop.look()


def test_more_than_three_keys_are_not_offered(server: SandboxHost) -> None:
    known = server.client_key(AGENCY)
    strange = [new_key()[0] for _ in range(3)]
    with pytest.raises(AuthRefused, match="all 3 keys of ours") as refusal, open_drop(reach(server, *strange, known)):
        pass
    assert fingerprint(strange[0]) in str(refusal.value)
    assert "PRIVATE" not in str(refusal.value)


def test_what_a_server_shows_is_seen_without_a_log_in(server: SandboxHost) -> None:
    (key,) = shown(server.host, server.port, 10.0)
    assert (key.line, key.type) == (read(server.host_key_line).line, "ssh-ed25519")
    server.change_host_key()
    (other,) = shown(server.host, server.port, 10.0)
    assert other.fingerprint != key.fingerprint
    with (
        pytest.raises(HostKeyMismatch),
        open_drop(replace(reach(server, server.client_key(AGENCY)), host_keys=(key.line,))),
    ):
        pass


def test_nobody_there_and_no_key_are_told_apart(server: SandboxHost) -> None:
    with pytest.raises(DropUnreachable, match="did not show"):
        shown(server.host, hosting.free_port(), 2.0)
    for line in ("", "ssh-ed25519", "ssh-dss AAAAB3NzaC1kc3M=", "rubbish rubbish"):
        with pytest.raises(ConfigurationError):
            read(line)
