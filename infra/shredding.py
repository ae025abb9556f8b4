"""Forgetting for good: a debtor, a portfolio, or whom retention names, in the store, in the keyring and in our files.

Identities are sealed under data keys that cover some thousand accounts each. Whoever is forgotten takes the key along:
the others under it are sealed anew under a fresh one, and the old one is destroyed. So the sealed bytes that older
backups, logs of the database and disks may still hold open with nothing any more. What is found by (keyed indexes,
facts that tell one from others, values in free texts) is taken out of the store; what was owed, placed and paid stays
under numbers that name nobody.

First the store, in one transaction; then the keys; then files and copies. Killed in between, the next run finishes it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pandas as pd

from infra import attachments, audit, keycopies, roles
from infra.exceptions import audit_text, check_text
from infra.indexes import debtor_known_by, erased_marks
from infra.outbox import drop_sealed, scratch
from infra.store import freetexts, portfolios, sweeping
from infra.store import shredding as store
from keys.identity import canonical_phones
from keys.vault import open_cells, seal_cells
from models.errors import RefusedByPolicy, UsageError
from models.intake.fields import IDENTITY
from models.lives import SHREDDING, moved

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from sqlalchemy import Connection

    from infra.wiring import Desk
    from keys.vault import DataKey

BY_TWO: Final = frozenset({"debtor", "portfolio"})
"""What one person asks to be forgotten and another approves."""
NOT_SOUGHT: Final = frozenset({"employer"})
"""A sealed field that names somebody else: it is struck out of no text."""


@dataclass(frozen=True)
class Erased:
    """What forgetting did. resealed: accounts that shared a key; texts: free texts in which a value was struck out.

    swept: whether store, its log and our copies of the keyring hold the bytes no more; if not, the next `retain` looks.
    """

    shredding_id: int
    accounts: int
    debtors: int
    resealed: int
    texts: int
    keys: int
    files: int
    swept: bool
    already: bool = False


class Blocked(RefusedByPolicy):
    """Somebody is not to be forgotten yet; `because` says why in codes: `out`, `legal_hold`."""

    def __init__(self, message: str, because: Sequence[str], *, fix: str) -> None:
        super().__init__(message, fix=fix)
        self.because = tuple(because)


# -- a debtor ----------------------------------------------------------------------------------------------------------


def blockers(connection: Connection, desk: Desk, debtor_id: int) -> tuple[str, ...]:
    """Why the debtor is not to be forgotten now: `out` (an agency has an account), `legal_hold`; none: nothing."""
    lender, _, _ = store.debtor(connection, debtor_id)
    return _blockers(connection, desk, lender, debtor_id=debtor_id)


def erase_debtor(desk: Desk, debtor_id: int, why: str) -> Erased:
    """The debtor's identity is nowhere any more that we can reach: cells, indexes, texts, keys, our own files.

    Placements, ledger and audit stay, under numbers. Agencies are asked to erase by `erase`, before or after: that
    goes by pseudonym. Safe to run again; what a killed run left is finished. why: in a sentence, no debtor's data.
    Raises Blocked while an agency has an account of theirs or a legal hold counts, UsageError where there is nobody.
    """
    check_text(why)
    number = None
    with desk.database.write() as connection:
        lender, already, accounts = store.debtor(connection, debtor_id)
        if not already:
            _refuse(_blockers(connection, desk, lender, debtor_id=debtor_id), f"debtor {debtor_id}")
            number = _noted(connection, desk, "debtor", lender, debtor_id, why, state="begun")
            _forget_debtor(connection, desk, lender, debtor_id, accounts, number)
    if number is None:
        finish(desk)
        return Erased(0, 0, 0, 0, 0, 0, 0, swept=True, already=True)
    return _finished(desk, number)


# -- by two persons ----------------------------------------------------------------------------------------------------


def ask_debtor(desk: Desk, lender: str, who: str, why: str) -> int:
    """The request's number: this debtor is to be forgotten once a second person approves.

    who: an account, ID or telephone number; it is looked up and kept nowhere, and no message repeats it.
    Raises RoleMissing before it looks, UsageError where nobody or several are known by it.
    """
    check_text(why)
    with desk.database.write() as connection:
        roles.require(connection, desk, "compliance")
        return _asked(connection, desk, "debtor", lender, debtor_known_by(connection, desk.keyring, lender, who), why)


def ask_portfolio(desk: Desk, portfolio_id: int, why: str) -> int:
    """The request's number: the portfolio is to be shredded once a second person approves."""
    check_text(why)
    with desk.database.write() as connection:
        lender, state = store.portfolio(connection, portfolio_id)
        if state == "erased":
            raise UsageError(f"portfolio {portfolio_id} is erased", fix="nothing is left to do")
        return _asked(connection, desk, "portfolio", lender, portfolio_id, why)


def _asked(connection: Connection, desk: Desk, kind: str, lender: str, subject_id: int, why: str) -> int:
    number = _noted(connection, desk, kind, lender, subject_id, why, state="waiting")
    audit.record(
        connection, desk.actor, f"{kind}.shred_asked", f"{kind}:{subject_id}",
        {"id": number, "reason_sha256": _digest(why.strip())}, desk.now(),
    )  # fmt: skip
    return number


def withdraw(desk: Desk, shredding_id: int) -> None:
    """Nothing comes of the request; anybody may say so."""
    with desk.database.write() as connection:
        row = store.shredding(connection, shredding_id)
        state = moved(f"shredding {shredding_id}", row.state, "withdrawn", SHREDDING)
        store.note(connection, shredding_id, state=state)
        audit.record(
            connection, desk.actor, f"{row.kind}.shred_withdrawn", f"{row.kind}:{row.subject_id}", {"id": shredding_id},
            desk.now(),
        )  # fmt: skip


def approve(desk: Desk, shredding_id: int) -> None:
    """The second person agrees that it is forgotten, and it is begun: whoever goes on with it, it ends.

    Raises RefusedByPolicy for the one who asked, RoleMissing, Blocked as `erase_debtor` does, IllegalMove for a request
    that was withdrawn or is done.
    """
    with desk.database.write() as connection:
        row = store.shredding(connection, shredding_id)
        if row.kind not in BY_TWO:
            raise UsageError(f"shredding {shredding_id} is of a {row.kind}", fix="`consign shred list` shows them")
        if row.state == "begun":
            return
        state = moved(f"shredding {shredding_id}", row.state, "begun", SHREDDING)
        roles.require(connection, desk, "compliance")
        if row.asked_by == desk.actor:
            raise RefusedByPolicy(
                f"{desk.actor} asked for shredding {shredding_id}, and cannot approve it",
                fix="let a second person approve it: nothing brings the identities back",
            )
        called = f"debtor {row.subject_id}" if row.kind == "debtor" else f"portfolio {row.subject_id}"
        _refuse(_blockers(connection, desk, row.lender, **{f"{row.kind}_id": row.subject_id}), called)
        store.note(connection, shredding_id, state=state, approved_by=desk.actor, approved_at=desk.now())
        audit.record(
            connection, desk.actor, f"{row.kind}.shred_approved", f"{row.kind}:{row.subject_id}",
            {"id": shredding_id, "by": audit_text(row.asked_by)}, desk.now(),
        )  # fmt: skip


def shred(desk: Desk, shredding_id: int, told: Callable[[int], None] = lambda _: None) -> Erased:
    """The second person approves: the debtor, or every identity sealed with the portfolio, is forgotten with the keys.

    Safe to run again. told: hears after every shard how many accounts are done. Raises what `approve` does.
    """
    approve(desk, shredding_id)
    _shred_on(desk, shredding_id, told)
    return _finished(desk, shredding_id)


def _shred_on(desk: Desk, shredding_id: int, told: Callable[[int], None] = lambda _: None) -> None:
    """The store knows nobody any more whom a request names that was begun; of retention's nothing is left to do."""
    with desk.database.read() as connection:
        row = store.shredding(connection, shredding_id)
    if row.kind == "portfolio":
        _forget_portfolio(desk, shredding_id, told)
    elif row.kind == "debtor":
        with desk.database.write() as connection:
            lender, already, accounts = store.debtor(connection, row.subject_id)
            if not already:
                _forget_debtor(connection, desk, lender, row.subject_id, accounts, shredding_id)


def _forget_debtor(
    connection: Connection, desk: Desk, lender: str, debtor_id: int, accounts: np.ndarray, shredding_id: int
) -> None:
    portfolios.held_lender(connection, lender)
    _forget(connection, desk, lender, accounts, shredding_id)
    store.erase_debtor(connection, debtor_id, desk.now())
    _recorded(connection, desk, "debtor.erased", f"debtor:{debtor_id}", shredding_id)


def _forget_portfolio(desk: Desk, shredding_id: int, told: Callable[[int], None]) -> None:
    """Shard by shard, until nothing that was sealed with the portfolio is left."""
    done = 0
    while True:
        with desk.database.write() as connection:
            row = store.shredding(connection, shredding_id)
            portfolios.held_lender(connection, row.lender)
            accounts = store.of_portfolio(connection, row.subject_id, desk.settings.shard_rows)
            if not len(accounts):
                if store.portfolio(connection, row.subject_id)[1] != "erased":
                    store.portfolio_erased(connection, row.subject_id)
                    _recorded(connection, desk, "portfolio.erased", f"portfolio:{row.subject_id}", shredding_id)
                return
            _forget(connection, desk, row.lender, accounts, shredding_id, portfolio_id=row.subject_id)
            done += len(accounts)
        told(done)


# -- whom retention names ----------------------------------------------------------------------------------------------


def erase_accounts(desk: Desk, lender: str, next_due: Callable[[Connection, int], np.ndarray], why: str) -> Erased:
    """The identities of accounts whose time is over are forgotten, shard by shard; their records stay.

    next_due: at most so many accounts of the lender's that are due, asked again until there are none.
    """
    number = 0
    while True:
        with desk.database.write() as connection:
            portfolios.held_lender(connection, lender)
            accounts = next_due(connection, desk.settings.shard_rows)
            if not len(accounts):
                break
            number = number or _noted(connection, desk, "retention", lender, None, why, state="begun")
            _forget(connection, desk, lender, accounts, number)
            _recorded(connection, desk, "identities.erased", f"lender:{lender}", number)
    return _finished(desk, number) if number else Erased(0, 0, 0, 0, 0, 0, 0, swept=True)


def forget_again(desk: Desk, keys: set[str], accounts: set[int]) -> tuple[int, int]:
    """In a store that was restored, who was erased since is erased again; cells under destroyed keys are gone.

    Returns how many accounts were forgotten, and how many others have lost their identity with a key that they shared:
    the lender's next snapshot brings it again.
    """
    with desk.database.write() as connection:
        dead = store.dead_identities(connection, keys)
        lenders = store.to_forget_again(connection, accounts)
        for lender, mine in lenders.items():
            why = "erased before this store was restored"
            number = _noted(connection, desk, "retention", lender, None, why, state="begun")
            _forget(connection, desk, lender, mine, number)
            _recorded(connection, desk, "identities.erased", f"lender:{lender}", number)
    finish(desk)
    forgotten = {int(one) for mine in lenders.values() for one in mine}
    return len(forgotten), len(dead - accounts)


# -- what all three do -------------------------------------------------------------------------------------------------


def _forget(
    connection: Connection, desk: Desk, lender: str, account_ids: np.ndarray, shredding_id: int,
    *, portfolio_id: int | None = None,
) -> None:  # fmt: skip
    """In the store nothing tells who these accounts belong to; the keys that could are retired.

    portfolio_id: where all that was sealed with it goes, in several calls: nothing of it is sealed anew in between.
    """
    now = desk.now()
    known = store.known_by(connection, account_ids)
    gone = store.taken_away(connection, account_ids)
    values = _values(desk, gone)
    key_ids = sorted(gone["data_key_id"].unique())
    resealed = 0
    if portfolio_id is None:
        resealed = sum(_sealed_anew(connection, desk, lender, key_id) for key_id in key_ids if key_id in _alive(desk))
    else:
        key_ids = [key_id for key_id in key_ids if store.under(connection, key_id, 1).empty]
    key_ids += store.attached_keys(connection, account_ids)
    store.retire_keys(connection, lender, key_ids, shredding_id, now)
    debtors = store.erased(connection, account_ids, shredding_id, now)
    until = desk.today() + timedelta(days=desk.settings.erased_mark_days)
    nobodys = known["debtor_id"].isin(debtors)
    indexes = pd.concat([known["ref_index"], known.loc[nobodys, "identity_index"]], ignore_index=True)
    store.mark(connection, lender, erased_marks(desk.keyring, indexes), until)
    texts = freetexts.strike(connection, values, account_ids)
    store.count(connection, shredding_id, len(account_ids), len(debtors), resealed, texts)


def _values(desk: Desk, sealed: pd.DataFrame) -> set[str]:
    """What the sealed cells say, as far as it may stand in a free text: opened here, for this alone."""
    rows = sealed[sealed["data_key_id"].isin(_alive(desk))]
    if rows.empty:
        return set()
    keys, ids = desk.keyring.keys_of_rows(rows["data_key_id"]), rows["account_id"].to_numpy()
    found: set[str] = set()
    for name in IDENTITY:
        if name in NOT_SOUGHT:
            continue
        opened = open_cells(keys, name, ids, rows[name].tolist()).dropna()
        found.update(opened)
        if "phone" in name:
            found.update(canonical_phones(opened).dropna())
    return found


def _alive(desk: Desk) -> set[str]:
    """The data keys that the keyring still has: what others sealed nobody opens."""
    return {one.owner for one in desk.keyring.entries() if one.purpose == "data" and not one.destroyed}


def _sealed_anew(connection: Connection, desk: Desk, lender: str, key_id: str) -> int:
    """Every row under the key is sealed under fresh ones. Returns how many."""
    total = 0
    while not (rows := store.under(connection, key_id, desk.settings.identities_per_key)).empty:
        fresh = desk.keyring.new_data_key(desk.now())
        store.register_keys(connection, lender, [fresh.key_id], desk.now())
        store.sealed_anew(connection, resealed(desk, rows, fresh))
        total += len(rows)
    return total


def resealed(desk: Desk, rows: pd.DataFrame, fresh: DataKey) -> pd.DataFrame:
    """These sealed identities under another key; nothing of them is kept in clear."""
    keys, ids = desk.keyring.keys_of_rows(rows["data_key_id"]), rows["account_id"].to_numpy()
    cells = {}
    for name in IDENTITY:
        column = rows[name].tolist()
        if any(cell is not None for cell in column):
            cells[name] = pd.Series(seal_cells(fresh, name, ids, open_cells(keys, name, ids, column)), index=rows.index)
    return rows.assign(data_key_id=fresh.key_id, **cells)


# -- finishing ---------------------------------------------------------------------------------------------------------


def finish(desk: Desk, *, thorough: bool = False) -> int:
    """Whatever killed runs left is done: shards, keys, files, the sweep. Returns how many shreddings were open.

    A key that was destroyed and stands in the keyring again (an older keyring was put back) is destroyed again.
    """
    with desk.database.read() as connection:
        waiting = store.unfinished(connection)
        tombstones = set(store.destroyed_keys(connection))
    if any(one.owner in tombstones and not one.destroyed for one in desk.keyring.entries() if one.purpose == "data"):
        desk.keyring.bury_data_keys(tombstones, desk.now())
    for row in waiting:
        if row.state == "begun":
            _shred_on(desk, row.shredding_id)
            _finished(desk, row.shredding_id, thorough=thorough)
    if any(row.state == "done" for row in waiting):
        _swept(desk, thorough=thorough)
    return len(waiting)


def _finished(desk: Desk, shredding_id: int, *, thorough: bool = False) -> Erased:
    """The retired keys are destroyed, the files that named them gone, and what can be swept is swept."""
    with desk.database.read() as connection:
        key_ids = store.to_destroy(connection, shredding_id)
    desk.keyring.bury_data_keys(key_ids, desk.now())
    files = _files_dropped(desk, shredding_id) + attachments.drop(desk, key_ids)
    with desk.database.write() as connection:
        row = store.shredding(connection, shredding_id)
        store.destroyed(connection, key_ids, desk.now())
        if row.state == "begun":
            state = moved(f"shredding {shredding_id}", row.state, "done", SHREDDING)
            store.note(
                connection, shredding_id, state=state, done_at=desk.now(), keys=len(key_ids), files=row.files + files
            )
            audit.record(
                connection, desk.actor, "key.destroyed", f"shredding:{shredding_id}",
                {"id": shredding_id, "keys_total": len(key_ids), "files": files}, desk.now(),
            )  # fmt: skip
    _swept(desk, thorough=thorough)
    with desk.database.read() as connection:
        row = store.shredding(connection, shredding_id)
    return Erased(
        shredding_id, row.accounts, row.debtors, row.resealed, row.texts, row.keys, row.files,
        swept=row.swept_at is not None,
    )  # fmt: skip


def _files_dropped(desk: Desk, shredding_id: int) -> int:
    """Sealed files that told an agency of them are gone from the outbox: nobody sends them again."""
    with desk.database.read() as connection:
        rows = store.sealed_files_naming(connection, shredding_id)
    for row in rows:
        drop_sealed(desk, row)
    return len(rows)


def _swept(desk: Desk, *, thorough: bool) -> None:
    """Store, its log and our copies of the keyring hold the deleted bytes no more, as far as that can be had now."""
    began = desk.now()
    keycopies.renew(desk)
    if not sweep(desk, thorough=thorough):
        return
    with desk.database.write() as connection:
        store.all_swept(connection, began, desk.now())
    sweeping.cut_log(desk.database)


def sweep(desk: Desk, *, thorough: bool = False) -> bool:
    """Pages and log of the store are written anew without what was deleted; False where others were in the way.

    A store above `sweep_below_mb` is left to the nightly run, which is thorough.
    """
    if not thorough and sweeping.megabytes(desk.database) > desk.settings.sweep_below_mb:
        sweeping.cut_log(desk.database)
        return False
    with scratch(desk) as folder:
        return sweeping.rewrite(desk.database, folder)


# -- refusing ----------------------------------------------------------------------------------------------------------


def _blockers(
    connection: Connection, desk: Desk, lender: str, *, debtor_id: int | None = None, portfolio_id: int | None = None
) -> tuple[str, ...]:
    at_agencies = store.out(connection, debtor_id=debtor_id, portfolio_id=portfolio_id)
    held = store.holds_on(connection, desk.today(), lender, debtor_id=debtor_id, portfolio_id=portfolio_id)
    return (*(["out"] if at_agencies else []), *(["legal_hold"] if held else []))


def _refuse(because: Sequence[str], whom: str) -> None:
    words = {
        "out": ("an agency has an account of theirs", "recall it, and have its return confirmed"),
        "legal_hold": ("a legal hold keeps them", "`consign retention hold list` shows it"),
    }
    if because:
        raise Blocked(
            f"{whom} is not to be forgotten yet: {'; '.join(words[code][0] for code in because)}",
            because,
            fix="; ".join(words[code][1] for code in because),
        )


def _noted(
    connection: Connection, desk: Desk, kind: str, lender: str, subject_id: int | None, why: str, *, state: str
) -> int:
    return store.ask(
        connection, kind=kind, lender=lender, subject_id=subject_id, why=why.strip(), state=state,
        asked_by=desk.actor, asked_at=desk.now(), accounts=0, debtors=0, resealed=0, texts=0, keys=0, files=0,
    )  # fmt: skip


def _recorded(connection: Connection, desk: Desk, action: str, subject: str, shredding_id: int) -> None:
    row = store.shredding(connection, shredding_id)
    audit.record(
        connection, desk.actor, action, subject,
        {"id": shredding_id, "lender": row.lender, "accounts": row.accounts, "debtors": row.debtors,
         "resealed_total": row.resealed, "texts_total": row.texts, "reason_sha256": _digest(row.why)},
        desk.now(),
    )  # fmt: skip


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
