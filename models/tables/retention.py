"""What is kept for how long, what must be kept all the same, and what was forgotten for good."""

from __future__ import annotations

from datetime import date, datetime

from sqlmodel import Field, SQLModel

from models.tables.columns import big, serial


class IdentityKey(SQLModel, table=True):
    """A data key of the keyring and what became of it: sealing → retired → destroyed. Its row outlives it.

    A destroyed one is a tombstone: no backup and no escrow brings the key back.
    """

    __tablename__ = "identity_key"
    key_id: str = Field(primary_key=True)
    lender: str
    made_at: datetime
    retired_at: datetime | None = Field(
        default=None, description="when the last row that is kept was sealed anew: nothing counts on it any more"
    )
    destroyed_at: datetime | None = Field(default=None, index=True)
    shredding_id: int | None = big(None, description="what it was destroyed for; None: nothing was sealed under it")


class ErasedMark(SQLModel, table=True):
    """That somebody, or an account, was erased, so that no file brings them back.

    Under a key of its own: nothing in the store joins it to anything.
    """

    __tablename__ = "erased_mark"
    __table_args__ = {"sqlite_with_rowid": False}
    lender: str = Field(primary_key=True)
    mark: str = Field(primary_key=True, description="hex, keyed, of the keyed index that was taken away")
    until: date = Field(description="then it is forgotten too")


class ErasedAccount(SQLModel, table=True):
    """An account whose identity is gone: its number stays, so that a store that is restored forgets it again."""

    __tablename__ = "erased_account"
    account_id: int = big(primary_key=True)
    debtor_id: int = big(index=True)
    erased_at: datetime
    shredding_id: int = big(index=True)


class Shredding(SQLModel, table=True):
    """Forgetting for good, of a debtor, a portfolio, or what retention says: waiting → begun → done."""

    shredding_id: int | None = serial()
    kind: str = Field(description="debtor | portfolio | retention")
    lender: str
    subject_id: int | None = big(None, description="the debtor, or the portfolio")
    why: str = Field(description="the reason, without a debtor's data")
    state: str = Field(default="waiting", index=True, description="waiting | begun | done | withdrawn")
    asked_by: str
    asked_at: datetime
    approved_by: str | None = None
    approved_at: datetime | None = None
    accounts: int = big(0, description="accounts whose identity was erased")
    debtors: int = big(0)
    resealed: int = big(0, description="accounts that shared a key with them, and were sealed anew")
    texts: int = Field(default=0, description="free texts in which a value of theirs was struck out")
    keys: int = Field(default=0, description="data keys that were destroyed")
    files: int = Field(default=0, description="sealed files that named them, and are gone")
    done_at: datetime | None = None
    swept_at: datetime | None = Field(
        default=None, description="when no page, log or copy of the keyring that we can reach held the bytes any more"
    )


class LegalHold(SQLModel, table=True):
    """Why something is kept although its time is over: nothing of it is deleted or erased until it is lifted."""

    __tablename__ = "legal_hold"
    legal_hold_id: int | None = serial()
    scope: str = Field(description="everything | lender | portfolio | debtor | class")
    lender: str | None = None
    subject_id: int | None = big(None, description="the portfolio, or the debtor")
    record_class: str | None = Field(default=None, description="only this class of records")
    why: str
    placed_by: str
    placed_at: datetime
    until: date | None = None
    lifted_by: str | None = None
    lifted_at: datetime | None = None
