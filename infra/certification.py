"""Certification runs: an agency shows, by itself and through the ordinary drop, that it can be trusted with debtors.

Everything of it lies in a store of its own, below home/certification, with one lender (`certification`) whose debtors
are made up: no test placement, remittance or disclosure can come near a real figure. The keys, the agency's drop, the
gateway and its checks are the real ones. Files that name the lender `certification` are taken in there, all others in
the store of the house; so both may lie in the drop side by side. In the house's store stand the runs, their steps and
the certificates alone.

`go_on` takes in what came, judges every step anew from what is there, does what is due next, and tells the agency how
it stands when that has changed. Running it again changes nothing; a killed run is resumed by running it again.
"""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from sqlalchemy import Connection, Row, func, insert, select, update

from infra import audit, certificates, exceptions, hostkeys, inbound, outbox, packing, planting, policies, workers
from infra.certificates import RUNS, STEPS
from infra.store import bulk, exchange, placing, plans, schema
from infra.workers import AgencyBusy, LeaseLost
from models.certification import (
    DONE,
    FINAL,
    LENDER,
    LEVELS,
    PLANTS,
    SPOILT_UPDATE,
    STOPS,
    Evidence,
    Level,
    Verdict,
    judge,
    level_done,
    same_fingerprint,
    steps_of,
)
from models.errors import ConsignError, RefusedByPolicy, UsageError
from models.lives import AGENCY, moved
from models.tables import (
    Account,
    AgencyContract,
    FileRefusal,
    IdCounter,
    InboundReject,
    Lender,
    RecallObjection,
    RemittanceLine,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from infra.wiring import Desk

ACCOUNTS: Final = bulk.table_of(Account)
COUNTERS: Final = bulk.table_of(IdCounter)
REFUSALS: Final = bulk.table_of(FileRefusal)
REJECTS: Final = bulk.table_of(InboundReject)
OBJECTIONS: Final = bulk.table_of(RecallObjection)
REMITTED: Final = bulk.table_of(RemittanceLine)

TEST_ACCOUNTS: Final = 8
PLANTED_ACCOUNTS: Final = 4
ROWS: Final = TEST_ACCOUNTS + PLANTED_ACCOUNTS * len(PLANTS)
RECALLED: Final = 3
UPDATED: Final = 2
FIRST_ID: Final = 1 << 60
"""Ids of test accounts begin here: no pseudonym of a test account is one of a real account."""
POLICY, STAGE, PURPOSE = "cn-default", "phone", "collection"
TERM_DAYS: Final = 90
TERMS: Final = """\
# of test accounts: nothing is owed to anybody
currency = "CNY"
remits = "{remits}"

[[tier]]
rate = "0.20"
"""


def of_a_run(name: str) -> bool:
    """True where a file's name says that it belongs to a certification."""
    return name.startswith(f"{LENDER}.")


def not_of_a_run(desk: Desk, code: str) -> Callable[[str], bool]:
    """Which names the house itself takes in: all, until the agency has begun a certification."""
    with desk.database.read() as connection:
        begun = _newest(connection, code) is not None
    return (lambda name: not of_a_run(name)) if begun else (lambda _: True)


# -- what people do ----------------------------------------------------------------------------------------------------


def open_run(desk: Desk, code: str, level: Level) -> Row[Any]:
    """The agency's open run, opened by this call where there was none.

    Raises UsageError where it has no drop or no keys yet, or a run to another level is open; RefusedByPolicy where it
    is closed.
    """
    with desk.database.write() as connection:
        agency = exchange.agency(connection, code)
        if agency.state == "closed":
            raise RefusedByPolicy(f"agency {code} is closed", fix="add it anew under another code")
        if agency.drop == exchange.NO_DROP:
            raise UsageError(f"agency {code} has no drop", fix="`consign agency drop` says how it is reached")
        if not desk.keyring.trusted_keys(code, agency.suite):
            raise UsageError(f"agency {code} has given us no {agency.suite} key", fix="`consign agency keys trust`")
        if exchange.lender_exists(connection, LENDER):
            raise UsageError(f"a lender has the code {LENDER}", fix="that code belongs to certifications")
        run = _newest(connection, code)
        if run is not None and run.state == "open":
            if run.level != level:
                message = f"agency {code} is on its way to level {run.level}"
                raise UsageError(message, fix=f"go on, or end it: `consign agency certify give-up {code}`")
            return run
        number, now = bulk.reserve(connection, "certification", 1), desk.now()
        connection.execute(
            insert(RUNS).values(
                certification_id=number, agency=code, level=level, state="open", opened_by=desk.actor, opened_at=now,
                seed=number, after_file_id=0,
            )
        )  # fmt: skip
        bulk.append(connection, STEPS, pd.DataFrame([
            {"certification_id": number, "step": step.code, "level": step.level, "state": "waiting", "since": now}
            for step in steps_of(level)
        ]))  # fmt: skip
        audit.record(connection, desk.actor, "certification.opened", code, {"level": level, "id": number}, now)
        return _run(connection, number)


def hear(desk: Desk, code: str, sign: str, encrypt: str) -> Verdict:
    """The fingerprints that the agency read out are compared with those we hold; one that differs ends the run."""
    run = _open(desk, code)
    with desk.database.read() as connection:
        agency = exchange.agency(connection, code)
    held = next(
        (key for key in desk.keyring.trusted_keys(code, agency.suite) if key.state(desk.now()) == "valid"), None
    )
    same = (
        held is not None
        and same_fingerprint(sign, held.fingerprint)
        and same_fingerprint(encrypt, held.public["encrypt_fingerprint"])
    )
    return _by_hand(desk, run, "keys_heard", DONE if same else Verdict("failed", "other_key"))


def confirm(desk: Desk, code: str) -> Verdict:
    """A person says that the agency has read our fingerprints back, and that they are ours."""
    return _by_hand(desk, _open(desk, code), "keys_read_back", DONE)


def give_up(desk: Desk, code: str) -> None:
    """The open run has ended without a certificate."""
    run = _open(desk, code)
    with desk.database.write() as connection:
        _close(connection, desk, run, "given_up")


def status(desk: Desk, code: str) -> tuple[Row[Any], pd.DataFrame]:
    """The newest run and its steps in their order: step, level, by, state, code, since, about, fix.

    Raises UsageError where the agency has none.
    """
    with desk.database.read() as connection:
        exchange.agency(connection, code)
        run = _newest(connection, code)
        if run is None:
            message = f"agency {code} has not begun a certification"
            raise UsageError(message, fix=f"`consign agency certify start {code}`")
        rows = connection.execute(select(STEPS).where(STEPS.c.certification_id == run.certification_id))
        kept = {row.step: row for row in rows}
    return run, pd.DataFrame([_told(kept[step.code], step) for step in steps_of(run.level)])


def _told(row: Row[Any], step: Any) -> dict[str, Any]:
    from models.certification import FAULTS

    fix = FAULTS[row.code][0] if row.code in FAULTS else step.fix
    return {
        "step": step.code, "level": step.level, "by": step.by, "state": row.state, "code": row.code,
        "since": row.since, "about": step.about, "fix": "" if row.state == "done" else fix,
    }  # fmt: skip


# -- a run, from start to certificate ----------------------------------------------------------------------------------


def furnish(desk: Desk, run: Row[Any]) -> Desk:
    """The certification's own store is ready for the run: schema, lender, agency, contract, ids far from real ones."""
    apart = desk.certification
    schema.ensure(apart.database)
    _mirror(desk, apart, run.agency)
    return apart


def place_test(desk: Desk, run: Row[Any]) -> None:
    """The test placement is prepared from the run's synthetic accounts, which were taken in before."""
    apart = desk.certification
    with apart.database.write() as connection:
        _place(apart, connection, run, "test", TEST_ACCOUNTS)
    if not run.after_file_id:
        with apart.database.read() as connection:
            last = connection.execute(select(func.max(exchange.FILES.c.file_id))).scalar_one() or 0
        with desk.database.write() as connection:
            _note(connection, run.certification_id, after_file_id=int(last))


def go_on(desk: Desk, code: str) -> None:
    """What the agency left for its certification is taken in and judged, and what is due next is sent.

    Nothing where it has begun none, or another worker is at it. Raises what its drop raises.
    """
    with desk.database.read() as connection:
        run = _newest(connection, code)
    if run is None:
        return
    try:
        with workers.alone(desk, "certify", code):
            apart = furnish(desk, run)
            inbound.collect(apart, code, of_a_run)
            if run.state == "open" and _placed_any(apart, run):
                _probe(desk, apart, run)
                if _settled(desk, apart, run):
                    _do_next(desk, apart, run)
                    outbox.send(apart, code)
                    _settled(desk, apart, run)
            outbox.send(apart, code)
            outbox.let_go(apart)
    except (AgencyBusy, LeaseLost):
        return


def _settled(desk: Desk, apart: Desk, run: Row[Any]) -> bool:
    """Every step is judged and kept, and the agency told of it. False where the run has ended by it."""
    verdicts = judge(run.level, _evidence(desk, apart, run))
    with desk.database.write() as connection:
        _keep(connection, desk, run, verdicts)
        if any(one.code in STOPS for one in verdicts.values()):
            _close(connection, desk, run, "stopped")
            return False
        passed = all(one == DONE for one in verdicts.values())
        if passed:
            certificates.issue(connection, desk, _run(connection, run.certification_id))
            _close(connection, desk, run, "passed")
            _certified(connection, desk, run.agency)
        elif any(one.code in FINAL for one in verdicts.values()):
            _close(connection, desk, run, "stopped")
        told = _run(connection, run.certification_id).told_sha256
    _tell(desk, apart, run, verdicts, told)
    return str(_current(desk, run.certification_id).state) == "open"


def _do_next(desk: Desk, apart: Desk, run: Row[Any]) -> None:
    """What the agency's answers so far call for is prepared, once."""
    verdicts = judge(run.level, _evidence(desk, apart, run))
    if verdicts["placement_acknowledged"] == DONE:
        for number, fault in enumerate(PLANTS):
            _plant(apart, run, fault, number)
    asked = LEVELS[: LEVELS.index(run.level) + 1]
    if "work" in asked and level_done("exchange", verdicts):
        _recall(apart, run)
        _answer_objections(apart, run)
        if verdicts["recall_confirmed"] == DONE:
            _ask_erasure(apart, run)
    if "money" in asked and level_done("exchange", verdicts) and level_done("work", verdicts):
        _update(apart, run)


def _plant(apart: Desk, run: Row[Any], fault: str, number: int) -> None:
    with apart.database.write() as connection:
        transmission_id = _place(
            apart, connection, run, fault, PLANTED_ACCOUNTS, TEST_ACCOUNTS + number * PLANTED_ACCOUNTS
        )
        used = _number_of_test(connection, run) if fault == "repeat" else None
    planting.plant(apart, transmission_id, fault, used)


def _number_of_test(connection: Connection, run: Row[Any]) -> int:
    plan_id = _plan_of(connection, run, "test")
    return int(
        connection.execute(
            select(exchange.TRANSMISSIONS.c.sequence).where(
                exchange.TRANSMISSIONS.c.work_key == f"plan:{plan_id}:{run.agency}"
            )
        ).scalar_one()
    )


def _recall(apart: Desk, run: Row[Any]) -> None:
    with apart.database.write() as connection:
        exchange.take_turn(connection)
        mine = _placements(connection, run)
        mine = mine[mine["plant"] == "test"].head(RECALLED)
        if mine["recall_due_on"].notna().any():
            return
        today = _today(apart)
        due = mine[["placement_id"]].assign(lender=LENDER, agency=run.agency, reason="request")
        until = today + timedelta(days=max(1, apart.settings.recall_days))
        placing.recall(connection, due, today, lambda *_: until, apart.actor, lambda _: _suffix(connection, run))


def _answer_objections(apart: Desk, run: Row[Any]) -> None:
    """An objection to a test recall is dismissed: the agency learns to give the account back all the same."""
    with apart.database.write() as connection:
        for number in connection.execute(
            select(OBJECTIONS.c.objection_id).where(OBJECTIONS.c.agency == run.agency, OBJECTIONS.c.state == "open")
        ).scalars().all():  # fmt: skip
            try:
                placing.decide_objection(
                    connection,
                    number,
                    None,
                    apart.actor,
                    apart.now(),
                    _today(apart),
                    lambda _: _suffix(connection, run),
                )
            except RefusedByPolicy:  # the account is back already: there is nothing left to decide
                continue


def _ask_erasure(apart: Desk, run: Row[Any]) -> None:
    today = _today(apart)
    until = today + timedelta(days=max(1, apart.settings.erasure_days))
    with apart.database.write() as connection:
        placing.request_erasures(connection, LENDER, today, lambda *_: until, lambda _: _suffix(connection, run))


def _update(apart: Desk, run: Row[Any]) -> None:
    """Some balances are told in a file whose control sum is wrong."""
    with apart.database.write() as connection:
        work = exchange.Work(
            f"{_name(run)}:{SPOILT_UPDATE}", LENDER, run.agency, "update", _today(apart), _suffix(connection, run),
            {"reason": "balance"},
        )  # fmt: skip
        transmission_id, new = exchange.prepare(connection, work)
        if new:
            mine = _placements(connection, run)
            told = mine[(mine["plant"] == "test") & (mine["state"] == "acknowledged")].tail(UPDATED)
            bulk.append(
                connection,
                exchange.MEMBERS,
                told[["placement_id", "account_id"]].assign(
                    transmission_id=transmission_id, told_minor=told["balance_minor"] - 100
                ),
            )
    planting.plant(apart, transmission_id, SPOILT_UPDATE)


def _place(apart: Desk, connection: Connection, run: Row[Any], group: str, accounts: int, first: int = 0) -> int:
    """The transmission that places so many of the run's accounts, prepared once."""
    known = _plan_of(connection, run, group)
    if known is not None:
        found = select(exchange.TRANSMISSIONS.c.transmission_id).where(
            exchange.TRANSMISSIONS.c.work_key == f"plan:{known}:{run.agency}"
        )
        return int(connection.execute(found).scalar_one())
    lines = bulk.read(
        connection,
        select(
            ACCOUNTS.c.account_id, ACCOUNTS.c.debtor_id, ACCOUNTS.c.balance_minor, ACCOUNTS.c.dpd, ACCOUNTS.c.bucket,
            ACCOUNTS.c.version,
        )
        .where(ACCOUNTS.c.portfolio_id == _portfolio_of(connection, run))
        .order_by(ACCOUNTS.c.account_id)
        .offset(first)
        .limit(accounts),
    )  # fmt: skip
    policy, now, today = policies.find(connection, POLICY), apart.now(), _today(apart)
    plan_id = bulk.reserve(connection, "plan", 1)
    connection.execute(
        insert(plans.PLANS).values(
            plan_id=plan_id, lender=LENDER, name=f"{_name(run)}:{group}", state="placed", stage=STAGE, purpose=PURPOSE,
            policy=policy.name, policy_version=policy.version, policy_sha256=policy.sha256, allocator="shares",
            seed=run.seed, spec="{}", summary="{}", inputs_sha256="", content_sha256="", accounts=len(lines),
            balance_minor=int(lines["balance_minor"].sum()), currency="CNY", as_of=today, term_days=TERM_DAYS,
            created_by=apart.actor, created_at=now,
        )
    )  # fmt: skip
    bulk.append(
        connection, plans.LINES, lines.assign(plan_id=plan_id, agency=run.agency, segment="all", round=1, why="share")
    )
    plan = connection.execute(select(plans.PLANS).where(plans.PLANS.c.plan_id == plan_id)).one()
    (transmission_id,) = placing.place_plan(
        connection,
        plan,
        today,
        lambda agency: apart.keyring.pseudonym_key(agency).generation,
        lambda _: _suffix(connection, run),
    )
    return transmission_id


# -- what has been seen ------------------------------------------------------------------------------------------------


def _evidence(desk: Desk, apart: Desk, run: Row[Any]) -> Evidence:
    with desk.database.read() as connection:
        run = _run(connection, run.certification_id)
        by_hand = connection.execute(
            select(STEPS).where(STEPS.c.certification_id == run.certification_id, STEPS.c.by.is_not(None))
        )
        known = {row.step: Verdict(row.state, row.code) for row in by_hand}
    with apart.database.read() as connection:
        files, placements = _files(connection, run), _placements(connection, run)
        spoilt = f"{_name(run)}:{SPOILT_UPDATE}"
        kinds = connection.execute(
            select(REMITTED.c.kind, func.count())
            .where(REMITTED.c.agency == run.agency, REMITTED.c.file_id > run.after_file_id)
            .group_by(REMITTED.c.kind)
        )
        counted = {str(kind): int(count) for kind, count in kinds}
        return Evidence(
            today=_today(apart),
            files=files,
            placements=placements,
            refusals=_refusals(connection, run, spoilt),
            known={**_read_back(files), **known},
            recoveries=counted.get("recovery", 0),
            reversals=counted.get("reversal", 0),
            update_sent=connection.execute(
                select(exchange.TRANSMISSIONS.c.state).where(exchange.TRANSMISSIONS.c.work_key == spoilt)
            ).scalar_one_or_none() in {"delivered", "presumed", "acknowledged"},
        )  # fmt: skip


def _files(connection: Connection, run: Row[Any]) -> pd.DataFrame:
    """What the agency sent in this run, in order, with the codes of its refused lines."""
    files = exchange.FILES
    came = bulk.read(
        connection,
        select(
            files.c.file_id, files.c.kind, files.c.state, files.c.refusal_code, files.c.finding, files.c.rows,
            files.c.rows_refused,
        )
        .where(
            files.c.agency == run.agency, files.c.file_id > run.after_file_id,
            files.c.state.in_(("accepted", "refused")),
        )
        .order_by(files.c.file_id),
    )  # fmt: skip
    rejects = bulk.read(
        connection,
        select(REJECTS.c.file_id, REJECTS.c.code).where(REJECTS.c.file_id > run.after_file_id).distinct(),
    )
    codes = rejects.groupby("file_id")["code"].agg(" ".join) if len(rejects) else pd.Series(dtype="str")
    return came.assign(codes=came["file_id"].map(codes).astype("str"))


def _read_back(files: pd.DataFrame) -> dict[str, Verdict]:
    """What the agency's newest `fingerprint` file says of our keys."""
    told = files[(files["kind"] == "fingerprint") & (files["state"] == "accepted")]
    if told.empty:
        return {}
    if told["codes"].fillna("").str.contains("other_key", regex=False).any():
        return {"keys_read_back": Verdict("failed", "other_key")}
    whole = (told["rows_refused"] == 0) & ~told["finding"].fillna("").str.contains("key_not_named", regex=False)
    return {"keys_read_back": DONE} if whole.any() else {}


def _placements(connection: Connection, run: Row[Any]) -> pd.DataFrame:
    """The run's placements, oldest first: what models.certification.Evidence says, and placement_id, account_id."""
    of = exchange.PLACEMENTS
    rows = bulk.read(
        connection,
        select(
            of.c.placement_id, of.c.account_id, of.c.state, of.c.balance_minor, of.c.booked_minor, of.c.end_reason,
            plans.PLANS.c.name, exchange.RECALLS.c.due_on.label("recall_due_on"), exchange.RECALLS.c.confirmed_on,
            exchange.ERASURES.c.erasure_id, exchange.ERASURES.c.verified_at, exchange.ERASURES.c.finding,
        )
        .join(plans.PLANS, plans.PLANS.c.plan_id == of.c.plan_id)
        .outerjoin(exchange.RECALLS, exchange.RECALLS.c.placement_id == of.c.placement_id)
        .outerjoin(exchange.ERASURES, exchange.ERASURES.c.placement_id == of.c.placement_id)
        .where(of.c.agency == run.agency, plans.PLANS.c.name.startswith(f"{_name(run)}:", autoescape=True))
        .order_by(of.c.placement_id),
    )  # fmt: skip
    plant = rows["name"].str.rpartition(":")[2] if len(rows) else pd.Series(dtype="str")
    last = rows.groupby(plant)["placement_id"].transform("max") if len(rows) else rows["placement_id"]
    erasure = pd.Series("", index=rows.index, dtype="object")
    erasure[rows["erasure_id"].notna()] = "asked"
    erasure[rows["finding"].notna()] = "unsatisfied"
    erasure[rows["verified_at"].notna()] = "verified"
    return rows.assign(
        plant=plant,
        delivered=rows["state"] != "planned",
        bad=(plant == "lines") & (rows["placement_id"] == last),
        erasure=erasure.astype("str"),
    )


def _refusals(connection: Connection, run: Row[Any], spoilt: str) -> pd.DataFrame:
    """What the agency could not take: plant, code."""
    sent = exchange.TRANSMISSIONS
    rows = bulk.read(
        connection,
        select(sent.c.work_key, REFUSALS.c.code)
        .join(sent, sent.c.transmission_id == REFUSALS.c.transmission_id)
        .where(REFUSALS.c.agency == run.agency, REFUSALS.c.file_id > run.after_file_id),
    )
    names = bulk.read(
        connection,
        select(plans.PLANS.c.plan_id, plans.PLANS.c.name).where(
            plans.PLANS.c.name.startswith(f"{_name(run)}:", autoescape=True)
        ),
    )
    plant_of = {
        f"plan:{plan_id}:{run.agency}": name.rpartition(":")[2]
        for plan_id, name in zip(names["plan_id"], names["name"], strict=True)
    } | {spoilt: SPOILT_UPDATE}
    return pd.DataFrame({"plant": rows["work_key"].map(plant_of).astype("str"), "code": rows["code"]})


# -- rows --------------------------------------------------------------------------------------------------------------


def _newest(connection: Connection, code: str) -> Row[Any] | None:
    return connection.execute(
        select(RUNS).where(RUNS.c.agency == code).order_by(RUNS.c.certification_id.desc()).limit(1)
    ).one_or_none()


def _run(connection: Connection, number: int) -> Row[Any]:
    return connection.execute(select(RUNS).where(RUNS.c.certification_id == number)).one()


def _current(desk: Desk, number: int) -> Row[Any]:
    with desk.database.read() as connection:
        return _run(connection, number)


def _open(desk: Desk, code: str) -> Row[Any]:
    with desk.database.read() as connection:
        exchange.agency(connection, code)
        run = _newest(connection, code)
    if run is None or run.state != "open":
        message = f"agency {code} has no open certification"
        raise UsageError(message, fix=f"`consign agency certify start {code}`")
    return run


def _note(connection: Connection, number: int, **columns: Any) -> None:
    connection.execute(update(RUNS).where(RUNS.c.certification_id == number).values(**columns))


def _keep(connection: Connection, desk: Desk, run: Row[Any], verdicts: Mapping[str, Verdict]) -> None:
    """The verdicts that are new, each with an event."""
    rows = connection.execute(select(STEPS).where(STEPS.c.certification_id == run.certification_id))
    known = {row.step: Verdict(row.state, row.code) for row in rows}
    for step, verdict in verdicts.items():
        if known.get(step) == verdict:
            continue
        connection.execute(
            update(STEPS)
            .where(STEPS.c.certification_id == run.certification_id, STEPS.c.step == step)
            .values(state=verdict.state, code=verdict.code, since=desk.now())
        )
        if verdict.state in {"done", "failed"}:
            _event(connection, desk, run, step, verdict)


def _event(connection: Connection, desk: Desk, run: Row[Any], step: str, verdict: Verdict) -> None:
    told: dict[str, audit.Value] = {
        "id": run.certification_id, "step": step, "state": verdict.state, "code": verdict.code,
    }  # fmt: skip
    audit.record(connection, desk.actor, "certification.step", run.agency, told, desk.now())


def _by_hand(desk: Desk, run: Row[Any], step: str, verdict: Verdict) -> Verdict:
    """What a person says of a step; a key that differs ends the run and calls for the people who look after keys."""
    with desk.database.write() as connection:
        connection.execute(
            update(STEPS)
            .where(STEPS.c.certification_id == run.certification_id, STEPS.c.step == step)
            .values(state=verdict.state, code=verdict.code, since=desk.now(), by=desk.actor)
        )
        _event(connection, desk, run, step, verdict)
        if verdict.code in STOPS:
            _close(connection, desk, run, "stopped")
    return verdict


def _close(connection: Connection, desk: Desk, run: Row[Any], state: str) -> None:
    now = desk.now()
    _note(connection, run.certification_id, state=state, closed_at=now)
    audit.record(
        connection, desk.actor, f"certification.{state}", run.agency,
        {"id": run.certification_id, "level": run.level}, now,
    )  # fmt: skip
    failed = connection.execute(
        select(STEPS.c.code).where(STEPS.c.certification_id == run.certification_id, STEPS.c.code.in_(STOPS))
    ).first()
    if failed is not None:
        exceptions.open_exception(
            connection, desk, "key_not_confirmed", agency=run.agency, subject=f"certification:{run.certification_id}"
        )


def _certified(connection: Connection, desk: Desk, code: str) -> None:
    """A prospect that has passed is certified; whoever is further on stays there."""
    agency = exchange.agency(connection, code)
    if agency.state != "prospect" or not certificates.standing(connection, desk, code).counts:
        return
    state = moved(f"agency {code}", agency.state, "certified", AGENCY)
    connection.execute(update(exchange.AGENCIES).where(exchange.AGENCIES.c.agency == code).values(state=state))
    audit.record(connection, desk.actor, "agency.state", code, {"state": state}, desk.now())


def _probe(desk: Desk, apart: Desk, run: Row[Any]) -> None:
    """The drop is looked at once in the run; that it cannot be used is a verdict too."""
    with desk.database.read() as connection:
        step = connection.execute(
            select(STEPS).where(STEPS.c.certification_id == run.certification_id, STEPS.c.step == "drop_reached")
        ).one()
    if step.state == "done":
        return
    with apart.database.read() as connection:
        agency = exchange.agency(connection, run.agency)
    verdict = DONE
    try:
        with outbox.reached(apart, agency) as drop:
            drop.probe()
    except ConsignError:
        verdict = Verdict("failed", "unreachable")
    if Verdict(step.state, step.code) != verdict:
        _by_hand(desk, run, "drop_reached", verdict)


def _tell(desk: Desk, apart: Desk, run: Row[Any], verdicts: Mapping[str, Verdict], told: str | None) -> None:
    """The agency is told how it stands, where that is not what it was told last."""
    steps = [[step, verdict.state, verdict.code] for step, verdict in verdicts.items()]
    digest = hashlib.sha256(json.dumps(steps).encode()).hexdigest()
    if digest == told:
        return
    with apart.database.write() as connection:
        work = exchange.Work(
            f"{_name(run)}:status:{(told or '')[:16]}:{digest[:16]}", LENDER, run.agency, "certification",
            _today(apart), _suffix(connection, run), {"steps": steps},
        )  # fmt: skip
        exchange.prepare(connection, work)
    with desk.database.write() as connection:
        _note(connection, run.certification_id, told_sha256=digest)


def _mirror(desk: Desk, apart: Desk, code: str) -> None:
    """The agency stands in the certification's store as it does in the house's, with a contract for test accounts.

    But for its layout: everybody certifies in packages, for a plain file has no manifest to plant a fault in.
    """
    now = apart.now()
    with desk.database.read() as connection:
        agency = exchange.agency(connection, code)
        drop = json.loads(agency.drop)
        if drop.get("kind") == "sftp":
            drop["host_keys"] = list(hostkeys.accepted(connection, agency, now))
    channels = agency.channels if STAGE in agency.channels.split(",") else f"{agency.channels},{STAGE}"
    row = {
        "name": agency.name, "state": "live", "suite": agency.suite, "drop": json.dumps(drop, sort_keys=True),
        "layout": "package", "channels": channels, "remits": agency.remits, "timezone": agency.timezone,
    }  # fmt: skip
    with apart.database.write() as connection:
        if not exchange.lender_exists(connection, LENDER):
            connection.execute(
                insert(bulk.table_of(Lender)).values(
                    lender=LENDER, name="Certification", country="CN", timezone="Asia/Shanghai", created_at=now
                )
            )
            connection.execute(
                insert(COUNTERS), [{"name": name, "next_id": FIRST_ID} for name in ("account", "debtor")]
            )
        known = connection.execute(select(exchange.AGENCIES).where(exchange.AGENCIES.c.agency == code)).one_or_none()
        if known is None:
            connection.execute(
                insert(exchange.AGENCIES).values(agency=code, term_days=TERM_DAYS, created_at=now, **row)
            )
            terms = TERMS.format(remits=agency.remits)
            connection.execute(
                insert(bulk.table_of(AgencyContract)).values(
                    agency=code, lender=LENDER, effective_from=_today(apart) - timedelta(days=366), terms=terms,
                    sha256=hashlib.sha256(terms.encode()).hexdigest(), created_by=apart.actor, created_at=now,
                )
            )  # fmt: skip
        elif any(getattr(known, name) != value for name, value in row.items()):
            connection.execute(update(exchange.AGENCIES).where(exchange.AGENCIES.c.agency == code).values(**row))


def source_name(run: Row[Any]) -> str:
    """The name of the file that the run's synthetic accounts are taken in from."""
    return f"{_name(run)}.csv"


def _name(run: Row[Any]) -> str:
    return f"run-{run.certification_id}-{run.agency}"


def _portfolio_of(connection: Connection, run: Row[Any]) -> int:
    from infra.store.portfolios import PORTFOLIOS

    return int(
        connection.execute(
            select(func.max(PORTFOLIOS.c.portfolio_id)).where(
                PORTFOLIOS.c.source == source_name(run), PORTFOLIOS.c.state == "accepted"
            )
        ).scalar_one()
    )


def _plan_of(connection: Connection, run: Row[Any], group: str) -> int | None:
    return connection.execute(
        select(plans.PLANS.c.plan_id).where(plans.PLANS.c.name == f"{_name(run)}:{group}")
    ).scalar_one_or_none()


def _placed_any(apart: Desk, run: Row[Any]) -> bool:
    with apart.database.read() as connection:
        return _plan_of(connection, run, "test") is not None


def _suffix(connection: Connection, run: Row[Any]) -> str:
    return packing.suffix_of(exchange.agency(connection, run.agency).suite)


def _today(apart: Desk) -> Any:
    return apart.today()
