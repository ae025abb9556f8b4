"""Who has which role."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, SQLModel


class ActorRole(SQLModel, table=True):
    """A person has a role; without a row he has not, and the audit trail says who had it when."""

    __tablename__ = "actor_role"
    actor: str = Field(primary_key=True, description="the login name, or what CONSIGN_ACTOR says")
    role: str = Field(primary_key=True, description="one of models.roles.ROLES")
    granted_by: str
    granted_at: datetime
