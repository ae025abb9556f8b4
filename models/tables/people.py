"""Who may sign in to the console, from where they are signed in, and how often somebody failed to."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, SQLModel

from models.tables.columns import serial


class Person(SQLModel, table=True):
    """An account of the console. What its person may do say the roles, under the same name."""

    __tablename__ = "person"
    actor: str = Field(primary_key=True, description="the name to act under, as roles and the audit trail have it")
    agency: str | None = Field(default=None, index=True, description="whose person this is; null: the lender's own")
    state: str = Field(default="active", description="active | disabled")
    password: str | None = Field(default=None, description="Argon2id, with its parameters; null: no local sign-in")
    password_at: datetime | None = None
    must_change: bool = Field(default=False, description="somebody else chose the password")
    totp: bytes | None = Field(default=None, description="the authenticator's secret, sealed; null: none")
    totp_confirmed: bool = Field(default=False, description="a code of it was once right")
    totp_step: int = Field(default=0, description="the last time step whose code was used: none counts twice")
    issuer: str | None = Field(default=None, description="OpenID Connect: who vouches for the person")
    subject: str | None = Field(default=None, description="and under which name")
    language: str = Field(default="", description="en | zh; empty: as the browser asks")
    created_by: str
    created_at: datetime


class RecoveryCode(SQLModel, table=True):
    """A code that stands in for the authenticator once."""

    __tablename__ = "recovery_code"
    actor: str = Field(primary_key=True, foreign_key="person.actor")
    code_hash: str = Field(primary_key=True)
    used_at: datetime | None = None


class PersonSession(SQLModel, table=True):
    """A browser that is signed in. The cookie's value is known to the browser alone."""

    __tablename__ = "person_session"
    session_id: int | None = serial()
    cookie_hash: str = Field(unique=True, description="SHA-256 of the cookie's value")
    actor: str = Field(index=True, foreign_key="person.actor")
    factors: int = Field(default=1, description="1: a password, or another house's word; 2: and a code")
    begun_at: datetime
    seen_at: datetime
    ends_at: datetime = Field(description="whatever happens")
    ended_at: datetime | None = None
    address: str
    browser: str


class SignInFailure(SQLModel, table=True):
    """How often signing in has failed for a name, or from an address, and until when nobody is asked."""

    __tablename__ = "sign_in_failure"
    subject_hash: str = Field(primary_key=True, description="SHA-256 of `name:…` or `address:…`")
    failures: int
    last_at: datetime
    locked_until: datetime | None = None


class AccessToken(SQLModel, table=True):
    """A token of a person's, for programs. Its value is known to the program alone."""

    __tablename__ = "access_token"
    token_id: int | None = serial()
    token_hash: str = Field(unique=True, description="SHA-256 of the token")
    actor: str = Field(index=True, foreign_key="person.actor")
    name: str = Field(description="what it is for")
    scopes: str = Field(default="", description="actions that it reaches, blanks between; empty: all of its person's")
    made_by: str
    made_at: datetime
    ends_at: datetime
    used_at: datetime | None = None
    revoked_at: datetime | None = None
