"""Three weeks of placements, recalls and returns over a real sshd while every kind of key is renewed under them.

Two agencies, one of each suite; the clock is ours. Within the windows nothing is lost, doubled or refused; after them
what is old is refused with its code, and what waited goes out afterwards. The audit trail names every renewal.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import select

from connectors.drops.errors import AuthRefused, HostKeyMismatch
from flows.collect import collect
from flows.deliver import deliver
from flows.exchange import AgenciesFailed
from flows.place import place
from flows.plan import approve, draft, submit
from flows.recall import recall_placements
from flows.renewal import watch_keys
from infra import audit, breaker, credentials, hostkeys, rotation
from infra.packages import account_pseudonyms
from infra.sandbox import debtors
from infra.sandbox.host import SandboxHost
from infra.sandbox.world import Cast, World, open_world
from infra.store import bulk
from keys import vault
from keys.keyring import Keyring
from keys.sealing import open_from
from models.planning.spec import Filter, PlanSpec
from models.tables import Account, AuditEvent, Debtor, Identity, InboundFile, Placement, Transmission

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

START = date(2026, 3, 2)
DAY = timedelta(days=1)
A_DAY = 4
"""accounts placed per day"""
KEPT = 3
"""days until they are recalled"""
DAYS = 20
CAST = (
    Cast("quayside", "Quayside Recoveries", share=0.5),
    Cast("hengxin", "恒信资产", "openpgp", share=0.5),
)
SUITES = {"quayside": "age", "hengxin": "openpgp"}
CELLS = ("account_ref", "name", "id_number", "phone", "phone_alt", "email", "address", "employer", "contact_name",
         "contact_phone")  # fmt: skip
PROPOSER, APPROVER = "chen.yu", "li.wei"


@pytest.fixture
def world(tmp_path: Path, needs: Callable[[str], Path]) -> Iterator[World]:
    for program in ("sshd", "gpg"):
        needs(program)
    with open_world(
        tmp_path / "home", seed=11, start=START, cast=CAST, lenders={"harbour": "Harbour"}, engine="direct",
        delivery_attempts=1, two_people=True,
    ) as opened:  # fmt: skip
        yield opened


@dataclass
class Loop:
    """The world day by day, and what the agencies have seen of it."""

    world: World
    day: int = 0
    opened: Counter[str] = field(default_factory=Counter)
    """files that the agencies opened, by name"""

    @property
    def sshd(self) -> SandboxHost:
        assert isinstance(self.world.host, SandboxHost)
        return self.world.host

    def of(self, row: Any, *columns: str) -> pd.DataFrame:
        table = bulk.table_of(row)
        with self.world.desk.database.read() as connection:
            return bulk.read(connection, select(*(table.c[name] for name in columns)))

    def by(self, actor: str, act: Callable[..., Any], *given: Any, **named: Any) -> Any:
        self.world.desk.actor = actor
        return act(self.world.desk, *given, **named)

    def run(self) -> None:
        """One day of the exchange: accounts out, others recalled, every answer in, receipts out."""
        world, now = self.world, self.world.clock
        today = START + self.day * DAY
        now.turn(today)
        self._know(today)
        place(self._plan(today))
        due = self.of(Placement, "placement_id", "state", "placed_on")
        due = due[(due["placed_on"] <= pd.Timestamp(today - KEPT * DAY)) & (due["state"] == "acknowledged")]
        for placement_id in due["placement_id"]:
            recall_placements(str(placement_id), "request")
        for agency in world.agencies.values():
            agency.open_mail(now.now)
            agency.acknowledge(today, now.now)
            agency.give_back(today, now.now)
        collect()
        deliver()
        self._open_everything()
        watch_keys()
        self.day += 1

    def _open_everything(self) -> None:
        """The agencies open every file that came today, receipts too, with the keys that they trust today."""
        for agency in self.world.agencies.values():
            for path in sorted(agency.inbox.iterdir()):
                if path.suffix in {".age", ".pgp"} and path.name not in self.opened:
                    plain = agency.root / ".opened"
                    open_from(agency.keyring, "lender", agency.suite, path, plain, self.world.clock.now)
                    self.opened[path.name] += 1

    def _plan(self, today: date) -> int:
        desk = self.world.desk
        desk.actor = PROPOSER
        spec = PlanSpec(
            lender="harbour", name=f"{today}", seed=self.day, policy="cn-default",
            filter=Filter(portfolios=(self.day + 1,)),
        )  # fmt: skip
        drafted = draft(spec)
        assert drafted.plan_id is not None
        submit(drafted.plan_id)
        desk.actor = APPROVER
        approve(drafted.plan_id, drafted.content_sha256 or "")
        return drafted.plan_id

    def _know(self, today: date) -> None:
        """New accounts, facts clear and identities sealed, as intake leaves them."""
        desk, raw = self.world.desk, debtors.portfolio(500 + self.day, A_DAY, "harbour", today)
        key = desk.keyring.new_data_key(desk.now())
        with desk.database.write() as connection:
            first = bulk.reserve(connection, "account", A_DAY)
            bulk.reserve(connection, "debtor", A_DAY)
            ids = np.arange(first, first + A_DAY, dtype=np.int64)
            index = [f"{number:032x}" for number in ids]
            bulk.append(connection, Debtor, pd.DataFrame({
                "debtor_id": ids, "lender": "harbour", "identity_index": index, "created_at": desk.now(),
            }))  # fmt: skip
            bulk.append(connection, Account, pd.DataFrame({
                "account_id": ids, "lender": "harbour", "ref_index": index, "debtor_id": ids,
                "portfolio_id": self.day + 1, "product": raw["product"], "currency": "CNY",
                "dpd": raw["dpd"].astype("int64"), "bucket": "M3",
                "balance_minor": raw["balance"].str.replace(".", "", regex=False).astype("int64"),
                "region": raw["region"], "as_of": pd.Timestamp(today),
            }))  # fmt: skip
            cells: dict[str, Any] = {name: vault.seal_cells(key, name, ids, raw[name]) for name in CELLS}
            bulk.append(connection, Identity, pd.DataFrame({
                "account_id": ids, "portfolio_id": self.day + 1, "data_key_id": key.key_id, **cells,
            }))  # fmt: skip

    def refusals(self) -> Counter[str]:
        """Why whole files of the agencies were refused."""
        files = self.of(InboundFile, "state", "refusal_code", "rows_refused")
        assert files["rows_refused"].sum() == 0
        return Counter(files.loc[files["state"] == "refused", "refusal_code"])

    def all_came_back(self) -> None:
        """Every account was placed once, recalled and returned, under the name that it was placed with."""
        desk = self.world.desk
        placements = self.of(Placement, "account_id", "agency", "state", "placed_on", "key_generation")
        recalled = placements[placements["placed_on"] < pd.Timestamp(START + (self.day - KEPT - 1) * DAY)]
        assert len(placements) == placements["account_id"].nunique() == self.day * A_DAY
        assert set(recalled["state"]) == {"closed"}
        assert set(placements["key_generation"]) == {"G", "H"}
        for code, agency in self.world.agencies.items():
            mine = placements[placements["agency"] == code]
            named = pd.concat([
                account_pseudonyms(desk.keyring.pseudonym_key(code, str(generation)), part["account_id"])
                for generation, part in mine.groupby("key_generation")
            ])  # fmt: skip
            assert sorted(agency.book["account"]) == sorted(named)

    def sent_once(self) -> None:
        """Every file that left was published once, and opened by its agency; every number was used once."""
        sent = self.of(Transmission, "agency", "kind", "sequence", "name", "state")
        assert not sent.duplicated(["agency", "kind", "sequence"]).any()
        out = sent[sent["state"].isin(["delivered", "acknowledged"])]
        inboxes = Counter(
            path.name
            for agency in self.world.agencies.values()
            for path in agency.inbox.iterdir()
            if path.suffix in {".age", ".pgp"}
        )
        assert inboxes == self.opened == Counter(out["name"].tolist())


class Renewals:
    """What is renewed on which day of the loop; both sides' acts, by the people who do them."""

    def __init__(self, loop: Loop, safe: Path) -> None:
        self.loop, self.safe = loop, safe
        self.desk, self.sshd = loop.world.desk, loop.sshd
        for code in SUITES:  # the agencies' keyrings, as they are before anything is renewed
            shutil.copytree(loop.world.agencies[code].root / "keys", safe / code)
        self.first = {code: credentials.listed(self.desk, code)[0] for code in SUITES}
        self.host = [hostkeys.fingerprint_of(self.sshd.host_key_line)]
        self.made: dict[str, credentials.Credential] = {}
        self.ours: dict[str, rotation.Rotated] = {}
        self.days: dict[int, Callable[[], None]] = {
            2: self.pin_the_next_host_key,
            4: self.change_the_host_key,
            5: self.make_client_keys,
            6: self.install_client_keys,
            7: self.retire_client_keys,
            8: self.announce_our_keys,
            10: self.pin_the_agencies_next_keys,
            14: self.renew_what_nobody_sees,
        }

    def at(self, day: int) -> datetime:
        """The loop's day, at this hour."""
        return self.loop.world.clock.now + (day - self.loop.day) * DAY

    def pin_the_next_host_key(self) -> None:
        """The agencies told us of it; the server goes on with the old one, which ends on day 7."""
        _copy(self.sshd._home, self.safe / "old")
        line = self.sshd.change_host_key()
        _copy(self.sshd._home, self.safe / "new")
        self.bring("old")
        self.host.append(hostkeys.fingerprint_of(line))
        for code in SUITES:
            self.loop.by(PROPOSER, hostkeys.add, code, line, others_until=self.at(7))
            self.loop.by(APPROVER, hostkeys.approve, code, self.host[1])

    def change_the_host_key(self) -> None:
        self.bring("new")

    def make_client_keys(self) -> None:
        """Nobody has installed them yet, and nothing stops."""
        self.made = {code: self.loop.by(PROPOSER, credentials.rotate, code) for code in SUITES}

    def install_client_keys(self) -> None:
        for code in SUITES:
            self.sshd.authorize(code, self.made[code].line)

    def retire_client_keys(self) -> None:
        for code in SUITES:
            credentials.confirm(self.desk, code)
            credentials.retire(self.desk, code, self.first[code].generation)
            self.sshd.forget(self.first[code].line)

    def announce_our_keys(self) -> None:
        """They sign from day 12 on, the old ones end on day 16."""
        for suite in SUITES.values():
            self.ours[suite] = self.loop.by(
                PROPOSER, rotation.rotate_own, suite, begins=self.at(12), older_until=self.at(16)
            )
        assert {code for one in self.ours.values() for code in one.announced_to} == set(SUITES)

    def pin_the_agencies_next_keys(self) -> None:
        """They sign with them from day 13 on, the old ones end on day 17; and they read back our next fingerprints."""
        for code, suite in SUITES.items():
            ring = self.loop.world.agencies[code].keyring
            new = ring.new_own_keys(suite, self.loop.world.clock.now, valid_from=self.at(13)).public
            asked = self.loop.by(
                PROPOSER, rotation.trust, code, new["encrypt"], new["verify"], begins=self.at(13),
                others_until=self.at(17),
            )  # fmt: skip
            self.loop.by(
                APPROVER, rotation.approve, code, asked.request_id,
                encrypt=new["encrypt_fingerprint"], verify=new["fingerprint"],
            )  # fmt: skip
            _confirm(self.loop, code, self.ours[suite])

    def renew_what_nobody_sees(self) -> None:
        """The pseudonym keys, the audit key and the root key."""
        for code in SUITES:
            self.desk.keyring.rotate("pseudonym", code, self.desk.now())
        self.desk.keyring.rotate("audit", "audit", self.desk.now())
        self.desk.keyring.rewrap(key_file=self.desk.settings.key_file_path)

    def bring(self, which: str) -> None:
        """The server comes back with the old or the new host key."""
        self.sshd.__exit__(None, None, None)
        _copy(self.safe / which, self.sshd._home)
        self.sshd.__enter__()

    @property
    def fingerprints(self) -> set[str]:
        """Every key that somebody outside sees."""
        clients = [*self.first.values(), *self.made.values()]
        return {*self.host, *(one.fingerprint for one in clients), *(one.fingerprint for one in self.ours.values())}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_key_is_renewed_under_a_running_exchange_and_no_file_is_lost(world: World, tmp_path: Path) -> None:
    loop = Loop(world)
    renewals = Renewals(loop, tmp_path)
    for day in range(DAYS):
        renewals.days.get(day, lambda: None)()
        loop.run()
    assert loop.refusals() == Counter()
    loop.all_came_back()
    signers = {json.loads(one)["signer"] for one in loop.of(Transmission, "key_ids")["key_ids"].dropna()}
    assert len(signers) == 2 * len(SUITES)
    loop.sent_once()

    _what_is_old_is_refused(loop, renewals)
    loop.run()
    loop.sent_once()
    waiting = loop.of(Transmission, "state")["state"].isin(["prepared", "sealed", "presumed"])
    assert not waiting.any()
    _told(loop, renewals.fingerprints)


def _what_is_old_is_refused(loop: Loop, renewals: Renewals) -> None:
    """After the windows: the old host key, the old client key, files by old keys and files to old keys."""
    world, desk, safe = loop.world, loop.world.desk, renewals.safe
    before = sum(1 for agency in world.agencies.values() for _ in agency.inbox.iterdir())

    renewals.bring("old")
    with pytest.raises(AgenciesFailed) as failed:
        collect()
    assert {type(error) for error in failed.value.failed.values()} == {HostKeyMismatch}
    renewals.bring("new")
    for code in SUITES:
        breaker.reset(desk, code)

    lines = {code: credentials.listed(desk, code) for code in SUITES}
    for code in SUITES:
        loop.sshd.forget(lines[code][0].line)
        loop.sshd.authorize(code, lines[code][1].line)  # only the one that we retired
    with pytest.raises(AgenciesFailed) as failed:
        collect()
    assert {type(error) for error in failed.value.failed.values()} == {AuthRefused}
    assert before == sum(1 for agency in world.agencies.values() for _ in agency.inbox.iterdir())
    for code in SUITES:
        loop.sshd.authorize(code, lines[code][0].line)
        breaker.reset(desk, code)

    for code in SUITES:  # signed with the agency's old key, sealed to our old one
        agency = world.agencies[code]
        present = agency.keyring
        agency.keyring = Keyring.open(safe / code / "keyring.json", key_file=safe / code / "root.key")
        _complain(loop, code)
        agency.keyring = present
    collect()
    assert loop.refusals() == Counter({"key_expired": 2})
    for code in SUITES:  # signed with its present key, and still sealed to our old one
        agency = world.agencies[code]
        shutil.copytree(agency.root / "keys", safe / f"{code}-stale")
        present = agency.keyring
        agency.keyring = Keyring.open(
            safe / f"{code}-stale" / "keyring.json", key_file=safe / f"{code}-stale" / "root.key"
        )
        agency.keyring.revoke("lender", "2", world.clock.now)
        _complain(loop, code)
        agency.keyring = present
    collect()
    assert loop.refusals() == Counter({"key_expired": 4})


def _complain(loop: Loop, code: str) -> None:
    """A file about no account."""
    today = loop.world.desk.today()
    loop.world.agencies[code]._send(
        "complaint", "harbour", today, loop.world.clock.now,
        pd.DataFrame({
            "complaint_ref": [f"{code}-{loop.world.agencies[code].files_written}"], "account": None,
            "received_on": pd.Timestamp(today), "category": "conduct", "severity": "normal",
        }),
    )  # fmt: skip


def _confirm(loop: Loop, code: str, made: rotation.Rotated) -> None:
    """The agency reads our next fingerprints back."""
    today = loop.world.desk.today()
    loop.world.agencies[code]._send(
        "fingerprint", "harbour", today, loop.world.clock.now,
        pd.DataFrame({
            "whose": "lender", "use": ["sign", "encrypt"],
            "fingerprint": [made.fingerprint, made.encrypt_fingerprint],
            "compared_on": pd.Timestamp(today), "compared_by": "head of IT",
        }),
    )  # fmt: skip


def _told(loop: Loop, fingerprints: set[str]) -> None:
    """The trail verifies under the audit keys of both generations, and names who renewed what."""
    desk = loop.world.desk
    with desk.database.read() as connection:
        told = audit.verify(connection, desk.keyring.audit_publics().values())
    assert told.ok, told.why
    events = loop.of(AuditEvent, "actor", "action", "details")
    renewals = events[
        events["action"].str.startswith(("host_key.", "credential.", "key.", "agency.key", "agency.trust"))
    ]
    count = Counter(renewals["action"])
    assert {action: count[action] for action in (
        "host_key.asked", "host_key.pinned", "credential.rotated", "credential.accepted", "credential.retired",
        "key.rotated", "key.announced", "key.installed", "agency.key_asked", "agency.trusted",
    )} == {
        "host_key.asked": 2, "host_key.pinned": 4, "credential.rotated": 2, "credential.accepted": 4,
        "credential.retired": 2, "key.rotated": 2, "key.announced": 2, "key.installed": 2, "agency.key_asked": 2,
        "agency.trusted": 4,
    }  # fmt: skip
    details = " ".join(renewals["details"])
    assert {one for one in fingerprints if one not in details} == set()
    approved = renewals[
        (renewals["action"].isin(["host_key.pinned", "agency.trusted"])) & (renewals["actor"] != "sandbox")
    ]
    assert set(approved["actor"]) == {APPROVER}
    assert "PRIVATE" not in " ".join(events["details"])


def _copy(source: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    for name in ("host_key", "host_key.pub"):
        shutil.copy2(source / name, target / name)
