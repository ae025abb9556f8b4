"""The four reports, drafted: what is known stands in sections, what a person must still settle in open points."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from sqlalchemy import select

from infra import audit, roles
from infra.packages import debtor_pseudonyms
from infra.reports import facts
from infra.reports.report import Point, Report, Row, Section
from infra.store import bulk, exchange, gate
from infra.store.exchange import MEMBERS
from models.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date

    from sqlalchemy import Connection

    from infra.wiring import Desk

NOTIFY_HOURS: Final = 72
"""GDPR art. 33(1)."""
PURPOSES = ("policy", "version", "purpose", "basis", "verified", "erase_after_days")
RELEASED = ("policy", "stage", "channels", "agencies", "field", "value_class", "treatment", "legal_basis")
WITHHELD = ("policy", "stage", "field", "value_class", "because")
DISCLOSED = (
    "agency", "purpose", "field", "value_class", "treatment", "policy", "policy_version", "files", "lines", "last_at",
    "erase_by",
)  # fmt: skip
RECIPIENTS = (
    "agency", "name", "state", "channels", "timezone", "suite", "certificate", "certified_until", "accounts_held",
    "debtors_held",
)  # fmt: skip
TELLING_APART = (
    "agency", "files", "lines", "k_before", "k_after", "l_after", "unique_before", "unique_after", "suppressed",
)  # fmt: skip
PUBLISHED = ("name", "agency", "state", "channels", "since", "certified_until")
WORKING = ("certified", "live")
RISKS = ("too_much", "wrong_hands", "reidentified", "kept", "misconduct", "inside", "lost")
"""Each a word with what stands against it; how likely and how grave a person says."""


def impact(desk: Desk, lender: str | None = None, policy: str | None = None) -> Report:
    """The impact assessment (PIPL art. 55 and 56, GDPR art. 35). policy: of this one, and not of those in use."""
    with _drafting(desk, "impact", lender) as (connection, about):
        used, changed = facts.policies_in_use(connection, lender, policy)
        recipients = facts.agencies(connection, desk)
        erased = facts.erasures(connection, desk.today())
        purposes, released = facts.purposes(used), facts.released(used)
        disclosed = facts.disclosed(connection, lender)
        figures = gate.risk_figures(connection, lender)
        return Report(
            **about,
            scope={"lender": lender, "policies": [one.name for one in used]},
            sections=(
                Section("controllers", ("lender", "name", "country", "timezone"), facts.lenders(connection, lender)),
                Section("purposes", PURPOSES, purposes),
                Section("released", RELEASED, released),
                Section("withheld", WITHHELD, facts.withheld(used)),
                Section("disclosed", DISCLOSED, disclosed),
                Section("recipients", RECIPIENTS, recipients),
                Section("telling_apart", TELLING_APART, figures),
                Section("risks", ("risk", "against"), [{"risk": name, "against": name} for name in RISKS]),
                Section("measures", ("measure", "value"), facts.measures(desk)),
                Section("retention", ("measure", "value"), facts.retention(desk)),
                Section("erasures", ("agency", "requested", "certified", "overdue"), erased),
            ),
            points=(
                *_of_policies(used, changed, released, disclosed),
                *_of_agencies(recipients),
                *_of_erasures(erased),
                *_of_settings(desk),
                *_of_figures(figures),
                Point("judge_risks"),
                Point("keep_three_years"),
            ),
            main="released",
        )


def processing(desk: Desk, lender: str | None = None) -> Report:
    """The record of processing (GDPR art. 30, PIPL art. 55 and 56)."""
    with _drafting(desk, "processing", lender) as (connection, about):
        used, changed = facts.policies_in_use(connection, lender)
        recipients = facts.agencies(connection, desk)
        released, disclosed = facts.released(used), facts.disclosed(connection, lender)
        return Report(
            **about,
            scope={"lender": lender, "policies": [one.name for one in used]},
            sections=(
                Section("controllers", ("lender", "name", "country", "timezone"), facts.lenders(connection, lender)),
                Section("purposes", PURPOSES, facts.purposes(used)),
                Section("released", RELEASED, released),
                Section("recipients", RECIPIENTS, recipients),
                Section("disclosed", DISCLOSED, disclosed),
                Section("retention", ("measure", "value"), facts.retention(desk)),
                Section("measures", ("measure", "value"), facts.measures(desk)),
            ),
            points=(
                *_of_policies(used, changed, released, disclosed),
                *_of_agencies(recipients),
                Point("name_contacts"),
                Point("name_transfers"),
            ),
            main="released",
        )


def agency_list(desk: Desk) -> Report:
    """The agencies that may work, for publication: nothing of how much they hold or what they are paid."""
    with _drafting(desk, "agencies", None) as (connection, about):
        working = [one for one in facts.agencies(connection, desk) if one["state"] in WORKING]
        return Report(
            **about,
            scope={"agencies": len(working)},
            sections=(Section("agencies", PUBLISHED, [{name: one[name] for name in PUBLISHED} for one in working]),),
            points=tuple(_of_agencies(working)),
            main="agencies",
        )


def breach(
    desk: Desk,
    agency: str,
    *,
    begins: date | None = None,
    ends: date | None = None,
    file: str | None = None,
    known_at: datetime | None = None,
) -> Report:
    """Who and what is affected where an agency has lost what it was sent in those days, or one file.

    known_at: when we came to know of it, else now; the clocks run from there.
    Raises UsageError where nothing was sent.
    """
    with _drafting(desk, "breach", None) as (connection, about):
        files = _sent(connection, agency, begins, ends, file)
        fields, total = facts.affected(connection, [one["transmission_id"] for one in files])
        known = known_at or desk.now()
        clocks: list[Row] = [
            {"rule": "PIPL-57", "due_at": known, "to": "authority_and_debtors"},
            {"rule": "GDPR-33", "due_at": known + timedelta(hours=NOTIFY_HOURS), "to": "authority"},
            {"rule": "GDPR-34", "due_at": known, "to": "debtors_at_high_risk"},
        ]
        return Report(
            **about,
            scope={"agency": agency, "from": begins, "to": ends, "file": file, "known_at": known, **total},
            sections=(
                Section("affected", ("value_class", "field", "treatment", "files", "accounts", "debtors"), fields),
                Section("files", ("file", "lender", "kind", "state", "prepared_on", "lines", "package_sha256"), files),
                Section("clocks", ("rule", "to", "due_at"), clocks),
            ),
            points=(
                *([Point("erased_counted", {"count": total["erased"]})] if total["erased"] else []),
                Point("say_how"),
                Point("say_remedy"),
                Point("say_contact"),
            ),
            main="affected",
        )


def affected_pseudonyms(
    desk: Desk, agency: str, *, begins: date | None = None, ends: date | None = None, file: str | None = None
) -> pd.DataFrame:
    """The agency's pseudonyms of the debtors affected, once each per generation of its key; asking is audited.

    Columns: debtor, generation.  Raises RoleMissing, UsageError where nothing was sent.
    """
    placements = facts.PLACEMENTS
    with desk.database.write() as connection:
        roles.require(connection, desk, "compliance")
        files = _sent(connection, agency, begins, ends, file)
        frame = bulk.read(
            connection,
            select(placements.c.debtor_id, placements.c.key_generation)
            .join(MEMBERS, MEMBERS.c.placement_id == placements.c.placement_id)
            .where(MEMBERS.c.transmission_id.in_([one["transmission_id"] for one in files]))
            .distinct()
            .order_by(placements.c.key_generation, placements.c.debtor_id),
        )
        audit.record(
            connection, desk.actor, "report.pseudonyms", f"agency:{agency}", {"debtors": len(frame)}, desk.now()
        )
    parts = [
        pd.DataFrame(
            {
                "debtor": debtor_pseudonyms(
                    desk.keyring.pseudonym_key(agency, str(generation)), part["debtor_id"]
                ).to_numpy(),
                "generation": str(generation),
            }
        )
        for generation, part in frame.groupby("key_generation", sort=True)
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({"debtor": [], "generation": []}, dtype="str")


@contextmanager
def _drafting(desk: Desk, kind: str, lender: str | None) -> Iterator[tuple[Connection, dict[str, Any]]]:
    """One transaction in which it is recorded that the report is drafted, and the head signed that it rests on."""
    with desk.database.write() as connection:
        details: dict[str, audit.Value] = {"kind": kind, **({"lender": lender} if lender else {})}
        audit.record(connection, desk.actor, "report.drafted", f"report:{kind}", details, desk.now())
        audit.sign_head(connection, desk.keyring, desk.now())
        head = audit.signed_head(connection) or {"head": "", "root": ""}
        yield connection, {
            "kind": kind, "made_at": desk.now(), "made_by": desk.actor,
            "audit_head": head["head"], "audit_root": head["root"],
        }  # fmt: skip


def _sent(
    connection: Connection, agency: str, begins: date | None, ends: date | None, file: str | None
) -> list[dict[str, Any]]:
    exchange.agency(connection, agency)  # raises for one that is unknown
    files = facts.files_sent(connection, agency, begins, ends, file)
    if not files:
        message = f"nothing was sent to {agency} then, or under that name"
        raise UsageError(message, fix="widen --from and --to, or name the file as `consign disclosures` has it")
    return files


def _of_policies(
    used: list[Any], changed: list[str], released: Iterable[Row], disclosed: Iterable[Row]
) -> Iterator[Point]:
    if not used:
        yield Point("no_policy")
    for name in changed:
        yield Point("policy_changed", {"policy": name})
    for policy in used:
        for purpose in policy.purposes.values():
            if purpose.verified != "text":
                yield Point("basis_unverified", {"policy": policy.name, "purpose": purpose.name})
    let_out = {(row["policy"], row["field"]) for row in released}
    known = {policy.name for policy in used}
    gone = sorted(
        {
            (str(row["policy"]), str(row["field"]))
            for row in disclosed
            if row["policy"] in known and row["treatment"] != "pseudonym"
        }
        - let_out
    )
    for name, field in gone:
        yield Point("no_longer_released", {"policy": name, "field": field})


def _of_agencies(recipients: Iterable[Row]) -> Iterator[Point]:
    for one in recipients:
        if one["state"] in WORKING and one["certificate"] != "valid":
            yield Point("not_certified", {"agency": str(one["agency"]), "certificate": str(one["certificate"])})


def _of_erasures(erased: Iterable[Row]) -> Iterator[Point]:
    for one in erased:
        if one["overdue"]:
            yield Point("erasure_overdue", {"agency": str(one["agency"]), "count": int(str(one["overdue"]))})


def _of_figures(figures: Iterable[Row]) -> Iterator[Point]:
    if not figures:
        yield Point("no_risk_figures")
    for one in figures:
        if one["unique_after"]:
            yield Point("told_apart", {"agency": str(one["agency"]), "count": int(str(one["unique_after"]))})


def _of_settings(desk: Desk) -> Iterator[Point]:
    settings = desk.settings
    for name in ("two_people", "require_certificate", "require_diligence", "roles"):
        if getattr(settings, name) in {False, "off"}:
            yield Point("switched_off", {"setting": name})
