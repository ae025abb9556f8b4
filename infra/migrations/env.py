"""What Alembic runs: the migrations, on the connection and in the transaction that `infra.store.schema` hands over."""

from __future__ import annotations

from alembic import context
from sqlmodel import SQLModel

import models.tables  # noqa: F401 - fills the metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    transactional_ddl=True,  # our SQLite transactions begin by BEGIN IMMEDIATE, and then tables come all or none
)
with context.begin_transaction():
    context.run_migrations()
