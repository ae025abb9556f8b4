"""What an agency may be told at onboarding, and what is refused."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from infra import onboarding, outbox
from infra.sandbox.world import TERMS
from infra.store import exchange
from models.errors import ConfigurationError, ConsignError, RefusedByPolicy, UsageError
from models.lives import IllegalMove
from models.tables import Agency, AgencyContract, AuditEvent

Gateway = Any  # tests/infra/exchange/conftest.py
DAY = date(2026, 3, 1)


def terms(rate: str = "0.20") -> str:
    return TERMS.format(
        name="Q", lender="harbour", remits="gross", term_days=90, rate=rate, older="0.25", oldest="0.30", payer="P",
        reference="Q-",
    )  # fmt: skip


@pytest.mark.parametrize("code", ["", "Q", "Quayside", "a b", "-abc", "abc-", "a" * 21, "../x", "李"])
def test_a_code_is_lower_case_letters_digits_and_hyphens(gateway: Gateway, code: str) -> None:
    with pytest.raises(UsageError, match="cannot be an agency's code"):
        onboarding.add(gateway.world.desk, code, "X")
    assert gateway.rows(Agency, "agency")["agency"].tolist() == ["quayside"]


def test_an_unknown_suite_or_channel_is_named(gateway: Gateway) -> None:
    with pytest.raises(ConsignError, match="rot13"):
        onboarding.add(gateway.world.desk, "newcomer", "X", suite="rot13")
    with pytest.raises(UsageError, match="pigeon") as it:
        onboarding.add(gateway.world.desk, "newcomer", "X", channels="phone,pigeon")
    assert "phone" in it.value.fix


def test_adding_twice_changes_nothing(gateway: Gateway) -> None:
    desk = gateway.world.desk
    assert onboarding.add(desk, "newcomer", "New & Co")
    key = desk.keyring.ssh_client_public("newcomer", desk.now())
    assert not onboarding.add(desk, "newcomer", "Other name", suite="openpgp")
    names = gateway.rows(Agency, "agency", "name", "suite", "state").query("agency == 'newcomer'")
    assert names[["name", "suite", "state"]].to_numpy().tolist() == [["New & Co", "age", "prospect"]]
    assert desk.keyring.ssh_client_public("newcomer", desk.now()) == key


def test_a_prospect_without_a_drop_is_not_called_on(gateway: Gateway) -> None:
    desk = gateway.world.desk
    onboarding.add(desk, "newcomer", "New & Co")
    with desk.database.read() as connection:
        assert exchange.agencies(connection) == ["quayside"]
        row = exchange.agency(connection, "newcomer")
    with pytest.raises(ConfigurationError, match="has no drop"):
        outbox.drop_settings(desk, row)


def test_a_drop_is_sftp_with_a_pinned_key_or_a_folder(gateway: Gateway) -> None:
    desk = gateway.world.desk
    with pytest.raises(UsageError, match="kind sftp or folder"):
        onboarding.set_drop(desk, "quayside", {"kind": "ftp"})
    with pytest.raises(UsageError, match="no agency nobody"):
        onboarding.set_drop(desk, "nobody", {"kind": "folder", "root": "/"})
    onboarding.set_drop(desk, "quayside", {"kind": "sftp", "host": "h", "username": "u"})
    with pytest.raises(ConfigurationError, match="no host key is pinned"):
        outbox.drop_settings(desk, gateway.row())


def test_keys_that_are_no_keys_are_refused(gateway: Gateway) -> None:
    with pytest.raises(ConfigurationError, match="not an age X25519 recipient"):
        onboarding.trust(gateway.world.desk, "quayside", "nonsense", "nonsense")


def test_a_contract_is_never_changed_under_the_same_day(gateway: Gateway) -> None:
    desk = gateway.world.desk
    assert onboarding.contract(desk, "quayside", "harbour", terms(), DAY)
    assert not onboarding.contract(desk, "quayside", "harbour", terms(), DAY)
    with pytest.raises(RefusedByPolicy, match="already have a contract"):
        onboarding.contract(desk, "quayside", "harbour", terms("0.21"), DAY)
    with pytest.raises(ConsignError):
        onboarding.contract(desk, "quayside", "harbour", "rate = ", DAY)
    with pytest.raises(ConfigurationError, match="no lender lotus"):
        onboarding.contract(desk, "quayside", "lotus", terms(), DAY)
    with pytest.raises(UsageError, match="no agency nobody"):
        onboarding.contract(desk, "nobody", "harbour", terms(), DAY)
    assert len(gateway.rows(AgencyContract, "effective_from")) == 2


def test_an_agency_goes_only_where_its_life_leads(gateway: Gateway) -> None:
    desk = gateway.world.desk
    onboarding.add(desk, "newcomer", "New & Co")
    with pytest.raises(IllegalMove, match="agency newcomer is prospect and cannot become live"):
        onboarding.become(desk, "newcomer", "live")
    onboarding.become(desk, "quayside", "suspended")
    onboarding.become(desk, "quayside", "closed")
    with pytest.raises(IllegalMove, match="cannot become live"):
        onboarding.become(desk, "quayside", "live")
    with desk.database.read() as connection:
        assert exchange.agencies(connection) == []
    assert gateway.rows(AuditEvent, "action")["action"].tolist().count("agency.state") == 4
