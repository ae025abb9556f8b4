"""An agency certifies itself, or is found wanting; and nothing of it touches a real figure."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import func, select, update

from flows import certify, plan
from flows import exchange as exchanging
from flows.intake import intake
from flows.place import place
from infra import certificates, certification, exceptions, onboarding
from infra.sandbox import debtors
from infra.sandbox.candidate import Candidate, Manners
from infra.sandbox.world import Cast, World, open_world
from infra.store import bulk, exchange
from keys import statements
from models import tables
from models.errors import ConsignError, RefusedByPolicy, UsageError
from models.planning.spec import PlanSpec
from models.tables import Account, InboundFile, Placement, Transmission
from models.tables import __all__ as every_table

START = date(2026, 1, 5)
OF_CERTIFICATION = {"certification", "certification_step", "audit_event", "audit_head", "id_counter", "lease"}


@contextmanager
def a_world(folder: Path, suite: str = "age", **settings: Any) -> Iterator[World]:
    """A lender and one agency that share a folder."""
    with open_world(
        folder / "home", seed=3, start=START, cast=(Cast("quayside", "Quayside", suite),),
        lenders={"harbour": "Harbour"}, sftp=False, engine="direct", **{"require_certificate": True, **settings},
    ) as opened:  # fmt: skip
        yield opened


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An agency that is a prospect yet."""
    with a_world(tmp_path) as opened:
        yield opened


def candidate(world: World, **manners: Any) -> Candidate:
    theirs = world.agencies["quayside"]
    return Candidate("quayside", theirs.suite, theirs.root, theirs.keyring, manners=Manners(**manners))


def states(world: World) -> dict[str, str]:
    """Every step of the run, and why it failed."""
    _, steps = certification.status(world.desk, "quayside")
    return {
        step: state if pd.isna(code) else f"{state}:{code}"
        for step, state, code in zip(steps["step"], steps["state"], steps["code"], strict=True)
    }


def begin(world: World, level: str = "money") -> None:
    """A run is open, and the telephone has been used."""
    certify.start("quayside", level)  # type: ignore[arg-type]  # one of the three
    (key, *_) = world.desk.keyring.trusted_keys("quayside", world.agencies["quayside"].suite)
    certification.hear(world.desk, "quayside", key.fingerprint, key.public["encrypt_fingerprint"])


def go(world: World, agency: Candidate, rounds: int = 9) -> str:
    """Rounds of answering and collecting until the run has ended; the state it is in then."""
    state = "open"
    while state == "open" and rounds:
        rounds -= 1
        agency.answer(world.desk.today(), world.desk.now())
        exchanging.take_in("quayside")
        state = str(certification.status(world.desk, "quayside")[0].state)
    return state


@pytest.fixture(scope="module")
def passed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An agency that has passed the level exchange: to be looked at, not changed."""
    with a_world(tmp_path_factory.mktemp("passed")) as opened:
        begin(opened, "exchange")
        assert go(opened, candidate(opened)) == "passed", states(opened)
        yield opened


def contents(world: World, *left_out: str) -> dict[str, int]:
    """A hash of every table of the house's store."""
    found = {}
    with world.desk.database.read() as connection:
        for name in every_table:
            table = bulk.table_of(getattr(tables, name))
            if table.name not in {*OF_CERTIFICATION, *left_out}:
                rows = connection.execute(select(table).order_by(*table.primary_key.columns)).all()
                found[table.name] = hash(tuple(map(str, rows)))
    return found


def standing(world: World) -> certificates.Standing:
    with world.desk.database.read() as connection:
        return certificates.standing(connection, world.desk, "quayside")


def test_an_agency_certifies_itself_to_the_highest_level(world: World) -> None:
    begin(world)
    agency = candidate(world)
    assert go(world, agency) == "passed", states(world)
    assert set(states(world).values()) == {"done"}
    agency.answer(world.desk.today(), world.desk.now())
    assert set(agency.told["state"]) == {"done"}
    with world.desk.database.read() as connection:
        assert exchange.agency(connection, "quayside").state == "certified"
    onboarding.become(world.desk, "quayside", "live")
    # and the certificate ends with the layout, the keys and its day
    assert standing(world).counts
    with world.desk.database.write() as connection:
        connection.execute(update(exchange.AGENCIES).values(layout="flat"))
    assert standing(world).state == "layout_changed"
    with world.desk.database.write() as connection:
        connection.execute(update(exchange.AGENCIES).values(layout="package"))
    world.desk.keyring.revoke("quayside", "1", world.desk.now())
    assert standing(world).state == "keys_changed"
    until = standing(world).valid_until
    assert until is not None
    world.clock.turn(until + timedelta(days=1))
    assert standing(world).state == "expired"


@pytest.mark.slow
def test_an_agency_certifies_itself_with_openpgp(tmp_path: Path, needs: Callable[[str], Path]) -> None:
    needs("gpg")
    with a_world(tmp_path, "openpgp") as world:
        begin(world, "exchange")
        assert go(world, candidate(world)) == "passed", states(world)


@pytest.mark.slow
@pytest.mark.postgres
def test_an_agency_certifies_itself_where_the_house_keeps_its_store_in_postgresql(
    tmp_path: Path, empty_postgres_url: str
) -> None:
    with a_world(tmp_path, database=empty_postgres_url) as world:
        begin(world)
        assert go(world, candidate(world)) == "passed", states(world)
        assert standing(world).counts


def test_a_certification_changes_no_figure_of_a_real_lender(tmp_path: Path) -> None:
    with a_world(tmp_path, require_certificate=False) as world:
        raw = debtors.portfolio(5, 30, "harbour", START)
        intake(debtors.write(raw, tmp_path / "p.csv"), "consign", "harbour", START)
        drafted = plan.draft(PlanSpec.parse("", {}, default_seed=1, lender="harbour", name="first"))
        assert drafted.plan_id is not None
        plan.submit(drafted.plan_id)
        world.desk.actor = "li.wei"
        plan.approve(drafted.plan_id)
        place(drafted.plan_id)
        before = contents(world)
        begin(world)
        assert go(world, candidate(world)) == "passed", states(world)
        assert contents(world) == before
        # and real files go their way beside it
        theirs = world.agencies["quayside"]
        theirs.open_mail(world.desk.now())
        theirs.acknowledge(world.desk.today(), world.desk.now())
        exchanging.take_in("quayside")
        with world.desk.database.read() as connection:
            assert bulk.read(connection, select(Placement.__table__))["state"].eq("acknowledged").all()  # type: ignore[attr-defined]


def test_test_accounts_have_pseudonyms_that_no_real_account_can_have(world: World) -> None:
    begin(world, "exchange")
    apart = world.desk.certification
    with apart.database.read() as connection:
        lowest = connection.execute(select(func.min(bulk.table_of(Account).c.account_id))).scalar_one()
    with world.desk.database.write() as connection:
        assert lowest >= certification.FIRST_ID > bulk.reserve(connection, "account", 1)


def test_an_agency_that_books_whatever_it_can_read_is_found_out(world: World) -> None:
    begin(world, "exchange")
    assert go(world, candidate(world, checks=False)) == "stopped"
    assert states(world)["fault_control_sum"] == "failed:booked"
    assert standing(world).state == "none"


def test_a_fingerprint_that_differs_on_the_agencys_side_stops_it(world: World) -> None:
    begin(world, "exchange")
    assert go(world, candidate(world, fingerprint="SHA256:" + "B" * 43)) == "stopped"
    assert states(world)["keys_read_back"] == "failed:other_key"
    with world.desk.database.read() as connection:
        assert exceptions.listed(connection)["code"].tolist() == ["key_not_confirmed"]


def test_a_fingerprint_that_differs_on_our_side_stops_it(world: World) -> None:
    certify.start("quayside", "exchange")
    sent = len(list(world.agencies["quayside"].inbox.iterdir()))
    assert certification.hear(world.desk, "quayside", "SHA256:" + "C" * 43, "SHA256:x").code == "other_key"
    exchanging.take_in("quayside")
    assert certification.status(world.desk, "quayside")[0].state == "stopped"
    assert len(list(world.agencies["quayside"].inbox.iterdir())) == sent


def test_our_fingerprints_may_be_read_back_by_telephone_instead(world: World) -> None:
    begin(world, "exchange")
    certification.confirm(world.desk, "quayside")
    assert states(world)["keys_read_back"] == "done"


def test_a_wrong_balance_is_told_and_can_be_mended(world: World) -> None:
    begin(world, "exchange")
    agency = candidate(world, balance_off_minor=1)
    go(world, agency, rounds=1)
    assert states(world)["placement_acknowledged"] == "failed:balance_differs"
    agency.answer(world.desk.today(), world.desk.now())
    told = agency.told.set_index("step").loc["placement_acknowledged"]
    assert (told["state"], told["code"]) == ("failed", "balance_differs")
    assert "登记余额" in told["fix_zh"]


def test_a_recall_that_comes_back_late_ends_the_run(world: World) -> None:
    begin(world, "work")
    agency = candidate(world, returns=False)
    go(world, agency, rounds=6)
    assert states(world)["recall_confirmed"] == "open"
    world.clock.turn(world.desk.today() + timedelta(days=30))
    exchanging.take_in("quayside")
    assert states(world)["recall_confirmed"] == "failed:late"
    assert certification.status(world.desk, "quayside")[0].state == "stopped"


def test_going_on_with_nothing_new_changes_nothing(world: World) -> None:
    begin(world, "work")
    go(world, candidate(world), rounds=2)
    apart = world.desk.certification

    def everything() -> list[Any]:
        with apart.database.read() as connection, world.desk.database.read() as ours:
            return [
                connection.execute(select(Transmission.__table__)).all(),  # type: ignore[attr-defined]
                ours.execute(select(certificates.STEPS)).all(),
            ]

    before = everything()
    exchanging.take_in("quayside")
    exchanging.take_in("quayside")
    assert everything() == before


def test_a_fault_in_a_certification_holds_up_no_real_file(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(world, "exchange")
    theirs = world.agencies["quayside"]
    for ending in (".sig", ""):
        (theirs.outbox / f"harbour.quayside.return.20260105.000001.zip.age{ending}").write_bytes(b"no file of ours")
    monkeypatch.setattr(certification, "_settled", lambda *_: (_ for _ in ()).throw(KeyError))
    with pytest.raises(KeyError):
        exchanging.take_in("quayside")
    assert [path.name for path in theirs.inbox.glob("harbour.quayside.receipt.*.age")]


def test_a_run_that_was_killed_while_it_began_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for broken in ("furnish", "place_test", "go_on"):
        with monkeypatch.context() as patch:
            patch.setattr(certification, broken, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                certify.start("quayside", "exchange")
        exchanging.take_in("quayside")
    assert certify.start("quayside", "exchange") == 1
    with world.desk.certification.database.read() as connection:
        sent = connection.execute(select(Transmission.kind)).scalars().all()  # type: ignore[call-overload]
        assert sorted(set(sent)) == ["certification", "placement"]
        assert sent.count("placement") == 1


@pytest.mark.slow
def test_a_second_certification_begins_anew(world: World) -> None:
    begin(world, "exchange")
    agency = candidate(world)
    assert go(world, agency) == "passed", states(world)
    begin(world, "exchange")
    agency._did -= {"fingerprint", "book", "err"}  # it goes through everything again
    assert set(states(world).values()) >= {"open"}
    assert go(world, agency) == "passed", states(world)


def test_only_an_agency_without_an_open_run_may_begin_another_level(world: World) -> None:
    begin(world, "exchange")
    with pytest.raises(UsageError, match="on its way"):
        certify.start("quayside", "work")
    certification.give_up(world.desk, "quayside")
    certify.start("quayside", "work")


def test_an_agency_that_never_began_may_not_name_the_test_lender(world: World) -> None:
    agency = candidate(world)
    agency.answer(world.desk.today(), world.desk.now())
    exchanging.take_in("quayside")
    with world.desk.database.read() as connection:
        came = bulk.read(connection, select(InboundFile.__table__))  # type: ignore[attr-defined]
    assert came["refusal_code"].tolist() == ["unknown_lender"]


# -- what a certificate is worth ---------------------------------------------------------------------------------------


def test_nobody_becomes_live_without_a_certificate_of_the_level_its_contract_needs(passed: World) -> None:
    assert standing(passed).state == "too_low"
    with pytest.raises(certificates.NotCertified, match="of level exchange, and its contract needs level money"):
        onboarding.become(passed.desk, "quayside", "certified")


def test_nobody_becomes_certified_without_any_certificate(world: World) -> None:
    with pytest.raises(certificates.NotCertified, match="it has no certificate"):
        onboarding.become(world.desk, "quayside", "certified")


def test_an_agency_that_debtors_never_pay_to_needs_no_level_for_money(world: World) -> None:
    contracts = certificates.CONTRACTS
    with world.desk.database.write() as connection:
        terms = connection.execute(select(contracts.c.terms)).scalar_one()
        connection.execute(update(contracts).values(terms=f"collects = false\n{terms}"))
        assert certificates.needed_level(connection, "quayside") == "work"


def test_a_waiver_takes_two_people_and_a_reason_and_ends(world: World) -> None:
    with pytest.raises(UsageError, match="reason"):
        certificates.ask_waiver(world.desk, "quayside", "money", " ")
    certificates.ask_waiver(world.desk, "quayside", "money", "their server moves this month")
    with pytest.raises(RefusedByPolicy, match="cannot grant"):
        certificates.grant_waiver(world.desk, "quayside")
    assert standing(world).state == "none"
    world.desk.actor = "li.wei"
    until = certificates.grant_waiver(world.desk, "quayside")
    onboarding.become(world.desk, "quayside", "certified")
    onboarding.become(world.desk, "quayside", "live")
    world.clock.turn(until + timedelta(days=1))
    assert not standing(world).counts


def test_anybody_can_check_a_certificate_with_openssh_alone(
    passed: World, tmp_path: Path, needs: Callable[[str], Path]
) -> None:
    with passed.desk.database.read() as connection:
        run = certificates.certificate(connection, "quayside")
    signer = statements.signer(passed.desk.keyring, passed.desk.now())
    assert statements.signed_by(run.certificate, run.signature) == signer.fingerprint
    assert statements.signed_by(run.certificate.replace("exchange", "money"), run.signature) is None
    (tmp_path / "signers").write_text(signer.public["allowed_signers"] + "\n")
    (tmp_path / "sig").write_text(run.signature)
    checked = subprocess.run(
        [needs("ssh-keygen"), "-Y", "verify", "-f", "signers", "-I", "consign", "-n", "consign", "-s", "sig"],
        input=run.certificate.encode(), cwd=tmp_path, check=False, capture_output=True,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stderr
    told = json.loads(run.certificate)
    assert told["levels"] == ["exchange"]
    assert set(told["steps"]) == set(states(passed))
    assert told["certificate"] in certificates.page(run)


# -- the two kinds outside of certifications ---------------------------------------------------------------------------

Gateway = Any  # tests/infra/exchange/conftest.py


def test_a_file_of_ours_that_an_agency_cannot_take_becomes_somebodys_to_mend(gateway: Gateway) -> None:
    gateway.place()
    name = gateway.rows(Transmission, "name")["name"].iloc[0]
    lines = [
        {"file": name, "code": "control_sum", "at_line": ""},
        {"file": name, "code": "not_currency", "at_line": "2"},
        {"file": "harbour.quayside.update.20260101.000009.zip.age", "code": "hash", "at_line": ""},
    ]
    gateway.send("refusal", pd.DataFrame(lines))
    assert gateway.collect().lines_refused == 1
    receipt = gateway.receipts()[-1].dropna(subset=["line"])
    assert receipt[["line", "column", "code"]].to_numpy().tolist() == [["3", "file", "unknown_file"]]
    with gateway.world.desk.database.read() as connection:
        (opened,) = exceptions.listed(connection).to_dict("records")
    assert (opened["code"], opened["subject"]) == ("refused_by_agency", f"transmission:{name}")
    assert json.loads(opened["detail"]) == {"codes": ["control_sum", "not_currency"], "lines": 2}


def test_a_key_that_the_agency_sees_otherwise_raises_the_alarm(gateway: Gateway) -> None:
    (key, *_) = gateway.world.desk.keyring.own_keys("age")
    row = {"whose": "lender", "compared_on": "2026-01-09", "compared_by": "operations"}
    good = [row | {"use": "sign", "fingerprint": key.fingerprint},
            row | {"use": "encrypt", "fingerprint": key.public["encrypt_fingerprint"]}]  # fmt: skip
    gateway.send("fingerprint", pd.DataFrame(good))
    assert gateway.collect().lines_refused == 0
    gateway.send("fingerprint", pd.DataFrame([good[0], good[1] | {"fingerprint": "SHA256:" + "A" * 43}]))
    assert gateway.collect().lines_refused == 1
    with gateway.world.desk.database.read() as connection:
        assert exceptions.listed(connection)["code"].tolist() == ["key_not_confirmed"]


def test_an_agency_cannot_begin_before_it_has_said_hello(world: World) -> None:
    onboarding.add(world.desk, "lantern", "Lantern")
    with pytest.raises(ConsignError, match="has no drop"):
        certify.start("lantern", "exchange")
