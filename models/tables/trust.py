"""What is pinned of an agency beside the keyring: its server's host keys, its sealing keys that wait for approval."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from models.tables.columns import serial


class HostKey(SQLModel, table=True):
    """A public host key of an agency's server, and from when to when it is accepted: waiting → pinned → retired."""

    __tablename__ = "host_key"
    host_key_id: int | None = serial()
    agency: str = Field(index=True)
    type: str = Field(description="ssh-ed25519 …")
    line: str = Field(description="type and key, as OpenSSH writes them")
    fingerprint: str = Field(description="SHA256:…, as `ssh-keygen -l` prints it")
    state: str = Field(description="waiting (for a second person) | pinned | withdrawn | retired")
    valid_from: datetime
    valid_until: datetime | None = None
    others_until: datetime | None = Field(
        default=None, description="when this one is pinned, the others of the agency end here at the latest"
    )
    added_by: str
    added_at: datetime
    approved_by: str | None = Field(default=None, description="the second person, where the agency was live")
    approved_at: datetime | None = None
    retired_by: str | None = None
    retired_at: datetime | None = None
    shown_at: datetime | None = Field(default=None, description="when the server last showed it to us")


class ClientKeyUse(SQLModel, table=True):
    """What became of our SSH client keys at an agency's server."""

    __tablename__ = "client_key_use"
    __table_args__ = (UniqueConstraint("agency", "fingerprint"),)
    use_id: int | None = serial()
    agency: str
    fingerprint: str
    first_accepted_at: datetime | None = None
    accepted_at: datetime | None = Field(default=None, description="the last time, to the day")
    refused_at: datetime | None = None


class KeyRequest(SQLModel, table=True):
    """Public sealing keys of a live agency that wait for a second person's comparison: waiting → pinned."""

    __tablename__ = "key_request"
    request_id: int | None = serial()
    agency: str = Field(index=True)
    suite: str
    encrypt: str
    verify: str
    encrypt_fingerprint: str
    fingerprint: str
    valid_from: datetime
    valid_until: datetime | None = None
    others_until: datetime | None = Field(
        default=None, description="when these are pinned, the older ones of the agency end here at the latest"
    )
    state: str = Field(default="waiting", description="waiting | pinned | withdrawn")
    asked_by: str
    asked_at: datetime
    decided_by: str | None = None
    decided_at: datetime | None = None
    generation: str | None = None
