"""What goes into each kind of package to an agency: its columns, its frames, shard by shard, and what it discloses."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sqlalchemy import Connection, Row, func, select

from infra import policies
from infra.store import bulk, consolidation
from infra.store.exchange import MEMBERS
from keys.pseudonyms import PseudonymKey, pseudonyms
from keys.vault import open_cells
from models import release as releases
from models.errors import RefusedByPolicy
from models.kinds import KINDS, Field
from models.money import exponent
from models.tables import (
    Account,
    Erasure,
    Identity,
    InboundFile,
    InboundReject,
    Placement,
    Plan,
    Recall,
    RemittanceLine,
)
from models.treatments import JOINT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from keys.keyring import Keyring

SHA256 = re.compile(r"[0-9a-f]{64}")
RECEIPT_TYPES = {field.column: "Int64" if field.type == "integer" else "str" for field in KINDS["receipt"].fields}

ACCOUNT_ID = "account_id"
JOINT_IDS = 1 << 62
JOINT_DIGITS = 15
"""Hex digits of a link that its number has: 60 bits."""
ACCOUNTS = bulk.table_of(Account)
IDENTITIES = bulk.table_of(Identity)
PLACEMENTS = bulk.table_of(Placement)
PLANS = bulk.table_of(Plan)


@dataclass(frozen=True)
class Disclosed:
    """One field of a package, for the disclosure register."""

    field: str
    treatment: str
    value_class: str


@dataclass(frozen=True)
class Contents:
    """A package's columns and frames, and what the register is to say of it."""

    fields: Sequence[Field]
    frames: Iterator[pd.DataFrame]
    """where their index is called ACCOUNT_ID, each line is about that account"""
    purpose: str
    basis: str
    policy: str
    policy_version: str
    disclosed: Sequence[Disclosed]
    erase_after_days: int = 0
    manifest: Mapping[str, Any] = field(default_factory=dict)
    release: releases.Release | None = None
    """what its lines leave under, where a policy speaks of them"""


@dataclass(frozen=True)
class Composing:
    """What a composer works with."""

    connection: Connection
    keyring: Keyring
    row: Row[Any]
    """the transmission"""
    agency: Row[Any]
    shard_rows: int


def contents_of(work: Composing) -> Contents:
    """The contents of a transmission, by its kind. Frames are drawn lazily on the given connection."""
    return _COMPOSERS[work.row.kind](work)


def account_pseudonyms(key: PseudonymKey, account_ids: pd.Series) -> pd.Series:
    """The agency's names for these accounts."""
    return pseudonyms(key, account_ids.to_numpy(dtype=np.int64))


def debtor_pseudonyms(key: PseudonymKey, debtor_ids: pd.Series) -> pd.Series:
    """The agency's names for these debtors: they lie on the negative side of the id space, so none is an account's."""
    return pseudonyms(key, -debtor_ids.to_numpy(dtype=np.int64))


def joint_ids(links: pd.Series) -> np.ndarray:
    """A number for each link, far beyond every account's: two of a million links are one with a chance of 10**-6."""
    return np.array([JOINT_IDS | int(link[:JOINT_DIGITS], 16) for link in links], dtype=np.int64)


def joint_pseudonyms(key: PseudonymKey, ids: pd.Series) -> pd.Series:
    """The agency's names for linked debtors, by their `joint_ids`."""
    return pseudonyms(key, ids.to_numpy(dtype=np.int64))


# -- placement ---------------------------------------------------------------------------------------------------------

_FACTS = (
    "account_id", "product", "original_minor", "principal_minor", "interest_minor", "fees_minor", "region", "opened_on",
    "due_on", "last_paid_on", "score_band", "as_of",
)  # fmt: skip
_PLACED = (
    "placement_id", "debtor_id", "currency", "balance_minor", "dpd", "bucket", "stage", "round", "placed_on",
    "due_back_on", "key_generation",
)  # fmt: skip
_ONE_AT_A_TIME = threading.Lock()
"""SQLite's driver gives up the interpreter's lock at every row: four agencies' threads that read side by side spend as
much time on handing it over as on reading. Writing, sealing and sending need no such lock, and go on beside it."""
_ALWAYS = ("placement_id", "account_id", "debtor_id", "key_generation")
"""What pseudonyms and sealed cells are made with."""


def _approved(work: Composing) -> tuple[Row[Any], releases.Release]:
    """The plan of the transmission's placements, and what was approved with it to leave to this agency.

    What is placed now goes under the policy that is in force; a word about what was placed then, under that one's own.
    """
    plan = work.connection.execute(select(PLANS).where(PLANS.c.plan_id == json.loads(work.row.spec)["plan_id"])).one()
    if work.row.kind == "placement":
        policy = policies.find(work.connection, plan.policy)
    else:
        policy = policies.as_approved(work.connection, plan.policy, plan.policy_version, plan.policy_sha256)
    if policy.sha256 != plan.policy_sha256:
        message = f"release policy {plan.policy} is not the one that plan {plan.plan_id} was approved under"
        raise RefusedByPolicy(message, fix="make the plan again, so that what would leave is approved as it stands")
    return plan, policy.release(plan.purpose, plan.stage, work.agency.channels.split(","), work.row.agency)


def _placement(work: Composing) -> Contents:
    plan, release = _approved(work)
    mine = PLACEMENTS.c.transmission_id == work.row.transmission_id
    return Contents(
        fields=release.fields,
        frames=_placement_frames(work, release, mine),
        purpose=plan.purpose,
        basis=release.basis,
        policy=release.policy,
        policy_version=release.version,
        disclosed=[
            Disclosed(name, treatment.how, releases.VALUE_CLASSES[name])
            for name, treatment in release.treatments.items()
            if treatment.how != "drop"
        ]
        + [Disclosed(name, "pseudonym", "pseudonym") for name in releases.PSEUDONYMS],
        erase_after_days=plan.term_days + release.erase_after_days,
        manifest={"plan": plan.plan_id, "stage": plan.stage, "purpose": plan.purpose, "basis": release.basis},
        release=release,
    )


def _placement_frames(
    work: Composing, release: releases.Release, mine: Any, only: Sequence[str] | None = None
) -> Iterator[pd.DataFrame]:
    """The released accounts of the placements that are `mine`, shard by shard in order; `only` these fields of them."""
    sealed = sorted(release.needs_identity)
    wanted = {*release.sources, *_ALWAYS}
    rows = (
        select(
            *(PLACEMENTS.c[name] for name in _PLACED if name in wanted),
            *(ACCOUNTS.c[name] for name in _FACTS if name in wanted),
            *([IDENTITIES.c.data_key_id] if sealed else []),
            *(IDENTITIES.c[name] for name in sealed),
        )
        .join(ACCOUNTS, ACCOUNTS.c.account_id == PLACEMENTS.c.account_id)
        .order_by(PLACEMENTS.c.placement_id)
    )
    if sealed:
        rows = rows.outerjoin(IDENTITIES, IDENTITIES.c.account_id == PLACEMENTS.c.account_id)
    key = PLACEMENTS.c.placement_id
    low, high = work.connection.execute(select(func.min(key), func.max(key)).where(mine)).one()
    if low is None:
        return
    # by ranges of the key: a LIMIT would sort what is left of the transmission anew for every shard
    for first in range(low, high + 1, work.shard_rows):
        with _ONE_AT_A_TIME:
            shard = bulk.read(work.connection, rows.where(mine, key.between(first, first + work.shard_rows - 1)))
            if shard.empty:
                continue
            opened = _named(work, opened_identities(work, shard, sealed)).set_index(ACCOUNT_ID, drop=False)
            if JOINT in release.treatments:
                opened = _joint(work, opened)
            shard = releases.minimise(opened, release, only)
        yield shard


def _named(work: Composing, shard: pd.DataFrame) -> pd.DataFrame:
    """The shard with the agency's pseudonyms, under the generation that each placement was made with."""
    parts = []
    for generation, part in shard.groupby("key_generation", sort=False):
        key = work.keyring.pseudonym_key(work.row.agency, str(generation))
        parts.append(
            part.assign(
                account=account_pseudonyms(key, part["account_id"]).set_axis(part.index),
                debtor=debtor_pseudonyms(key, part["debtor_id"]).set_axis(part.index),
            )
        )
    return parts[0] if len(parts) == 1 else pd.concat(parts).sort_values("placement_id")


def _joint(work: Composing, shard: pd.DataFrame) -> pd.DataFrame:
    """The shard with the joint reference of every debtor who is linked with another lender's today."""
    links = consolidation.links(work.connection, shard["debtor_id"], work.row.prepared_on)
    ids = shard["debtor_id"].map(pd.Series(joint_ids(links["link"]), index=links["debtor_id"], dtype="int64"))
    parts = [
        joint_pseudonyms(work.keyring.pseudonym_key(work.row.agency, str(generation)), part).set_axis(part.index)
        for generation, part in ids[ids.notna()].groupby(shard["key_generation"], sort=False)
    ]
    told = pd.concat(parts) if parts else pd.Series(dtype="str")
    return shard.assign(**{JOINT: told.reindex(shard.index).astype("str")})


def opened_identities(work: Composing, shard: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The shard with its sealed cells opened; an account without an identity has none."""
    if not columns:
        return shard
    there = shard if shard["data_key_id"].notna().all() else shard[shard["data_key_id"].notna()]
    keys, ids = work.keyring.keys_of_rows(there["data_key_id"]), there["account_id"].to_numpy(dtype=np.int64)
    opened = {name: open_cells(keys, name, ids, there[name].tolist()).set_axis(there.index) for name in columns}
    if len(there) < len(shard):
        opened = {name: column.reindex(shard.index) for name, column in opened.items()}
    return shard.assign(**opened)


# -- the other kinds ---------------------------------------------------------------------------------------------------


def _member_frames(
    work: Composing, columns: Sequence[Any], shape: Callable[[pd.DataFrame], pd.DataFrame], *joins: Any
) -> Iterator[pd.DataFrame]:
    """Frames over the transmission's members joined to their placement, account and whatever else is named."""
    after = 0
    while True:
        statement = (
            select(MEMBERS.c.account_id, PLACEMENTS.c.placement_id, PLACEMENTS.c.key_generation, *columns)
            .select_from(MEMBERS)
            .join(PLACEMENTS, PLACEMENTS.c.placement_id == MEMBERS.c.placement_id)
            .join(ACCOUNTS, ACCOUNTS.c.account_id == MEMBERS.c.account_id)
        )
        for table, on in joins:
            statement = statement.join(table, on)
        shard = bulk.read(
            work.connection,
            statement.where(MEMBERS.c.transmission_id == work.row.transmission_id, MEMBERS.c.account_id > after)
            .order_by(MEMBERS.c.account_id)
            .limit(work.shard_rows),
        )
        if shard.empty:
            return
        after = int(shard["account_id"].iloc[-1])
        named = pd.concat(
            part.assign(
                account=account_pseudonyms(
                    work.keyring.pseudonym_key(work.row.agency, str(g)), part["account_id"]
                ).set_axis(part.index)
            )
            for g, part in shard.groupby("key_generation", sort=False)
        ).sort_values("account_id")
        yield shape(named.set_index(ACCOUNT_ID, drop=False))


def _plain(work: Composing, frames: Iterator[pd.DataFrame], purpose: str, financial: Sequence[str] = ()) -> Contents:
    """Contents that speak of placements the agency already knows: no identity in them.

    financial: those of the kind's columns that are about money. Every column is on the register, for every one leaves.
    """
    fields = KINDS[work.row.kind].fields
    classes = {"account": "pseudonym", **dict.fromkeys(financial, "financial")}
    return Contents(
        fields=fields,
        frames=frames,
        purpose=purpose,
        basis="contract with the agency",
        policy="exchange",
        policy_version="1",
        disclosed=[
            Disclosed(one.name, "pseudonym" if one.name == "account" else "release", classes.get(one.name, "fact"))
            for one in fields
        ],
    )


def _update(work: Composing) -> Contents:
    spec = json.loads(work.row.spec)

    def shape(shard: pd.DataFrame) -> pd.DataFrame:
        return shard.assign(
            reason=spec["reason"],
            payment_minor=pd.Series(pd.NA, index=shard.index, dtype="Int64"),
            effective_on=shard["as_of"],
        )

    columns = (ACCOUNTS.c.currency, MEMBERS.c.told_minor.label("balance_minor"), ACCOUNTS.c.as_of)
    return _plain(work, _member_frames(work, columns, shape), "update", ("balance", "payment"))


def _recall(work: Composing) -> Contents:
    recalls = bulk.table_of(Recall)
    columns = (recalls.c.reason, recalls.c.due_on.label("due_back_on"))
    joins = ((recalls, recalls.c.placement_id == MEMBERS.c.placement_id),)
    return _plain(work, _member_frames(work, columns, lambda shard: shard, *joins), "recall")


def _erasure(work: Composing) -> Contents:
    erasures = bulk.table_of(Erasure)
    columns = (erasures.c.due_on.label("erase_by"),)
    joins = ((erasures, erasures.c.placement_id == MEMBERS.c.placement_id),)
    return _plain(work, _member_frames(work, columns, lambda shard: shard.assign(scope="all"), *joins), "erasure")


def _correction(work: Composing) -> Contents:
    """The corrected fields as the placement would tell them now: under its own policy, treated as it treats them."""
    plan, release = _approved(work)
    told = json.loads(work.row.spec)
    mine = PLACEMENTS.c.placement_id.in_(
        select(MEMBERS.c.placement_id).where(MEMBERS.c.transmission_id == work.row.transmission_id)
    )
    last = work.connection.execute(select(func.max(PLACEMENTS.c.due_back_on)).where(mine)).scalar_one()
    kept = (last - work.row.prepared_on).days + release.erase_after_days
    frames = _placement_frames(work, release, mine, told["fields"])
    since = pd.Timestamp(told["effective_on"])
    kind = KINDS["correction"]
    fields = [one for one in release.fields if one.name in told["fields"]]
    return Contents(
        fields=[kind.field("account"), kind.field("effective_on"), *fields],
        frames=(shard.drop(columns="debtor").assign(effective_on=since) for shard in frames),
        purpose=plan.purpose,
        basis=release.basis,
        policy=release.policy,
        policy_version=release.version,
        disclosed=[Disclosed("account", "pseudonym", "pseudonym"), Disclosed("effective_on", "release", "fact")]
        + [Disclosed(one.name, release.treatments[one.name].how, releases.VALUE_CLASSES[one.name]) for one in fields],
        erase_after_days=max(kept, 0),
        manifest={"plan": plan.plan_id, "stage": plan.stage, "purpose": plan.purpose, "basis": release.basis},
        release=release,
    )


def _receipt(work: Composing) -> Contents:
    """What became of a file: one row for the whole (and one per further currency), then one per refused line."""
    files, rejects = bulk.table_of(InboundFile), bulk.table_of(InboundReject)
    file_id = json.loads(work.row.spec)["file_id"]
    came = work.connection.execute(select(files).where(files.c.file_id == file_id)).one()
    outcome = "refused" if came.state == "refused" else "accepted_with_rejects" if came.rows_refused else "accepted"
    fields = KINDS["receipt"].fields
    head = {
        "file": came.name,
        "sha256": came.sealed_sha256 if SHA256.fullmatch(came.sealed_sha256) else None,
        "outcome": outcome,
    }

    def frames() -> Iterator[pd.DataFrame]:
        totals = list(json.loads(came.sums or "{}").items()) or [(None, None)]
        whole = pd.DataFrame({
            "currency": [currency for currency, _ in totals],
            # text: a file without a control column has no currency to write an amount in
            "total_minor": [None if total is None else _in_units(total, currency) for currency, total in totals],
        }).assign(**head, table=None, line=None, column=None)  # fmt: skip
        first = whole.index == 0
        for name, value in (
            ("code", came.refusal_code or came.finding),
            ("fix", came.refusal_fix),
            ("lines", came.rows),
            ("lines_refused", came.rows_refused),
        ):
            whole[name] = pd.Series(None, index=whole.index, dtype="object").mask(first, value)
        yield whole.astype(RECEIPT_TYPES)
        lines = bulk.read(
            work.connection,
            select(rejects.c.table_name.label("table"), rejects.c.line, rejects.c.column, rejects.c.code, rejects.c.fix)
            .where(rejects.c.file_id == file_id)
            .order_by(rejects.c.reject_id),
        )
        yield lines.assign(**head, lines=None, lines_refused=None, currency=None, total_minor=None).astype(
            RECEIPT_TYPES
        )

    return Contents(fields, frames(), "receipt", "contract with the agency", "exchange", "1", [])


def _in_units(minor: int, currency: str) -> str:
    return f"{Decimal(minor).scaleb(-exponent(currency)):f}"


def _statement(work: Composing) -> Contents:
    from infra.store.recon import statement_lines

    statement_id = json.loads(work.row.spec)["statement_id"]

    def frames() -> Iterator[pd.DataFrame]:
        generations = _generations_stated(work, statement_id)
        for shard in statement_lines(work.connection, statement_id, work.shard_rows):
            names = pd.Series(None, index=shard.index, dtype="str")
            known = shard.loc[shard["account_id"].notna(), "account_id"].astype("int64")
            newest = work.keyring.pseudonym_key(work.row.agency).generation
            for generation, ids in known.groupby(known.map(generations).astype("str").fillna(newest)):
                key = work.keyring.pseudonym_key(work.row.agency, str(generation))
                names[ids.index] = account_pseudonyms(key, ids).to_numpy()
            yield shard.assign(account=names)

    return _plain(work, frames(), "statement", ("gross", "rate", "commission", "vat", "net"))


def _invoice_answer(work: Composing) -> Contents:
    """Which claims of its invoices are agreed and which disputed, with what is due."""
    from infra.store.answers import lines

    def frames() -> Iterator[pd.DataFrame]:
        key = work.keyring.pseudonym_key(work.row.agency)
        for shard in lines(work.connection, work.row.transmission_id, work.shard_rows):
            names = pd.Series(None, index=shard.index, dtype="str")
            known = shard.loc[shard["account_id"].notna(), "account_id"].astype("int64")
            if len(known):
                names[known.index] = account_pseudonyms(key, known).to_numpy()
            yield shard.assign(account=names)

    return _plain(work, frames(), "statement", ("base", "commission", "vat", "due_commission", "due_vat"))


def _plan_answer(work: Composing) -> Contents:
    """What became of instalment plans that the agency proposed."""
    from infra.store.instalments import answers

    def frames() -> Iterator[pd.DataFrame]:
        for shard in answers(work.connection, work.row.transmission_id, work.shard_rows):
            names = pd.Series(None, index=shard.index, dtype="str")
            for generation, ids in shard["account_id"].groupby(shard["key_generation"]):
                key = work.keyring.pseudonym_key(work.row.agency, str(generation))
                names[ids.index] = account_pseudonyms(key, ids).to_numpy()
            yield shard.assign(account=names)

    return _plain(work, frames(), "plan", ("total", "paid"))


def _generations_stated(work: Composing, statement_id: int) -> pd.Series:
    """Under which generation of its pseudonym key the agency knows each account of the statement, by account id.

    The one of its newest placement there; empty where the agency has had one generation only.
    """
    if len(work.keyring.pseudonym_keys(work.row.agency)) == 1:
        return pd.Series(dtype="str")
    lines = bulk.table_of(RemittanceLine)
    stated = select(lines.c.account_id).where(lines.c.statement_id == statement_id)
    placed = bulk.read(
        work.connection,
        select(PLACEMENTS.c.account_id, PLACEMENTS.c.key_generation)
        .where(PLACEMENTS.c.agency == work.row.agency, PLACEMENTS.c.account_id.in_(stated))
        .order_by(PLACEMENTS.c.placement_id),
    )
    newest: pd.Series = placed.drop_duplicates("account_id", keep="last").set_index("account_id")["key_generation"]
    return newest


def _key_announcement(work: Composing) -> Contents:
    """A key of ours that begins to sign on a day, for the agency to have it by then."""
    told = json.loads(work.row.spec)
    entry = work.keyring.own_key(told["owner"], told["generation"])
    older = work.keyring.announcing_keys(entry.suite, entry.generation, told["lender"])
    before = next((one for one in older if one.revoked_at is None), None)
    half = "_packets" if entry.suite == "openpgp" else ""
    frame = pd.DataFrame([{
        "suite": entry.suite, "generation": int(entry.generation),
        "encrypt": entry.public[f"encrypt{half}"], "encrypt_fingerprint": entry.public["encrypt_fingerprint"],
        "verify": entry.public[f"verify{half}"], "fingerprint": entry.fingerprint,
        "valid_from": _moment(entry.valid_from), "valid_until": _moment(entry.valid_until),
        "follows": before.fingerprint if before else None,
        "follows_until": _moment(before.valid_until) if before else None,
    }])  # fmt: skip
    fields = KINDS["key_announcement"].fields
    text = {one.column: "int64" if one.type == "integer" else "str" for one in fields}
    return Contents(fields, iter([frame.astype(text)]), "keys", "contract with the agency", "exchange", "1", [])


def _moment(at: datetime | None) -> str | None:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


def _certification(work: Composing) -> Contents:
    """How the agency's certification stands, in both languages: the spec holds the verdicts, the model the words."""
    from models.certification import FAULTS, STEPS

    rows = []
    for code, state, fault in json.loads(work.row.spec)["steps"]:
        step = STEPS[code]
        fix, fix_zh = FAULTS.get(fault, (step.fix, step.fix_zh)) if state != "done" else (None, None)
        rows.append({
            "level": step.level, "step": code, "by": step.by, "state": state, "code": fault, "about": step.about,
            "fix": fix, "about_zh": step.about_zh, "fix_zh": fix_zh,
        })  # fmt: skip
    frame = pd.DataFrame(rows).astype("str")
    fields = KINDS["certification"].fields
    return Contents(fields, iter([frame]), "certification", "contract with the agency", "exchange", "1", [])


_COMPOSERS: Mapping[str, Callable[[Composing], Contents]] = {
    "placement": _placement,
    "update": _update,
    "recall": _recall,
    "erasure_request": _erasure,
    "correction": _correction,
    "receipt": _receipt,
    "statement": _statement,
    "invoice_answer": _invoice_answer,
    "plan_answer": _plan_answer,
    "certification": _certification,
    "key_announcement": _key_announcement,
}
