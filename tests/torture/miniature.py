"""A world in miniature: one lender, one agency, its server, and the whole loop; built once, put back for every case.

Nothing is simulated but the agency's work: store, keys, seals, drops and verbs are the product's. What the agency got
and what it sent is kept by the agency itself, so that it can be held against what the store says (`count`).
"""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from sqlalchemy import select

from flows.collect import collect
from flows.deliver import deliver
from flows.place import place, prepare
from flows.plan import draft
from flows.recall import recall_placements
from infra import audit, onboarding, outbox
from infra.sandbox import debtors, world
from infra.sandbox.agency import SandboxAgency, Traits
from infra.sandbox.world import ZONE, Cast, Clock
from infra.store import bulk, exchange, plans, schema
from infra.wiring import Desk, seated
from keys import vault
from keys.keyring import Keyring
from models.kinds import FILE_NAME
from models.planning.spec import Filter, PlanSpec
from models.tables import (
    Account,
    Activity,
    Debtor,
    Identity,
    InboundFile,
    InvoiceLine,
    Placement,
    Recall,
    RemittanceLine,
    Transmission,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infra.sandbox.host import Host

START: Final = date(2026, 1, 1)
CODE: Final = "quayside"
LENDER: Final = "harbour"
ROWS: Final = 12
IDENTITY: Final = ("account_ref", "name", "id_number", "phone", "phone_alt", "email", "address", "employer",
                   "contact_name", "contact_phone")  # fmt: skip
QUICK: Final = {
    "engine": "direct", "agencies_at_once": 1, "connect_timeout": 8.0, "stall_timeout": 5.0,
    "delivery_first_wait": 0.01, "delivery_longest_wait": 0.02, "busy_wait": 20.0, "database_wait": 3.0,
}  # fmt: skip
"""No wait is longer than it must be; a case that waits for a limit sets it lower still."""
ANSWERED: Final = ("placement", "recall")


class Keeping(SandboxAgency):
    """The sandbox's agency, which takes every file away at once, keeps every copy, and remembers what it sent."""

    @property
    def inbox(self) -> Path:
        """Where it reads: the first copy of each file that it took."""
        return self.root / "opened"

    @property
    def drop(self) -> Path:
        """Where the lender's files appear."""
        return self.root / "to_agency"

    @property
    def taken(self) -> Path:
        """Every copy of every file that it ever took."""
        return self.root / "taken"

    def take(self) -> int:
        """Everything that stands under a final name is taken away; how many files that were."""
        for folder in (self.inbox, self.taken):
            folder.mkdir(exist_ok=True)
        names = sorted(path.name for path in self.drop.iterdir() if FILE_NAME.fullmatch(path.name))
        for name in names:
            number = len(list(self.taken.iterdir()))
            kept = self.taken / f"{number:04}.{name}"
            signature = self.drop / f"{name}.sig"
            if not signature.exists() and not (self.inbox / signature.name).exists():
                message = f"{name} stands there without its signature"
                raise AssertionError(message)
            shutil.move(self.drop / name, kept)
            if signature.exists():
                shutil.move(signature, self.inbox / signature.name)
            if not (self.inbox / name).exists():
                shutil.copyfile(kept, self.inbox / name)
        return len(names)

    def open_mail(self, now: datetime) -> list[str]:
        """Take what is there, then open it."""
        self.take()
        return super().open_mail(now)

    def _send(self, kind: str, lender: str, day: date, now: datetime, frame: pd.DataFrame) -> str | None:
        name = super()._send(kind, lender, day, now, frame)
        if name is not None:
            self.sent.append((kind, name, frame.reset_index(drop=True)))
        return name

    @property
    def sent(self) -> list[tuple[str, str, pd.DataFrame]]:
        """Kind, name and lines of every file that it left for the lender."""
        kept: list[tuple[str, str, pd.DataFrame]] = self.__dict__.setdefault("_sent", [])
        return kept


@dataclass
class Miniature:
    """An open world: our desk, the agency, and the clock."""

    desk: Desk
    clock: Clock
    agency: Keeping
    plans: list[int]

    @property
    def reach(self) -> dict[str, Any]:
        """How the agency's server is reached, as its row says."""
        with self.desk.database.read() as connection:
            stated: dict[str, Any] = json.loads(exchange.agency(connection, CODE).drop)
        return stated

    def reach_by(self, **changes: Any) -> None:
        """It is reached otherwise from now on."""
        onboarding.set_drop(self.desk, CODE, self.reach | changes)


@dataclass(frozen=True)
class Stage:
    """One verb of the loop: the day, what the agency does before it, and the verb."""

    name: str
    day: date
    before: Callable[[Miniature], None]
    verb: Callable[[Miniature], object]


def _nothing(_: Miniature) -> None:
    pass


def _works(at: Miniature) -> None:
    day, now = at.clock.now.date(), at.clock.now
    at.agency.open_mail(now)
    at.agency.acknowledge(day, now)
    at.agency.work(0, day, now)


def _returns(at: Miniature) -> None:
    at.agency.open_mail(at.clock.now)
    at.agency.give_back(at.clock.now.date(), at.clock.now)


def _again(at: Miniature) -> object:
    prepare(at.plans[1])
    return deliver()


STAGES: Final = (
    Stage("place", date(2026, 1, 5), _nothing, lambda at: place(at.plans[0])),
    Stage("collect", date(2026, 1, 8), _works, lambda _: collect()),
    Stage("recall", date(2026, 1, 9), _nothing, lambda _: recall_placements("1,2,3", "request")),
    Stage("return", date(2026, 1, 12), _returns, lambda _: collect()),
    Stage("deliver", date(2026, 1, 13), _nothing, _again),
)
BY_NAME: Final = {stage.name: stage for stage in STAGES}


def after(stage: str) -> tuple[Stage, ...]:
    """The stages that follow."""
    return STAGES[[one.name for one in STAGES].index(stage) + 1 :]


# -- building, keeping, putting back -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cluster:
    """A PostgreSQL server's databases of one lane: one is lived in, one is kept per stage."""

    admin: str
    """URL of a database from which others are made"""
    lane: str

    @property
    def url(self) -> str:
        """Of the database that is lived in."""
        return f"{self.admin.rpartition('/')[0]}/{self.lane}_live"

    def make(self) -> None:
        """It is there, and empty."""
        self._run(f"CREATE DATABASE {self.lane}_live")

    def keep(self, stage: str) -> None:
        """A copy of it is kept."""
        self._run(f"CREATE DATABASE {self.lane}_{stage} TEMPLATE {self.lane}_live")

    def put_back(self, stage: str) -> None:
        """It is as the copy is, whoever was connected."""
        self._run(f"DROP DATABASE IF EXISTS {self.lane}_live WITH (FORCE)")
        self._run(f"CREATE DATABASE {self.lane}_live TEMPLATE {self.lane}_{stage}")

    def _run(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(self.admin.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[arg-type, unused-ignore]  # of names of our own


@dataclass(frozen=True)
class Ground:
    """Where one lane's world lies: `home` is lived in, `kept` holds a copy per stage."""

    home: Path
    kept: Path
    rows: int = ROWS
    """accounts of each plan"""
    plans: int = 2
    cluster: Cluster | None = None
    """where the store is; None: SQLite in the home"""

    @property
    def settings(self) -> dict[str, Any]:
        """What every desk of this world is set to."""
        return {**QUICK, "database": self.cluster.url if self.cluster else ""}

    def build(self, host: Host | None) -> None:
        """The world is built, and a copy kept of how it stands before each stage's verb.

        host: None where both sides reach a folder; then only the beginning is kept.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        clock = Clock(datetime.combine(START, datetime.min.time(), tzinfo=ZONE).astimezone(UTC))
        if self.cluster is not None:
            self.cluster.make()
        desk = Desk(world.settings_of(self.home, **self.settings), clock=clock, actor="sandbox")
        schema.ensure(desk.database)
        world._make_keyring(desk, {"age"})
        with seated(desk):
            world._add_lenders(desk, {LENDER: "Harbour"})
            cast = Cast(CODE, "Quayside Recoveries", share=1.0, traits=Traits(skill=4, complaints=0.0))
            grown = world._onboard(desk, host, cast, {LENDER: "Harbour"}, 7, 90)
            agency = Keeping(
                grown.code, grown.lender_key_name, grown.suite, grown.root, grown.keyring, grown.seed, grown.traits,
                grown.contracts,
            )  # fmt: skip
            at = Miniature(
                desk, clock, agency, [_approved(desk, number + 1, self.rows) for number in range(self.plans)]
            )
            for stage in STAGES if host is not None else STAGES[:1]:
                clock.turn(stage.day)
                stage.before(at)
                self._keep(at, stage.name)
                stage.verb(at)
            desk.database.close()

    def _keep(self, at: Miniature, stage: str) -> None:
        at.desk.database.close()
        if self.cluster is not None:
            self.cluster.keep(stage)
        kept = self.kept / stage
        shutil.copytree(self.home, kept, ignore=shutil.ignore_patterns(".sshd"))
        keyring, at.agency.keyring = at.agency.keyring, None  # type: ignore[assignment]  # opened anew from its file
        (kept / "agency.pickle").write_bytes(pickle.dumps((at.agency, at.clock.now, at.plans)))
        at.agency.keyring = keyring

    def put_back(self, stage: str) -> None:
        """The home is as it was before that stage's verb; the server's own folder stays."""
        if self.cluster is not None:
            self.cluster.put_back(stage)
        for path in self.home.iterdir():
            if path.name != "agencies":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.rmtree(self.home / "agencies" / CODE)
        shutil.copytree(self.kept / stage, self.home, dirs_exist_ok=True)

    @contextmanager
    def open(self, clock: Callable[[], datetime] | None = None, **settings: Any) -> Iterator[Miniature]:
        """The world as it stands in `home`, its desk in use; what the agency learnt in the block is kept."""
        agency, now, made = pickle.loads((self.home / "agency.pickle").read_bytes())  # noqa: S301 - our own
        home = self.home / "agencies" / CODE
        agency.keyring = Keyring.open(home / "keys" / "keyring.json", key_file=home / "keys" / "root.key")
        turning = Clock(now)
        desk = Desk(
            world.settings_of(self.home, **{**self.settings, **settings}), clock=clock or turning, actor="sandbox"
        )
        at = Miniature(desk, turning, agency, made)
        with seated(desk):
            try:
                yield at
            finally:
                desk.database.close()

    def remember(self, at: Miniature) -> None:
        """What the agency knows and what time it is outlives this process."""
        keyring, at.agency.keyring = at.agency.keyring, None  # type: ignore[assignment]  # as above
        (self.home / "agency.pickle").write_bytes(pickle.dumps((at.agency, at.clock.now, at.plans)))
        at.agency.keyring = keyring


def _approved(desk: Desk, number: int, rows: int) -> int:
    """So many new accounts, and a plan over them that a second person approved."""
    _know(desk, debtors.portfolio(100 + number, rows, LENDER, START), number)
    spec = PlanSpec(
        lender=LENDER,
        name=f"plan {number}",
        seed=number,
        policy="cn-default",
        filter=Filter(portfolios=(number,)),
        expires_after_days=30,
    )
    plan_id = draft(spec).plan_id
    assert plan_id is not None
    with desk.database.write() as connection:
        plans.submit(connection, plan_id, "chen.yu", desk.now())
        plans.approve(connection, plan_id, "li.wei", desk.now())
    return plan_id


def _know(desk: Desk, raw: pd.DataFrame, portfolio_id: int) -> None:
    """Accounts and sealed identities, as intake leaves them: every account a debtor of its own."""
    key = desk.keyring.new_data_key(desk.now())
    with desk.database.write() as connection:
        first = bulk.reserve(connection, "account", len(raw))
        bulk.reserve(connection, "debtor", len(raw))
        ids = np.arange(first, first + len(raw), dtype=np.int64)
        index = [f"{number:032x}" for number in ids]
        cells: dict[str, Any] = {name: vault.seal_cells(key, name, ids, raw[name]) for name in IDENTITY}
        bulk.append(connection, Debtor, pd.DataFrame({
            "debtor_id": ids, "lender": LENDER, "identity_index": index, "created_at": desk.now(),
        }))  # fmt: skip
        bulk.append(connection, Account, pd.DataFrame({
            "account_id": ids, "lender": LENDER, "ref_index": index, "debtor_id": ids, "portfolio_id": portfolio_id,
            "product": raw["product"], "currency": "CNY", "dpd": raw["dpd"].astype("int64"), "bucket": "M1",
            "balance_minor": raw["balance"].str.replace(".", "", regex=False).astype("int64"), "region": raw["region"],
            "as_of": pd.Timestamp(START),
        }))  # fmt: skip
        bulk.append(connection, Identity, pd.DataFrame({
            "account_id": ids, "portfolio_id": portfolio_id, "data_key_id": key.key_id, **cells,
        }))  # fmt: skip


# -- counting ----------------------------------------------------------------------------------------------------------


@dataclass
class Count:
    """What became of every file and every line. All but `files` and `lines` must be nothing."""

    files: int = 0
    files_lost: int = 0
    files_doubled: int = 0
    lines: int = 0
    lines_lost: int = 0
    lines_doubled: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Nothing is lost, doubled or otherwise wrong."""
        return not (self.files_lost or self.files_doubled or self.lines_lost or self.lines_doubled or self.problems)

    def as_json(self) -> dict[str, Any]:
        """As a process hands it to another."""
        return asdict(self)


def count(at: Miniature) -> Count:
    """Every file and line of both sides, held against each other, byte for byte and line for line."""
    at.agency.take()
    told = Count()
    _count_outbound(at, told)
    _count_inbound(at, told)
    _count_lines(at, told)
    _look_around(at, told)
    return told


def _count_outbound(at: Miniature, told: Count) -> None:
    """What the agency took, against what the store says was sealed."""
    copies: dict[str, list[str]] = {}
    for path in sorted(at.agency.taken.iterdir()):
        copies.setdefault(path.name.split(".", 1)[1], []).append(hashlib.sha256(path.read_bytes()).hexdigest())
    for row in rows(at, Transmission):
        came = copies.pop(row.name, [])
        told.files += 1
        told.files_lost += row.sealed_sha256 not in came
        told.files_doubled += max(0, len(came) - 1)
        if any(sha256 != row.sealed_sha256 for sha256 in came):
            told.problems.append(f"{row.name} has other bytes at the agency than were sealed")
        if row.state not in {"delivered", "presumed", "acknowledged"}:
            told.problems.append(f"{row.name} is {row.state}")
    told.files_doubled += len(copies)  # nobody knows of sending these
    told.problems += [f"{name} is at the agency, and in no row" for name in copies]


def _count_inbound(at: Miniature, told: Count) -> None:
    """What the agency left, against the files that were accepted."""
    accepted = Counter(row.name for row in rows(at, InboundFile) if row.state == "accepted")
    sent = Counter(name for _, name, _ in at.agency.sent)
    told.files += sum(sent.values())
    told.files_lost += sum((sent - accepted).values())
    told.files_doubled += sum((accepted - sent).values())
    told.problems += [
        f"{row.name} is {row.state} ({row.refusal_code})" for row in rows(at, InboundFile) if row.state != "accepted"
    ]
    receipts = [row for row in rows(at, Transmission) if row.kind == "receipt"]
    if len(receipts) != len(rows(at, InboundFile)):
        told.problems.append(f"{len(receipts)} receipts for {len(rows(at, InboundFile))} files")


def counted_so_far(at: Miniature) -> list[str]:
    """What is wrong already, while files and lines may still be under way."""
    told = Count()
    _count_lines(at, told)
    found = [f"{told.lines_doubled} lines are counted twice"] if told.lines_doubled else []
    known = {row.name: row for row in rows(at, Transmission)}
    copies: Counter[str] = Counter()
    there = [*at.agency.taken.iterdir()] if at.agency.taken.exists() else []
    for path in [*there, *(path for path in at.agency.drop.iterdir() if FILE_NAME.fullmatch(path.name))]:
        name = path.name if path.parent == at.agency.drop else path.name.split(".", 1)[1]
        copies[name] += 1
        if name not in known or hashlib.sha256(path.read_bytes()).hexdigest() != known[name].sealed_sha256:
            found.append(f"{name} is at the agency, and is not what was sealed")
    found += [f"{name} is at the agency {number} times" for name, number in copies.items() if number > 1]
    accepted = Counter(row.name for row in rows(at, InboundFile) if row.state == "accepted")
    found += [f"{name} was accepted {number} times" for name, number in accepted.items() if number > 1]
    return found + _unsound(at)


def _count_lines(at: Miniature, told: Count) -> None:
    """Every line of the agency's files, against the effect that it should have had, once."""
    lines: dict[str, pd.DataFrame] = {}
    for kind, _, frame in at.agency.sent:
        lines[kind] = pd.concat([lines[kind], frame]) if kind in lines else frame
    placements = rows(at, Placement)
    here = {
        "acknowledgement": Counter(row.booked_minor for row in placements if row.acknowledged_at is not None),
        "activity": Counter((_instant(row.at), row.outcome, row.collector_ref) for row in rows(at, Activity)),
        "remittance": Counter((row.txn_ref, row.gross_minor) for row in rows(at, RemittanceLine)),
        "invoice": Counter((row.txn_ref, row.commission_minor) for row in rows(at, InvoiceLine)),
        "return": Counter("confirmed" for row in rows(at, Recall) if row.confirmed_on is not None),
    }
    keys: dict[str, Callable[[pd.DataFrame], Any]] = {
        "acknowledgement": lambda frame: frame["booked_balance_minor"].astype(int),
        "activity": lambda frame: zip(
            map(_instant, pd.to_datetime(frame["at"], utc=True)), frame["outcome"], frame["collector_ref"], strict=True
        ),
        "remittance": lambda frame: zip(frame["agency_txn_id"], frame["gross_minor"].astype(int), strict=True),
        "invoice": lambda frame: zip(frame["agency_txn_id"], frame["commission_minor"].astype(int), strict=True),
        "return": lambda frame: ["confirmed"] * len(frame),
    }
    for kind, key in keys.items():
        sent = Counter(key(lines[kind])) if kind in lines else Counter()
        told.lines += sum(sent.values())
        told.lines_lost += sum((sent - here[kind]).values())
        told.lines_doubled += sum((here[kind] - sent).values())


def _look_around(at: Miniature, told: Count) -> None:
    """What may not be left lying about, and all that must be sound."""
    found = told.problems
    found += _unsound(at)
    outbox.sweep(at.desk, older_than_seconds=0)
    if left := [path.name for path in at.desk.folder("scratch").iterdir()]:
        found.append(f"{len(left)} scratch folders are left")
    if left := [path.name for path in at.agency.outbox.iterdir() if path.is_file()]:
        found.append(f"left with the agency: {left}")
    claim = at.agency.outbox / "claim"
    if claim.exists() and (left := [path.name for path in claim.iterdir()]):
        found.append(f"left claimed: {left}")
    if left := [path.name for path in (at.desk.folder("inbox") / CODE).glob("arriving*")]:
        found.append(f"left in the inbox: {left}")


def _unsound(at: Miniature) -> list[str]:
    """Gaps in sequences, a broken audit chain, sealed bytes that are not kept."""
    found: list[str] = []
    numbers: dict[tuple[str, str, str], list[int]] = {}
    for row in rows(at, Transmission):
        numbers.setdefault((row.lender, row.agency, row.kind), []).append(row.sequence)
    found += [
        f"the numbers of {' '.join(line)} are {sorted(used)}"
        for line, used in numbers.items()
        if sorted(used) != list(range(1, len(used) + 1))
    ]
    with at.desk.database.read() as connection:
        verified = audit.verify(connection, at.desk.keyring.audit_publics().values())
    if not verified.ok:
        found.append(f"the audit chain breaks: {verified.why}")
    return found + wanting(at)


def wanting(at: Miniature) -> list[str]:
    """Sealed bytes that are not there though nobody has acknowledged them."""
    found = []
    for row in rows(at, Transmission):
        if row.state in {"sealed", "delivered", "presumed"}:
            file = at.desk.folder("outbox") / (row.sealed_path or "nowhere")
            if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != row.sealed_sha256:
                found.append(f"the sealed bytes of {row.name} ({row.state}) are not kept")
    return found


def litter(at: Miniature) -> list[str]:
    """Parts that were left on the agency's server."""
    return [path.name for path in at.agency.drop.iterdir() if path.name.endswith(".part")]


def rows(at: Miniature, of: Any) -> list[Any]:
    """Every row of a table."""
    with at.desk.database.read() as connection:
        return list(connection.execute(select(bulk.table_of(of))))


def _instant(at: Any) -> str:
    moment = pd.Timestamp(at)
    return (moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")).isoformat()


def later(now: datetime, seconds: float) -> datetime:
    """So much later, or earlier."""
    return now + timedelta(seconds=seconds)
