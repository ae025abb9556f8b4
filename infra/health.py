"""What is right and what is wrong with this installation: one finding per thing looked at, with what to do about it."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from keys.roots.passphrase import below_floor
from keys.strongbox import OPENED_BY
from models.errors import ConsignError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from infra.wiring import Desk

State = Literal["ok", "warn", "fail"]

PYTHON: Final = (3, 11)
SQLITE: Final = (3, 35, 0)
"""The first with UPDATE … RETURNING and INSERT … RETURNING."""
PINNED: Final = {"prefect": "3.8.", "paramiko": "5.1."}
BELOW: Final = {
    "fastapi": ((0, 151), "from there on Prefect 3.8's server does not start"),
    "sqlalchemy": ((2, 1), "from there on Prefect 3.8's scheduler fails, and no schedule ever runs"),
}
FREE_WARN: Final = 5 * 2**30
FREE_FAIL: Final = 512 * 2**20
SKEW: Final = timedelta(minutes=5)
RECENT: Final = timedelta(days=7)
PROGRAMS: Final[dict[str, tuple[State, str]]] = {
    "gpg": ("warn", "OpenPGP sealing needs it: apt-get install gnupg"),
    "age": ("ok", ""),  # for opening a package by hand
    "sshd": ("ok", ""),  # for trying things against a real host
}


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `fix` says what to do where the state is not ok."""

    check: str
    state: State
    found: str
    fix: str = ""


def findings(desk: Desk) -> list[Finding]:
    """Everything there is to say. A check that breaks is a finding itself: the others go on."""
    said: list[Finding] = []
    checks: tuple[Callable[[Desk], Iterator[Finding]], ...] = (
        versions, home, database, people, keyring, agencies, certified, exceptions, disk, clock, silence, programs,
        faults,
    )  # fmt: skip
    for check in checks:
        try:
            said += check(desk)
        except ConsignError as error:
            said.append(Finding(check.__name__, "fail", str(error), error.fix))
        except Exception as error:  # noqa: BLE001 - a doctor does not faint; the text may hold what a file holds
            said.append(Finding(check.__name__, "fail", f"could not be checked: {type(error).__name__}"))
    return said


def versions(_desk: Desk) -> Iterator[Finding]:
    """Python, SQLite and the packages whose version matters."""
    running = ".".join(map(str, sys.version_info[:3]))
    yield _as(sys.version_info >= PYTHON, "python", running, "install Python 3.11 or newer")
    yield Finding("consign", "ok", _version("consign"))
    for package, wanted in PINNED.items():
        found = _version(package)
        yield _as(found.startswith(wanted), package, found, f"install {package} {wanted}* as requirements.lock has it")
    for package, (limit, because) in BELOW.items():
        found = _version(package)
        old_enough = tuple(int(part) for part in found.split(".")[:2] if part.isdigit()) < limit
        wanted = ".".join(map(str, limit))
        yield _as(old_enough, package, found, f"install {package}<{wanted}, as requirements.lock has it: {because}")
    enough = sqlite3.sqlite_version_info >= SQLITE
    yield _as(enough, "sqlite", sqlite3.sqlite_version, "use a Python with SQLite 3.35 or newer")


def home(desk: Desk) -> Iterator[Finding]:
    """Our home is there, ours alone, and writable."""
    path = desk.settings.home.resolve()
    if not path.is_dir():
        yield Finding("home", "fail", f"{path} is not there", "run `consign init`")
        return
    if not os.access(path, os.W_OK):
        yield Finding("home", "fail", f"{path} cannot be written", "give it to the user that runs Consign")
    elif _open_to_others(path):
        yield Finding("home", "warn", f"{path} is open to others", f"chmod 700 {path}")
    else:
        yield Finding("home", "ok", str(path))


def database(desk: Desk) -> Iterator[Finding]:
    """The store answers and has the newest schema."""
    from sqlalchemy.exc import SQLAlchemyError

    from infra.store import schema

    where = desk.database.url.render_as_string(hide_password=True)
    file = Path(desk.database.url.database or "")
    if not _has_store(desk):
        yield Finding("database", "fail", f"{where} is not there", "run `consign init`")
        return
    try:
        has = schema.current(desk.database)
    except SQLAlchemyError as error:
        yield Finding("database", "fail", f"{where} does not answer: {type(error).__name__}", "check CONSIGN_DATABASE")
        return
    if desk.database.is_sqlite and _open_to_others(file) and _open_to_others(file.parent):
        yield Finding("database", "warn", f"{where} can be read by others", f"chmod 600 {file}")
    else:
        yield Finding("database", "ok", where)
    if has == schema.head():
        yield Finding("schema", "ok", has)
    elif has is not None and not schema.is_known(has):
        yield Finding("schema", "fail", f"{has} is newer than this program", "install the Consign that wrote it")
    else:
        yield Finding("schema", "fail", f"{has or 'none'}, newest is {schema.head()}", "run `consign init`")


def people(desk: Desk) -> Iterator[Finding]:
    """Somebody gives roles, and they count."""
    from infra import roles

    if not _has_store(desk):
        return
    with desk.database.read() as connection:
        begun = roles.begun(connection)
    if desk.settings.roles == "off":
        yield Finding("roles", "warn", "a second person needs none", 'set roles = "on", where more than three work')
    elif not begun:
        yield Finding("roles", "warn", "nobody is administrator: no role is asked for", "run `consign init`")
    else:
        yield Finding("roles", "ok", "whoever decides needs one")


def keyring(desk: Desk) -> Iterator[Finding]:
    """The keyring opens, lies safely, and its keys are good for a while."""
    path = desk.settings.keyring_path
    ring = desk.keyring  # what is wrong with it, it says itself
    yield Finding("keyring", "ok", str(path))
    yield _root_key(desk)
    inventory = ring.inventory(desk.now())
    for owner in sorted({"age", "openpgp"} | {str(one["owner"]) for one in inventory if one["purpose"] == "own"}):
        own = [line for line in inventory if line["purpose"] == "own" and line["owner"] == owner]
        yield _expiry(f"own {owner} key", own, f"consign keys rotate own {owner}", _soon(desk))
    for owner, suite in sorted(
        {(str(one["owner"]), str(one["suite"])) for one in inventory if one["purpose"] == "trusted"}
    ):
        theirs = [one for one in inventory if (one["purpose"], one["owner"], one["suite"]) == ("trusted", owner, suite)]
        fix = f"ask {owner} for a new key and compare fingerprints"
        yield _expiry(f"key of {owner} ({suite})", theirs, fix, _soon(desk))


def _root_key(desk: Desk) -> Finding:
    """Who keeps the root key, and whether that is as safe as it can be. The keyring is open, so it was had."""
    header = desk.keyring.root_header
    words = OPENED_BY[header["kind"]][0]
    if header["kind"] == "key_file" and desk.settings.key_file_path.parent == desk.settings.keyring_path.parent:
        return Finding(
            "root key", "warn", "the key file lies beside the keyring",
            "move it elsewhere (CONSIGN_KEY_FILE), or `consign keys root move` to another keeper",
        )  # fmt: skip
    if header["kind"] == "argon2id":
        cost = f"{words}, Argon2id of {header['memory_kib']} KiB, {header['iterations']} times"
        if below_floor(header):
            return Finding("root key", "fail", f"{cost}: cheap to guess", "consign keys root move passphrase")
        return Finding("root key", "ok", cost)
    where = [str(header[name]) for name in ("mount", "key", "service", "name") if name in header]
    return Finding("root key", "ok", f"{words} {'/'.join(where)}".strip())


def agencies(desk: Desk) -> Iterator[Finding]:
    """Every agency's SFTP host is pinned, and we have a client key for it; neither ends soon."""
    from infra import credentials, hostkeys
    from infra.store import exchange

    if not _has_store(desk):
        return
    with desk.database.read() as connection:
        found = [
            (exchange.agency(connection, code), hostkeys.of_agency(connection, code))
            for code in exchange.agencies(connection)
        ]
    for agency, rows in found:
        settings, code = json.loads(agency.drop), agency.agency
        if settings.get("kind") != "sftp":
            continue
        lines = [_lasting(hostkeys.state(row, desk.now()), row.valid_until, desk.now()) for row in rows]
        stated = settings.get("host_keys") or []
        lines = lines or [_lasting("valid", None, desk.now()) for _ in stated]
        fix = f"get it from {code} another way, and pin it: consign agency host-key add {code}"
        if lines:
            yield _expiry(f"host of {code}", lines, fix, _soon(desk), is_pinned=True)
        else:
            yield Finding(f"host of {code}", "fail", "no host key is pinned", fix)
        clients = [
            line
            for line in desk.keyring.inventory(desk.now())
            if (line["purpose"], line["owner"]) == ("ssh_client", credentials.client_name(agency))
        ]
        if clients:
            yield _expiry(f"client key at {code}", clients, f"consign agency credential rotate {code}", _soon(desk))


def certified(desk: Desk) -> Iterator[Finding]:
    """Every agency that works has a certificate of the level that its contract needs, for a while yet."""
    from infra import certificates
    from infra.store import exchange

    if not _has_store(desk):
        return
    if not desk.settings.require_certificate:
        yield Finding("certificates", "warn", "agencies work without one", "set require_certificate = true")
    with desk.database.read() as connection:
        rows = [exchange.agency(connection, code) for code in exchange.agencies(connection)]
        found = [certificates.standing(connection, desk, row.agency) for row in rows if row.state != "prospect"]
    for one in found:
        what, again = f"certificate of {one.agency}", f"`consign agency certify start {one.agency}`"
        if not one.counts:
            if desk.settings.require_certificate:
                yield Finding(what, "fail", f"{one.state}; its contract needs level {one.needed}", again)
        elif one.valid_until is not None and one.valid_until - desk.today() < timedelta(
            days=max(desk.settings.key_warn_days, default=0)
        ):
            yield Finding(what, "warn", f"{one.state} until {one.valid_until}", again)
        else:
            yield Finding(what, "ok", f"{one.state} until {one.valid_until}")


def exceptions(desk: Desk) -> Iterator[Finding]:
    """Nothing in the exchange waits past its time, and every calendar in use knows its days off."""
    from infra import clocks
    from infra import exceptions as store

    if not _has_store(desk):
        return
    with desk.database.read() as connection:
        found = store.counts(connection, desk.now())
        unknown = clocks.unknown_years(connection, desk)
    unresolved, overdue = int(found["unresolved"].sum()), int(found["overdue"].sum())
    if overdue:
        yield Finding(
            "exceptions", "warn", f"{overdue} past their time, {unresolved} in all", "consign exceptions list --overdue"
        )
    else:
        yield Finding("exceptions", "ok", f"{unresolved} unresolved, none past its time")
    if unknown:
        years = ", ".join(f"{name} {year}" for name, year in unknown)
        yield Finding(
            "calendars", "warn", f"days off not known: {years}",
            "update the `holidays` package, or state the year in the file of the setting `calendars`",
        )  # fmt: skip
    else:
        yield Finding("calendars", "ok", desk.settings.calendar)


def disk(desk: Desk) -> Iterator[Finding]:
    """There is room for packages and the store."""
    path = desk.settings.home.resolve()
    while not path.exists():
        path = path.parent
    free = shutil.disk_usage(path).free
    state: State = "fail" if free < FREE_FAIL else "warn" if free < FREE_WARN else "ok"
    yield Finding("disk", state, f"{free / 2**30:.1f} GiB free", "" if state == "ok" else f"make room below {path}")


def clock(desk: Desk) -> Iterator[Finding]:
    """The clock does not contradict what was written already, and lenders' time zones are known."""
    now = desk.now()
    written = _last_written(desk)
    if written is not None and written > now + SKEW:
        minutes = (written - now) // timedelta(minutes=1)
        yield Finding("clock", "fail", f"{minutes} minutes behind what was written already", "set the clock (NTP)")
    else:
        yield Finding("clock", "ok", now.isoformat(timespec="seconds"))
    try:
        ZoneInfo("Asia/Shanghai")
    except ZoneInfoNotFoundError:
        yield Finding("time zones", "fail", "no time zone data", "apt-get install tzdata, or pip install tzdata")
    else:
        yield Finding("time zones", "ok", "Asia/Shanghai is known")


def silence(desk: Desk) -> Iterator[Finding]:
    """Nothing is told to anybody: our Prefect runs with its analytics off, unless it is somebody else's server."""
    url = desk.settings.prefect_api_url
    if url:
        yield Finding(
            "analytics", "warn", f"{url} is not ours to silence", "PREFECT_SERVER_ANALYTICS_ENABLED=false there"
        )
    else:
        yield Finding("analytics", "ok", "off in every process that we start")


def programs(_desk: Desk) -> Iterator[Finding]:
    """The programs that some parts call."""
    for program, (state, fix) in PROGRAMS.items():
        place = shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
        yield Finding(program, "ok", place) if place else Finding(program, state, "not installed", fix)


def faults(desk: Desk) -> Iterator[Finding]:
    """What went wrong unexpectedly of late."""
    folder = desk.settings.home / "faults"
    since = (desk.now() - RECENT).timestamp()
    recent = [path for path in folder.glob("*.txt") if path.stat().st_mtime > since] if folder.is_dir() else []
    if recent:
        yield Finding("faults", "warn", f"{len(recent)} in the last {RECENT.days} days", f"read them in {folder}")
    else:
        yield Finding("faults", "ok", f"none in the last {RECENT.days} days")


def _as(holds: bool, check: str, found: str, fix: str) -> Finding:  # noqa: FBT001 - the condition itself
    return Finding(check, "ok", found) if holds else Finding(check, "fail", found, fix)


def _expiry(
    what: str, lines: Sequence[Mapping[str, object]], fix: str, soon_days: int, *, is_pinned: bool = False
) -> Finding:
    valid = [line for line in lines if line["state"] == "valid"]
    if not valid:
        return Finding(what, "fail" if lines else "warn", "none that is valid" if lines else "none", fix)
    left = [line["days_left"] for line in [*valid, *(line for line in lines if line["state"] == "pending")]]
    days = max((one for one in left if isinstance(one, int)), default=None)
    several = f"{len(valid)} pinned" if is_pinned else "valid"
    if days is None or None in left:
        return Finding(what, "ok", several if is_pinned else "valid, without an end")
    if days < soon_days:
        return Finding(what, "warn", f"{several} for {days} more days", fix)
    return Finding(what, "ok", f"{several} for {days} more days")


def _lasting(state: str, ends: datetime | None, now: datetime) -> dict[str, object]:
    """A line as the keyring's inventory has them."""
    return {"state": state, "days_left": (ends - now).days if ends is not None else None}


def _soon(desk: Desk) -> int:
    return max(desk.settings.key_warn_days, default=0)


def _last_written(desk: Desk) -> datetime | None:
    """When the store or the trail was last written, by the clock of then."""
    from sqlalchemy.exc import SQLAlchemyError

    from infra.store import trail

    if not _has_store(desk):
        return None
    times = []
    if desk.database.is_sqlite:
        times.append(datetime.fromtimestamp(Path(desk.database.url.database or "").stat().st_mtime, UTC))
    with suppress(SQLAlchemyError), desk.database.read() as connection:  # the database has its own check
        times += list(trail.latest(connection, 1)["at"].dt.to_pydatetime())
    return max(times, default=None)


def _has_store(desk: Desk) -> bool:
    """Whether asking the store would not first make an empty one."""
    return not desk.database.is_sqlite or Path(desk.database.url.database or "").exists()


def _open_to_others(path: Path) -> bool:
    return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
