"""Whom we talk to, and as whom: host keys are pinned, our key alone must open, and a wrong one is final."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from connectors.drops import Pushed, SftpSettings, open_drop
from connectors.drops.errors import AuthRefused, DropUnreachable, HostKeyMismatch
from infra.sandbox.host import SandboxHost, free_port, new_key
from infra.sandbox.paramiko_host import ParamikoHost
from models.errors import ConfigurationError, ConsignError

if TYPE_CHECKING:
    from pathlib import Path

    from infra.sandbox.paramiko_host import Faults
    from tests.conftest import Needs
    from tests.connectors.drops.conftest import Make, Place


def sftp(place: Place) -> SftpSettings:
    assert isinstance(place.settings, SftpSettings)
    return place.settings


def refusal(settings: SftpSettings) -> ConsignError:
    with pytest.raises(ConsignError) as refused, open_drop(settings):
        pass
    return refused.value


def test_a_server_with_another_key_is_refused_for_good(openssh: Place) -> None:
    error = refusal(replace(sftp(openssh), host_keys=(new_key()[1],)))
    assert isinstance(error, HostKeyMismatch)
    assert not error.retryable
    assert error.exit_code == 5
    assert error.fix


def test_a_host_key_that_changes_is_refused_for_good(paramiko_host: ParamikoHost, misbehaving: Place) -> None:
    with misbehaving.drop():
        pass
    new = paramiko_host.change_host_key()
    assert isinstance(refusal(sftp(misbehaving)), HostKeyMismatch)
    both = replace(sftp(misbehaving), host_keys=(*sftp(misbehaving).host_keys, new))
    with open_drop(both):
        pass


def test_a_server_without_a_key_of_a_pinned_type_is_refused_for_good(openssh: Place) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    assert isinstance(refusal(replace(sftp(openssh), host_keys=(key.decode(),))), HostKeyMismatch)


@pytest.mark.parametrize("lines", [(), ("",), ("ssh-ed25519",), ("ssh-ed25519 !!!!",), ("hello world",)])
def test_without_a_readable_pinned_key_nothing_is_opened(openssh: Place, lines: tuple[str, ...]) -> None:
    assert isinstance(refusal(replace(sftp(openssh), host_keys=lines)), ConfigurationError)


def test_a_key_that_is_not_registered_is_refused_for_good(openssh: Place) -> None:
    error = refusal(replace(sftp(openssh), private_key=new_key()[0]))
    assert isinstance(error, AuthRefused)
    assert not error.retryable


def test_a_server_that_wants_more_than_our_key_has_not_let_us_in(misbehaving: Place, faults: Faults) -> None:
    faults.partial_auth = True
    error = refusal(sftp(misbehaving))
    assert isinstance(error, AuthRefused)
    assert "password" in str(error)


def test_a_key_that_cannot_be_read_is_a_matter_of_configuration_and_stays_secret(openssh: Place) -> None:
    error = refusal(replace(sftp(openssh), private_key="-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END"))
    assert isinstance(error, ConfigurationError)
    assert "c2VjcmV0" not in str(error)
    assert "BEGIN" not in repr(sftp(openssh))


def test_a_server_that_is_not_there_may_be_tried_again(openssh: Place) -> None:
    error = refusal(replace(sftp(openssh), port=free_port()))
    assert isinstance(error, DropUnreachable)
    assert error.retryable


def test_each_agency_reaches_its_own_directory(tmp_path: Path, needs: Needs, transmission: Make) -> None:
    needs("sshd")
    with SandboxHost(tmp_path / "two", ["alpha", "beta"]) as host:
        for agency in ("alpha", "beta"):
            sent = transmission(f"for-{agency}.zip")
            with open_drop(host.settings_for(agency, host.client_key(agency))) as drop:
                assert sent.push(drop) is Pushed.SENT
            assert [path.name for path in (host.directory(agency) / "to_agency").iterdir()] == [sent.name]


@pytest.mark.parametrize("kind", [SandboxHost, ParamikoHost])
def test_a_sandbox_host_comes_back_with_the_address_and_key_that_were_pinned(
    tmp_path: Path, needs: Needs, kind: type[SandboxHost | ParamikoHost]
) -> None:
    needs("sshd")
    with kind(tmp_path / "kept", ["alpha"]) as host:
        settings = host.settings_for("alpha", host.client_key("alpha"))
    with kind(tmp_path / "kept", ["alpha"], settings.port) as host:
        again = host.settings_for("alpha", host.client_key("alpha"))
        assert (again.port, again.host_keys) == (settings.port, settings.host_keys)
        with open_drop(again):
            pass
