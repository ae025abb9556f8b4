"""Certificates of agencies: issued, checked, run out; and who let one work without.

A certificate counts until its day, as long as the agency still uses the keys, the suite and the layout that it was
given for. It is a JSON text that we sign with OpenSSH's signature: anybody who has our key checks it, without us.
"""

from __future__ import annotations

import json
import platform
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from html import escape
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from infra import audit, roles
from infra.store import bulk, exchange
from keys import statements
from models.certification import LEVELS, LEVELS_ABOUT, Level, covers, steps_of
from models.contract import Contract
from models.errors import RefusedByPolicy, UsageError
from models.tables import (
    AgencyContract,
    CertificateWaiver,
    Certification,
    CertificationStep,
    KeyRequest,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from infra.wiring import Desk

RUNS: Final = bulk.table_of(Certification)
STEPS: Final = bulk.table_of(CertificationStep)
REQUESTS: Final = bulk.table_of(KeyRequest)
WAIVERS: Final = bulk.table_of(CertificateWaiver)
CONTRACTS: Final = bulk.table_of(AgencyContract)


class NotCertified(RefusedByPolicy):
    """The agency has no certificate of the level that its work needs, and nobody has waived it."""


@dataclass(frozen=True)
class Standing:
    """How an agency stands: the level it has shown, whether that counts today, and if not, why."""

    agency: str
    needed: Level
    level: Level | None
    state: str
    """valid | waived | expired | keys_changed | layout_changed | too_low | none"""
    certificate_id: str | None = None
    valid_until: date | None = None

    @property
    def counts(self) -> bool:
        """Whether the agency may work."""
        return self.state in {"valid", "waived"}


def standing(connection: Connection, desk: Desk, code: str) -> Standing:
    """How the agency stands today. Raises UsageError where there is none."""
    return _standing(connection, desk, exchange.agency(connection, code), *_of_agencies(connection, desk, [code]))


def standings(connection: Connection, desk: Desk, codes: Sequence[str]) -> dict[str, Standing]:
    """How each of the agencies stands today, by its code; asked of the store together."""
    rows = connection.execute(select(exchange.AGENCIES).where(exchange.AGENCIES.c.agency.in_(codes))).all()
    beside = _of_agencies(connection, desk, codes)
    return {row.agency: _standing(connection, desk, row, *beside) for row in rows}


Rows = dict[str, list[Row[Any]]]


def _of_agencies(connection: Connection, desk: Desk, codes: Sequence[str]) -> tuple[Rows, Rows, Rows]:
    """By agency the runs that ended with a certificate and the waivers that hold, the newest first; the contracts."""
    of_runs, of_waivers, of_terms = (table.c.agency.in_(codes) for table in (RUNS, WAIVERS, CONTRACTS))
    asked = (
        select(RUNS).where(of_runs, RUNS.c.certificate_id.is_not(None)).order_by(RUNS.c.certification_id.desc()),
        select(WAIVERS).where(of_waivers, WAIVERS.c.valid_until >= desk.today()).order_by(WAIVERS.c.waiver_id.desc()),
        select(CONTRACTS.c.agency, CONTRACTS.c.terms).where(of_terms),
    )
    runs, waivers, contracts = map(_by_agency, map(connection.execute, asked))
    return runs, waivers, contracts


def _by_agency(rows: Iterable[Row[Any]]) -> Rows:
    found: Rows = defaultdict(list)
    for row in rows:
        found[row.agency].append(row)
    return found


def _standing(
    connection: Connection, desk: Desk, agency: Row[Any], runs: Rows, waivers: Rows, contracts: Rows
) -> Standing:
    code, today = agency.agency, desk.today()
    needed = _needed(row.terms for row in contracts.get(code, ()))
    said = [(run, _fault(connection, desk, agency, run, needed, today)) for run in runs.get(code, ())]
    for run, fault in said:
        if fault is None:
            return Standing(code, needed, run.level, "valid", run.certificate_id, run.valid_until)
    waived = next(iter(waivers.get(code, ())), None)
    if waived is not None and covers(waived.level, needed):
        return Standing(code, needed, None, "waived", None, waived.valid_until)
    if not said:
        return Standing(code, needed, None, "none")
    run, fault = said[0]
    return Standing(code, needed, run.level, str(fault), run.certificate_id, run.valid_until)


def needed_level(connection: Connection, code: str) -> Level:
    """The level that the agency's work needs: `money` where debtors may pay to it, else `work`."""
    terms = connection.execute(select(CONTRACTS.c.terms).where(CONTRACTS.c.agency == code)).scalars()
    return _needed(terms)


def _needed(terms: Iterable[str]) -> Level:
    return "money" if any(map(_collects, terms)) else "work"


@lru_cache(maxsize=1_000)
def _collects(terms: str) -> bool:
    """Whether debtors may pay to the agency under these terms."""
    return Contract.parse(terms).collects


def require(connection: Connection, desk: Desk, code: str, state: str) -> None:
    """Nothing where the agency may become that. Raises NotCertified, saying what is missing."""
    if state not in {"certified", "live"} or not desk.settings.require_certificate:
        return
    found = standing(connection, desk, code)
    if found.counts:
        return
    why = {
        "none": "it has no certificate",
        "expired": f"its certificate ended on {found.valid_until}",
        "keys_changed": "it has other keys than those that were compared",
        "layout_changed": "it uses another suite or layout than the one it was certified with",
        "too_low": f"its certificate is of level {found.level}",
    }[found.state]
    message = f"agency {code} cannot become {state}: {why}, and its contract needs level {found.needed}"
    raise NotCertified(
        message,
        fix=f"`consign agency certify start {code} --level {found.needed}`; or a waiver by two persons: "
        f"`consign agency certify waive {code}`",
    )


def _fault(
    connection: Connection, desk: Desk, agency: Row[Any], run: Row[Any], needed: Level, today: date
) -> str | None:
    if run.valid_until < today:
        return "expired"
    valid = {
        one
        for key in desk.keyring.trusted_keys(agency.agency, agency.suite)
        if key.state(desk.now()) == "valid"
        for one in (key.fingerprint, key.public["encrypt_fingerprint"])
    }
    if (run.suite, run.layout) != (agency.suite, agency.layout):
        return "layout_changed"
    if not valid >= set(str(run.agency_keys).split(",")) and not _taken_over(connection, agency, valid):
        return "keys_changed"
    return None if covers(run.level, needed) else "too_low"


def _taken_over(connection: Connection, agency: Row[Any], valid: set[str]) -> bool:
    """Whether two persons have compared the agency's present keys when they took over from older ones."""
    pinned = select(REQUESTS.c.fingerprint, REQUESTS.c.encrypt_fingerprint).where(
        REQUESTS.c.agency == agency.agency, REQUESTS.c.state == "pinned"
    )
    return any(valid >= {row.fingerprint, row.encrypt_fingerprint} for row in connection.execute(pinned))


def issue(connection: Connection, desk: Desk, run: Row[Any]) -> str:
    """The run's certificate is written and signed, once. Returns its id."""
    if run.certificate_id is not None:
        return str(run.certificate_id)
    now, today = desk.now(), desk.today()
    agency = exchange.agency(connection, run.agency)
    signer = statements.signer(desk.keyring, now)
    until = today + timedelta(days=desk.settings.certificate_days)
    keys = sorted({key for one in _current(desk, agency) for key in one})
    certificate_id = f"{run.agency}-{today:%Y%m%d}-{run.certification_id}"
    steps = connection.execute(select(STEPS).where(STEPS.c.certification_id == run.certification_id)).all()
    since = {step.step: step.since.date().isoformat() for step in steps}
    text = _text({
        "certificate": certificate_id,
        "agency": run.agency,
        "name": agency.name,
        "levels": list(LEVELS[: LEVELS.index(run.level) + 1]),
        "issued_on": today.isoformat(),
        "valid_until": until.isoformat(),
        "opened_by": run.opened_by,
        "suite": agency.suite,
        "layout": agency.layout,
        "agency_keys": keys,
        "steps": {step.code: since.get(step.code) for step in steps_of(run.level)},
        "software": {"consign": _version("consign"), "python": platform.python_version()},
        "signed_with": signer.fingerprint,
    })  # fmt: skip
    connection.execute(
        update(RUNS)
        .where(RUNS.c.certification_id == run.certification_id)
        .values(
            certificate_id=certificate_id, certificate=text, signature=statements.sign(text, signer), issued_on=today,
            valid_until=until, suite=agency.suite, layout=agency.layout, agency_keys=",".join(keys),
        )
    )  # fmt: skip
    audit.record(
        connection, desk.actor, "certificate.issued", run.agency,
        {"certificate": certificate_id, "level": run.level, "until": until.isoformat(),
         "fingerprint": signer.fingerprint},
        now,
    )  # fmt: skip
    return certificate_id


def _current(desk: Desk, agency: Row[Any]) -> list[tuple[str, str]]:
    """Fingerprints (sign, encrypt) of the agency's newest valid key."""
    for key in desk.keyring.trusted_keys(agency.agency, agency.suite):
        if key.state(desk.now()) == "valid":
            return [(key.fingerprint, key.public["encrypt_fingerprint"])]
    return []


def certificate(connection: Connection, code: str) -> Row[Any]:
    """The agency's newest certificate. Raises UsageError where it has none."""
    found = connection.execute(
        select(RUNS)
        .where(RUNS.c.agency == code, RUNS.c.certificate_id.is_not(None))
        .order_by(RUNS.c.certification_id.desc())
    ).first()
    if found is None:
        message = f"agency {code} has no certificate"
        raise UsageError(message, fix=f"`consign agency certify status {code}` says what is missing")
    return found


def has_certificate(connection: Connection, code: str) -> bool:
    """Whether the agency was ever given one."""
    given = select(RUNS.c.certification_id).where(RUNS.c.agency == code, RUNS.c.certificate_id.is_not(None))
    return connection.execute(given.limit(1)).first() is not None


def ask_waiver(desk: Desk, code: str, level: Level, reason: str) -> int:
    """A waiver is asked for; it counts when somebody else grants it. Returns its number."""
    if not reason.strip() or not audit.TEXT.fullmatch(reason):
        raise UsageError(
            "a waiver needs a reason, in up to 200 ASCII characters", fix='--reason "why, until what is done"'
        )
    with desk.database.write() as connection:
        exchange.agency(connection, code)
        number = connection.execute(
            insert(WAIVERS)
            .values(agency=code, level=level, reason=reason, asked_by=desk.actor, asked_at=desk.now())
            .returning(WAIVERS.c.waiver_id)
        ).scalar_one()
        audit.record(
            connection, desk.actor, "certificate.waiver_asked", code, {"level": level, "reason": reason}, desk.now()
        )
    return int(number)


def waiver_asked(connection: Connection, code: str) -> Row[Any] | None:
    """The newest waiver that somebody asked for and nobody granted yet."""
    return connection.execute(
        select(WAIVERS)
        .where(WAIVERS.c.agency == code, WAIVERS.c.granted_by.is_(None))
        .order_by(WAIVERS.c.waiver_id.desc())
    ).first()


def grant_waiver(desk: Desk, code: str) -> date:
    """The newest waiver asked for counts from now on. Returns until when.

    Raises RoleMissing, RefusedByPolicy for who asked.
    """
    with desk.database.write() as connection:
        roles.require(connection, desk, "compliance")
        asked = waiver_asked(connection, code)
        if asked is None:
            raise UsageError(f"nobody has asked for a waiver for {code}", fix="`consign agency certify waive` asks")
        if asked.asked_by == desk.actor:
            message = f"{desk.actor} asked for this waiver and cannot grant it"
            raise RefusedByPolicy(message, fix="a second person grants it (CONSIGN_ACTOR says who acts)")
        until = desk.today() + timedelta(days=desk.settings.waiver_days)
        connection.execute(
            update(WAIVERS)
            .where(WAIVERS.c.waiver_id == asked.waiver_id)
            .values(granted_by=desk.actor, granted_at=desk.now(), valid_until=until)
        )
        audit.record(
            connection, desk.actor, "certificate.waived", code,
            {"level": asked.level, "reason": asked.reason, "by": asked.asked_by, "until": until.isoformat()},
            desk.now(),
        )  # fmt: skip
    return until


def page(run: Row[Any], lender_says: str = "") -> str:
    """The certificate as a page to read and print, in both languages; what counts is the signed JSON beside it."""
    told: Mapping[str, Any] = json.loads(run.certificate)
    facts = (
        ("Certificate 证书", told["certificate"]),
        ("Agency 机构", f"{told['name']} ({told['agency']})"),
        ("Levels 级别", "; ".join(f"{one}: {' '.join(LEVELS_ABOUT[one])}" for one in told["levels"])),
        ("Issued 签发日期", told["issued_on"]),
        ("Valid until 有效期至", told["valid_until"]),
        ("Sealing 封装", f"{told['suite']}, {told['layout']}"),
        ("Keys of the agency 机构密钥", ", ".join(told["agency_keys"])),
        ("Signed with 签名密钥", told["signed_with"]),
        ("Software 软件", ", ".join(f"{name} {number}" for name, number in told["software"].items())),
    )
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(str(fact))}</td></tr>" for name, fact in facts)
    steps = "".join(f"<li><code>{escape(name)}</code> {escape(str(day))}</li>" for name, day in told["steps"].items())
    check = (
        "ssh-keygen -Y verify -f lender.allowed_signers -I consign -n consign \\\n"
        "    -s certificate.json.sig < certificate.json"
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Certificate</title>'
        "<style>body{font:16px/1.5 sans-serif;max-width:46rem;margin:3rem auto;padding:0 1rem}"
        "th{text-align:left;vertical-align:top;padding-right:1rem;white-space:nowrap}td{overflow-wrap:anywhere}</style>"
        f"<h1>Certificate 准入证书</h1><p>{escape(lender_says)}</p><table>{rows}</table>"
        f"<h2>Shown 已通过</h2><ul>{steps}</ul>"
        f"<h2>To check it 验证</h2><pre>{escape(check)}</pre></html>\n"
    )


def _text(told: Mapping[str, Any]) -> str:
    return json.dumps(told, ensure_ascii=False, indent=1) + "\n"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
