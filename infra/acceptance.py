"""What an accepted line of each kind changes in the store, in one bulk statement per kind and never row by row."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from sqlalchemy import Connection, Row, select, update

from infra import complaints as register
from infra import exceptions, rotation
from infra.store import bulk, erasures, exchange, placing, recon, subjects
from keys.entries import opens
from models.certification import same_fingerprint
from models.checking import no_rejects, rejects_at, rest_of_plans
from models.tables import Account, Activity, Complaint, FileRefusal, Hold, Instalment, InstalmentPlan, RecallObjection

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date, datetime

    from infra.wiring import Desk
    from models.kinds import Kind


NO_METHOD: Final = frozenset({"none", "n/a", "na", "-", "--", "?", "unknown", "无", "不详"})
"""What an agency writes where it does not say how it erased."""


@dataclass(frozen=True)
class Arrival:
    """A file's good lines, with the accounts behind their pseudonyms, in the transaction that takes them in."""

    connection: Connection
    agency: Row[Any]
    file_id: int
    lender: str
    kind: Kind
    lines: pd.DataFrame
    account_ids: np.ndarray
    """int64, one per line"""
    known: np.ndarray
    """bool, one per line: the pseudonym is one of ours"""
    now: datetime
    today: date
    """where the lender is"""
    desk: Desk


@dataclass(frozen=True)
class Outcome:
    """Lines refused after all, and what somebody must look at."""

    rejects: pd.DataFrame = field(default_factory=no_rejects)
    finding: str | None = None


def accept(arrival: Arrival) -> Outcome:
    """The lines take effect; those that cannot are returned as refusals."""
    return _ACCEPT[arrival.kind.name](arrival)


def _placed(arrival: Arrival) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The lines joined to their placement at this agency for this lender, and the refusals of those that have none."""
    lines = arrival.lines.assign(account_id=arrival.account_ids)
    refused = [rejects_at(lines.loc[~arrival.known, "line"].to_numpy(), "account", "unknown_account")]
    lines = lines[arrival.known]
    placements = exchange.placements_of(arrival.connection, arrival.agency.agency, lines["account_id"])
    placements = placements[placements["lender"] == arrival.lender]
    joined = lines.merge(
        placements.drop(columns="lender").rename(
            columns={"currency": "placed_currency", "balance_minor": "placed_minor"}
        ),
        on="account_id",
        how="left",
        validate="many_to_one",
    )
    missing = joined["placement_id"].isna()
    refused.append(rejects_at(joined.loc[missing, "line"].to_numpy(), "account", "not_placed"))
    return joined[~missing].astype({"placement_id": "int64"}), pd.concat(refused, ignore_index=True)


def _in_currency(lines: pd.DataFrame, rejects: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    other = lines["currency"].notna() & (lines["currency"] != lines["placed_currency"])
    if not other.any():
        return lines, rejects
    return lines[~other], pd.concat(
        [rejects, rejects_at(lines.loc[other, "line"].to_numpy(), "currency", "wrong_currency")], ignore_index=True
    )


def _acknowledgement(arrival: Arrival) -> Outcome:
    lines, rejects = _in_currency(*_placed(arrival))
    booked = lines[(lines["status"] == "booked") & lines["state"].isin(["placed", "acknowledged"])]
    bulk.set_columns(
        arrival.connection,
        exchange.PLACEMENTS,
        booked[["placement_id"]].assign(
            state="acknowledged", acknowledged_at=arrival.now, booked_minor=booked["booked_balance_minor"]
        ),
        ["placement_id"],
    )
    declined = lines[(lines["status"] == "rejected") & lines["state"].isin(["placed", "acknowledged"])]
    _close(arrival, declined.assign(reason="declined", on=declined["booked_on"]))
    differs = int((booked["booked_balance_minor"] != booked["placed_minor"]).sum())
    return Outcome(rejects, f"booked_balance_differs:{differs}" if differs else None)


def _activity(arrival: Arrival) -> Outcome:
    lines, rejects = _placed(arrival)
    at = pd.to_datetime(lines["at"], format="ISO8601", utc=True)
    zone = lines["at"].str.extract(r"([+-])(\d{2}):(\d{2})$")
    minutes: pd.Series[int] = (zone[1].fillna("0").astype(int) * 60 + zone[2].fillna("0").astype(int)) * np.where(
        zone[0] == "-", -1, 1
    )
    bulk.append(
        arrival.connection,
        Activity,
        lines[["line", "placement_id", "channel", "contact_point_ref", "outcome", "collector_ref"]].assign(
            file_id=arrival.file_id, agency=arrival.agency.agency, at=at, offset_minutes=minutes.astype("int64")
        ),
    )
    return Outcome(rejects)


def _return(arrival: Arrival) -> Outcome:
    lines, rejects = _placed(arrival)
    _close(arrival, lines.assign(on=lines["returned_on"]))
    return Outcome(rejects)


def _close(arrival: Arrival, lines: pd.DataFrame) -> None:
    """Placements that the agency gives back are closed; a recall of them is confirmed."""
    live = lines[lines["state"].isin(exchange.AT_AGENCY)]
    if live.empty:
        return
    bulk.set_columns(
        arrival.connection,
        exchange.PLACEMENTS,
        live[["placement_id"]].assign(state="closed", ended_on=live["on"], end_reason=live["reason"]),
        ["placement_id"],
    )
    recalls = exchange.RECALLS
    with bulk.staged(arrival.connection, recalls, live[["placement_id"]].assign(confirmed_on=live["on"])) as stage:
        arrival.connection.execute(
            update(recalls)
            .where(recalls.c.placement_id == stage.c.placement_id, recalls.c.confirmed_on.is_(None))
            .values(confirmed_on=stage.c.confirmed_on, confirmed_by_file_id=arrival.file_id)
        )
    accounts = bulk.table_of(Account)
    ended = live.loc[
        live["reason"].isin(["deceased", "bankrupt", "disputed"]), ["debtor_id", "reason"]
    ].drop_duplicates("debtor_id")
    if len(ended):
        bulk.append(
            arrival.connection,
            Hold,
            ended.assign(
                reason=ended["reason"].map({"deceased": "deceased", "bankrupt": "insolvent", "disputed": "dispute"}),
                since=pd.Timestamp(arrival.today),
                placed_by=arrival.agency.agency,
            ),
        )
    paid = live.loc[
        live["reason"].isin(["paid", "settled"]) & (live.get("final_balance_minor", pd.Series(dtype="Int64")) == 0),
        ["account_id"],
    ]
    if len(paid):
        bulk.set_columns(arrival.connection, accounts, paid.drop_duplicates().assign(status="paid"), ["account_id"])


def _money(arrival: Arrival) -> pd.DataFrame:
    ids = pd.Series(arrival.account_ids, dtype="Int64").where(pd.Series(arrival.known))
    return arrival.lines.assign(account_id=ids.to_numpy())


def _remittance(arrival: Arrival) -> Outcome:
    lines = _money(arrival)
    lines = lines.assign(
        account_id=lines["account_id"].astype("Int64"),
        commission_minor=lines["commission_minor"].fillna(0).astype("int64"),
        vat_minor=lines["vat_minor"].fillna(0).astype("int64"),
        gross_minor=lines["gross_minor"].astype("int64"),
        net_minor=lines["net_minor"].astype("int64"),
    )
    recon.accept_remittance(
        arrival.connection,
        file_id=arrival.file_id,
        lender=arrival.lender,
        agency=arrival.agency.agency,
        frame=lines,
        now=arrival.now,
    )
    return Outcome(rejects_at(lines.loc[~arrival.known, "line"].to_numpy(), "account", "unknown_account"))


def _invoice(arrival: Arrival) -> Outcome:
    lines = _money(arrival)
    amounts = {name: lines[name].astype("int64") for name in ("base_minor", "commission_minor", "vat_minor")}
    recon.accept_invoice(
        arrival.connection, file_id=arrival.file_id, lender=arrival.lender, agency=arrival.agency.agency,
        frame=lines.assign(account_id=lines["account_id"].astype("Int64"), **amounts), now=arrival.now,
    )  # fmt: skip
    return Outcome(rejects_at(lines.loc[~arrival.known, "line"].to_numpy(), "account", "unknown_account"))


def _erasure_certificate(arrival: Arrival) -> Outcome:
    """A certificate satisfies where we asked for it, it covers everything that was told, and its date can be true.

    It speaks of an account: it answers every request that is open for a placement of it at this agency. What it does
    not name stays open.
    """
    lines, rejects = _placed(arrival)
    asked = exchange.erasures_of(arrival.connection, arrival.agency.agency, lines["account_id"])
    unasked = ~lines["account_id"].isin(asked["account_id"])
    rejects = pd.concat(
        [rejects, rejects_at(lines.loc[unasked, "line"].to_numpy(), "account", "not_recalled")], ignore_index=True
    )
    told = asked[asked["verified_at"].isna()][["account_id", "placement_id", "requested_on"]].merge(
        lines[["account_id", "erased_at", "scope", "retained", "method", "certified_by"]],
        on="account_id",
        validate="many_to_one",
    )
    disclosed = erasures.last_told(arrival.connection, arrival.agency.agency, told["account_id"])
    told = told.merge(disclosed, on="account_id", how="left", validate="many_to_one")
    erased_at = pd.to_datetime(told["erased_at"], format="ISO8601", utc=True)
    finding = _wanting(arrival, told, erased_at)
    bulk.set_columns(
        arrival.connection,
        exchange.ERASURES,
        told[["placement_id", "method", "certified_by"]].assign(
            certificate_file_id=arrival.file_id,
            erased_at=erased_at,
            finding=finding,
            verified_at=pd.Series(pd.Timestamp(arrival.now), index=told.index).where(finding.isna()),
        ),
        ["placement_id"],
    )
    unsatisfied = int(finding.notna().sum())
    return Outcome(rejects, f"certificate_unsatisfied:{unsatisfied}" if unsatisfied else None)


def _wanting(arrival: Arrival, told: pd.DataFrame, erased_at: pd.Series) -> pd.Series:
    """Why each certificate does not satisfy; none where it does. A day is allowed for the agency's zone."""
    day = pd.Timedelta(days=1)
    finding = pd.Series(None, index=told.index, dtype="str")
    finding[told["scope"] != "all"] = "partial"
    finding[told["retained"].notna()] = "something was retained"
    finding[told["method"].str.strip().str.lower().isin(NO_METHOD)] = "it does not say how"
    finding[erased_at + day < told["told_at"]] = "dated before the last file that told of it"
    finding[erased_at.dt.tz_localize(None) < told["requested_on"] - day] = "dated before it was asked for"
    finding[erased_at > pd.Timestamp(arrival.now) + day] = "dated in the future"
    return finding


def _correction_confirmation(arrival: Arrival) -> Outcome:
    """What the agency says of corrections that we told it: made, or nothing of the kind held."""
    lines, rejects = _placed(arrival)
    waiting = subjects.waiting_corrections(arrival.connection, arrival.agency.agency, lines["account_id"])
    told = lines[["line", "account_id", "field", "status", "corrected_on"]].merge(
        waiting, on=["account_id", "field"], how="left"
    )
    unasked = told["correction_id"].isna()
    rejects = pd.concat(
        [rejects, rejects_at(told.loc[unasked, "line"].to_numpy(), "field", "no_correction")], ignore_index=True
    )
    answered = told[~unasked].drop_duplicates("correction_id", keep="last").astype({"correction_id": "int64"})
    bulk.set_columns(
        arrival.connection,
        exchange.CORRECTIONS,
        answered[["correction_id"]].assign(
            state=answered["status"], confirmed_on=answered["corrected_on"], confirmed_by_file_id=arrival.file_id
        ),
        ["correction_id"],
    )
    return Outcome(rejects)


def _complaint(arrival: Arrival) -> Outcome:
    """Complaints are recorded, and put the debtor on hold at once."""
    named = arrival.lines["account"].notna().to_numpy()
    lines = arrival.lines.assign(account_id=arrival.account_ids)
    unknown = named & ~arrival.known
    rejects = rejects_at(lines.loc[unknown, "line"].to_numpy(), "account", "unknown_account")
    lines = lines[~unknown]
    placements = exchange.placements_of(
        arrival.connection, arrival.agency.agency, lines.loc[lines["account"].notna(), "account_id"]
    )
    placements = placements[placements["lender"] == arrival.lender]
    lines = lines.merge(placements[["account_id", "placement_id", "debtor_id"]], on="account_id", how="left")
    complaints = bulk.table_of(Complaint)
    known = bulk.read(
        arrival.connection, select(complaints.c.complaint_ref).where(complaints.c.agency == arrival.agency.agency)
    )
    new = lines[~lines["complaint_ref"].isin(known["complaint_ref"])]
    bulk.append(
        arrival.connection,
        complaints,
        new[["complaint_ref", "received_on", "category"]].assign(
            severity=new["severity"].fillna("normal"),
            placement_id=new["placement_id"].astype("Int64"),
            agency=arrival.agency.agency,
            file_id=arrival.file_id,
            lender=arrival.lender,
            due_on=new["received_on"] + pd.Timedelta(days=register.answer_days_of(arrival.connection, arrival.lender)),
        ),
    )
    held = (
        new.loc[new["debtor_id"].notna(), ["debtor_id", "received_on"]]
        .drop_duplicates("debtor_id")
        .astype({"debtor_id": "int64"})
    )
    bulk.append(
        arrival.connection,
        Hold,
        held[["debtor_id"]].assign(
            reason="complaint",
            since=held["received_on"].clip(upper=pd.Timestamp(arrival.today)),
            placed_by=arrival.agency.agency,
        ),
    )
    return Outcome(rejects)


def _plan(arrival: Arrival) -> Outcome:
    """Instalment plans are proposals: each is kept whole, once, for a person to decide on."""
    lines, rejects = _in_currency(*_placed(arrival))
    gone = ~lines["state"].isin(exchange.AT_AGENCY)
    known = lines["plan_ref"].isin(
        placing.known_plans(arrival.connection, arrival.agency.agency, arrival.lender, lines["plan_ref"])
    )
    late = [
        rejects_at(lines.loc[gone, "line"].to_numpy(), "account", "not_placed"),
        rejects_at(lines.loc[known & ~gone, "line"].to_numpy(), "plan_ref", "plan_known"),
    ]
    rejects = pd.concat([rejects, *late], ignore_index=True)
    rejects = pd.concat([rejects, rest_of_plans(arrival.lines, rejects)], ignore_index=True)
    whole = lines[~lines["line"].isin(rejects["line"])].sort_values(["plan_ref", "instalment"])
    if whole.empty:
        return Outcome(rejects)
    plans = whole.groupby("plan_ref", sort=True).agg(
        placement_id=("placement_id", "first"), currency=("currency", "first"), total_minor=("amount_minor", "sum"),
        instalments=("line", "size"), first_due_on=("due_on", "min"), last_due_on=("due_on", "max"),
        income_band=("income_band", "first"),
    ).reset_index()  # fmt: skip
    first = bulk.reserve(arrival.connection, "instalment_plan", len(plans))
    plans = plans.assign(instalment_plan_id=np.arange(first, first + len(plans), dtype=np.int64))
    bulk.append(
        arrival.connection,
        InstalmentPlan,
        plans.assign(
            agency=arrival.agency.agency, lender=arrival.lender, state="proposed", file_id=arrival.file_id,
            proposed_at=arrival.now,
        ),
    )  # fmt: skip
    bulk.append(
        arrival.connection,
        Instalment,
        whole.merge(plans[["plan_ref", "instalment_plan_id"]], on="plan_ref", validate="many_to_one")
        .rename(columns={"instalment": "number"})
        .astype({"number": "int64", "amount_minor": "int64"})[
            ["instalment_plan_id", "number", "due_on", "amount_minor"]
        ],
    )
    return Outcome(rejects, f"plans_proposed:{len(plans)}")


def _hold_request(arrival: Arrival) -> Outcome:
    """A hold that the agency asks for counts at once, for the whole debtor; a person may lift it."""
    lines, rejects = _placed(arrival)
    asked = (
        lines[["debtor_id", "reason", "since", "until"]]
        .sort_values("until", na_position="first")
        .drop_duplicates(["debtor_id", "reason"])
    )
    new = placing.not_yet_held(arrival.connection, asked)
    today = pd.Timestamp(arrival.today)
    since = new["since"].mask(new["since"] > today, today)
    bulk.append(arrival.connection, Hold, new.assign(since=since, placed_by=arrival.agency.agency))
    return Outcome(rejects, f"holds_requested:{len(new)}" if len(new) else None)


def _recall_objection(arrival: Arrival) -> Outcome:
    """An objection is kept for a person to decide on; until then the recall stands."""
    lines, rejects = _placed(arrival)
    recalled = placing.open_recalls(arrival.connection, arrival.agency.agency, lines["placement_id"])
    none = ~lines["placement_id"].isin(recalled)
    rejects = pd.concat(
        [rejects, rejects_at(lines.loc[none, "line"].to_numpy(), "account", "no_recall")], ignore_index=True
    )
    objected = lines.loc[~none, ["line", "placement_id", "reason", "keep_until"]]
    bulk.append(
        arrival.connection,
        RecallObjection,
        objected.assign(file_id=arrival.file_id, agency=arrival.agency.agency, state="open"),
    )
    return Outcome(rejects, f"recall_objections:{len(objected)}" if len(objected) else None)


def _refusal(arrival: Arrival) -> Outcome:
    """What the agency cannot take of ours is on record, and somebody's to mend: it has not booked it."""
    agency = arrival.agency.agency
    sent = exchange.transmissions_named(arrival.connection, agency, arrival.lender, arrival.lines["file"])
    lines = arrival.lines.merge(sent, left_on="file", right_on="name", how="left", validate="many_to_one")
    unknown = lines["transmission_id"].isna()
    refused = lines[~unknown].astype({"transmission_id": "int64"})
    bulk.append(
        arrival.connection,
        FileRefusal,
        refused[["transmission_id", "at_line", "at_column", "code"]].assign(agency=agency, file_id=arrival.file_id),
    )
    for name, of_file in refused.groupby("file", sort=True):
        exceptions.open_exception(
            arrival.connection, arrival.desk, "refused_by_agency", agency=agency, lender=arrival.lender,
            subject=f"transmission:{name}", detail={"codes": sorted(set(of_file["code"])), "lines": len(of_file)},
        )  # fmt: skip
    rejects = rejects_at(lines.loc[unknown, "line"].to_numpy(), "file", "unknown_file")
    return Outcome(rejects, f"refused_by_agency:{refused['file'].nunique()}" if len(refused) else None)


def _fingerprint(arrival: Arrival) -> Outcome:
    """The agency sees the keys that we hold, ours and its own; where it does not, somebody may sit between us."""
    agency, suite, ring = arrival.agency.agency, arrival.agency.suite, arrival.desk.keyring
    held = {"lender": ring.opening_keys(suite, str(arrival.lender or "")), "agency": ring.trusted_keys(agency, suite)}
    lines, other = arrival.lines, []
    named: set[tuple[str, str]] = set()
    installed: list[str] = []
    for line in lines.itertuples():  # a handful of keys, not of accounts
        valid = [key for key in held[str(line.whose)] if opens(key, arrival.now)]  # also one that was announced
        prints = {key.fingerprint if line.use == "sign" else key.public["encrypt_fingerprint"]: key for key in valid}
        if same := [key for one, key in prints.items() if same_fingerprint(str(line.fingerprint), one)]:
            named.add((str(line.whose), str(line.use)))
            installed += [key.fingerprint for key in same if (line.whose, line.use) == ("lender", "sign")]
        else:
            other.append(line.line)
    if other:
        exceptions.open_exception(
            arrival.connection, arrival.desk, "key_not_confirmed", agency=agency, lender=arrival.lender,
            subject=f"file:{arrival.file_id}", detail={"file_id": arrival.file_id, "lines": len(other)},
        )  # fmt: skip
    rotation.confirmed(arrival.connection, arrival.desk, agency, installed)
    missing = [use for use in ("sign", "encrypt") if ("lender", use) not in named]
    rejects = rejects_at(np.array(other, dtype=np.int64), "fingerprint", "other_key")
    return Outcome(rejects, f"key_not_named:{','.join(missing)}" if missing else None)


_ACCEPT: Mapping[str, Callable[[Arrival], Outcome]] = {
    "acknowledgement": _acknowledgement,
    "activity": _activity,
    "return": _return,
    "remittance": _remittance,
    "invoice": _invoice,
    "erasure_certificate": _erasure_certificate,
    "correction_confirmation": _correction_confirmation,
    "complaint": _complaint,
    "plan": _plan,
    "hold_request": _hold_request,
    "recall_objection": _recall_objection,
    "refusal": _refusal,
    "fingerprint": _fingerprint,
}
