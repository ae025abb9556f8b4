"""The sandbox: two lenders, six agencies on a real SFTP host, a bank, and a clock that somebody else turns.

Everything below the boundary is the product's own: keys, seals, drops, store. Only the debtors, the agencies' work and
the bank are simulated, from one seed.
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pandas as pd
from sqlalchemy import insert, select

from infra import onboarding
from infra.sandbox.agency import SandboxAgency, Traits
from infra.sandbox.host import Host, make_directories, sandbox_host
from infra.settings import Settings
from infra.store import bulk, schema
from infra.wiring import Desk, seated
from keys.keyring import Keyring
from models.contract import Contract
from models.errors import UsageError
from models.tables import Lender

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ZONE = ZoneInfo("Asia/Shanghai")
LENDERS = {"harbour": "Harbour Consumer Finance 海湾消费金融", "lotus": "Lotus Bank Cards 莲花银行信用卡"}


@dataclass(frozen=True)
class Cast:
    """One agency of the sandbox."""

    code: str
    name: str
    suite: str = "age"
    capacity: int | None = None
    share: float = 1 / 6
    rate: str = "0.20"
    traits: Traits = field(default_factory=Traits)


AGENCIES = (
    Cast("quayside", "Quayside Recoveries", rate="0.22", traits=Traits(skill=1.30, overbills=0.01)),
    Cast("hengxin", "恒信资产", "openpgp", rate="0.20", traits=Traits(skill=1.15)),
    Cast("northgate", "Northgate Collections", rate="0.18", traits=Traits(skill=0.90, late_days=6)),
    Cast("dingsheng", "鼎盛法务", rate="0.25", traits=Traits(skill=1.00, nets_fees=True)),
    Cast(
        "lantern", "Lantern Credit", "openpgp", rate="0.19", traits=Traits(skill=0.85, bad_lines=0.06, complaints=0.003)
    ),
    Cast("millrace", "Millrace Partners", rate="0.21", traits=Traits(skill=1.05, repeats_file=True)),
)
"""One is late, one nets its fees, one sends bad lines, one repeats its files; two are plain."""

TERMS = """\
# {name} for {lender}: contingent commission by age at placement
currency = "CNY"
remits = "{remits}"
vat_rate = 0.06
rounding = "half_up"
tail_days = 30
term_days = {term_days}
late_days = 10
payer_accounts = ["{payer}"]
bank_references = ["{reference}"]

[payee]
name = "{name}"
account = "{payer}"
cnaps = "102100099996"

[[tier]]
dpd_to = 90
rate = {rate}

[[tier]]
dpd_from = 91
dpd_to = 360
rate = {older}

[[tier]]
dpd_from = 361
rate = {oldest}
"""


@dataclass
class Clock:
    """The simulated time; it only goes forward."""

    now: datetime

    def __call__(self) -> datetime:
        """This moment, aware, UTC."""
        return self.now

    def turn(self, day: date, hour: int = 9) -> None:
        """It is this hour of this day where the lenders are; never earlier than it was."""
        then = datetime.combine(day, time(hour), tzinfo=ZONE).astimezone(UTC)
        self.now = max(self.now + timedelta(seconds=1), then)


@dataclass
class World:
    """A running sandbox."""

    desk: Desk
    clock: Clock
    sftp: Host | None
    """None where both sides reach a folder"""
    agencies: dict[str, SandboxAgency]
    start: date
    seed: int
    term_days: int

    @property
    def host(self) -> Host:
        """The SFTP host of a world that has one."""
        if self.sftp is None:
            message = "this sandbox exchanges through folders"
            raise UsageError(message)
        return self.sftp

    def day(self, month: int, day: int) -> date:
        """The day of the simulated month (0 is the first)."""
        months = self.start.month - 1 + month
        return date(self.start.year + months // 12, months % 12 + 1, day)


def sealable(cast: Cast) -> Cast:
    """The agency with a suite that this machine has: without GnuPG everybody seals with age."""
    return replace(cast, suite="age") if cast.suite == "openpgp" and shutil.which("gpg") is None else cast


def settings_of(home: Path, **more: Any) -> Settings:
    """Settings of a sandbox at `home`: its store need not survive a power cut, which saves a sync at every commit.

    One person plays everybody there, so nobody is asked to approve what another has pinned, and agencies begin live.
    """
    return Settings(
        **{
            "home": home,
            "root_key": "file",
            "sandbox": True,
            "durable": False,
            "two_people": False,
            "require_certificate": False,
            "require_diligence": False,
            **more,
        }
    )


@contextmanager
def open_world(
    home: Path,
    *,
    seed: int,
    start: date,
    term_days: int = 90,
    cast: tuple[Cast, ...] = AGENCIES,
    lenders: dict[str, str] | None = None,
    sftp: bool = True,
    **settings: Any,
) -> Iterator[World]:
    """A sandbox below `home` (empty or new): schema, keys, host, lenders, agencies live; seated for the block.

    With `require_certificate` the agencies are prospects yet.

    sftp: agencies are reached over a real SFTP host, else through folders; `settings` are Settings' own.
    """
    lenders = lenders or LENDERS
    cast = tuple(sealable(one) for one in cast)
    clock = Clock(datetime.combine(start, time(8), tzinfo=ZONE).astimezone(UTC))
    desk = Desk(settings_of(home, **settings), clock=clock, actor="sandbox")
    schema.ensure(desk.database)
    _make_keyring(desk, {one.suite for one in cast})
    codes = [one.code for one in cast]
    with sandbox_host(home / "agencies", codes) if sftp else nullcontext() as host, seated(desk):
        _add_lenders(desk, lenders)
        agencies = {
            one.code: _onboard(desk, host, one, lenders, seed + place, term_days) for place, one in enumerate(cast)
        }
        try:
            yield World(desk, clock, host, agencies, start, seed, term_days)
        finally:
            desk.database.close()


def _make_keyring(desk: Desk, suites: set[str]) -> None:
    path = desk.settings.keyring_path
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    keyring = Keyring.create(path, key_file=desk.settings.key_file_path)
    for suite in sorted(suites):
        keyring.new_own_keys(suite, desk.now(), desk.settings.own_key_days)


def _add_lenders(desk: Desk, lenders: dict[str, str]) -> None:
    table = bulk.table_of(Lender)
    with desk.database.write() as connection:
        known = set(connection.execute(select(table.c.lender)).scalars())
        for code, name in lenders.items():
            if code not in known:
                connection.execute(
                    insert(table).values(
                        lender=code, name=name, country="CN", timezone="Asia/Shanghai", created_at=desk.now()
                    )
                )


def _onboard(
    desk: Desk, host: Host | None, cast: Cast, lenders: dict[str, str], seed: int, term_days: int
) -> SandboxAgency:
    """Keys are exchanged both ways, the host key pinned, the contract in force, the agency live."""
    now = desk.now()
    home = desk.settings.home / "agencies" / cast.code if host is None else host.directory(cast.code)
    make_directories(home)
    theirs = Keyring.create(home / "keys" / "keyring.json", key_file=_parent(home / "keys" / "root.key"))
    theirs.new_own_keys(cast.suite, now)
    ours = desk.keyring.public_keys(cast.suite, now)
    theirs.trust("lender", cast.suite, encrypt=ours["encrypt"], verify=ours["verify"], now=now)
    remits = "net" if cast.traits.nets_fees else "gross"
    onboarding.add(
        desk,
        cast.code,
        cast.name,
        suite=cast.suite,
        capacity_accounts=cast.capacity,
        remits=remits,
        term_days=term_days,
    )
    public = theirs.public_keys(cast.suite, now)
    onboarding.trust(desk, cast.code, public["encrypt"], public["verify"])
    onboarding.set_drop(desk, cast.code, _drop(desk, host, cast.code, home))
    contracts = {}
    for number, lender in enumerate(sorted(lenders)):
        rate = float(cast.rate)
        terms = TERMS.format(
            name=cast.name, lender=lender, remits=remits, term_days=term_days, rate=cast.rate,
            older=f"{rate + 0.05:.2f}", oldest=f"{rate + 0.12:.2f}", payer=_payer(cast.code, number),
            reference=f"{cast.code.upper()}-{lender.upper()}-",
        )  # fmt: skip
        terms = terms if cast.name.isascii() else f'language = "zh"\n{terms}'
        onboarding.contract(desk, cast.code, lender, terms, desk.today(), cast.share)
        contracts[lender] = Contract.parse(terms)
    if not desk.settings.require_certificate:
        onboarding.become(desk, cast.code, "certified")
        onboarding.become(desk, cast.code, "live")
    return SandboxAgency(cast.code, "lender", cast.suite, home, theirs, seed, cast.traits, contracts)


def _drop(desk: Desk, host: Host | None, code: str, home: Path) -> dict[str, Any]:
    """How the agency is reached, its host's key pinned."""
    if host is None:
        return {"kind": "folder", "root": str(home.resolve())}
    host.authorize(code, desk.keyring.ssh_client_public(code, desk.now()))
    reach = host.settings_for(code, "")
    return {
        "kind": "sftp", "host": reach.host, "port": reach.port, "username": reach.username,
        "host_keys": list(reach.host_keys), "to_agency": reach.to_agency, "from_agency": reach.from_agency,
    }  # fmt: skip


def _parent(path: Path) -> Path:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def _payer(code: str, number: int) -> str:
    """A made-up bank account number of the agency's."""
    digits = "".join(str(ord(letter) % 10) for letter in code).ljust(14, "7")[:14]
    return f"CN{number}{digits}"


def transfers(world: World, lender: str, until: date) -> pd.DataFrame:
    """Bank transfers that arrived for the lender by that day, oldest first; they leave the agencies' books.

    Columns: reference, amount_minor, currency, value_date, payer.
    """
    rows: list[dict[str, Any]] = []
    for agency in world.agencies.values():
        due = [one for one in agency.paid_out if one["lender"] == lender and one["value_date"] <= until]  # type: ignore[operator]
        agency.paid_out = [one for one in agency.paid_out if one not in due]
        rows += due
    columns = ["reference", "amount_minor", "currency", "value_date", "payer"]
    came = pd.DataFrame(rows, columns=[*columns, "lender"])[columns]
    came = came.astype({"amount_minor": "int64"}).assign(value_date=pd.to_datetime(came["value_date"]))
    return came.sort_values(["value_date", "reference"], ignore_index=True)
