"""Writes a migration from what `models.tables` says now.

    python -m infra.migrations.write initial             # 0001 anew: only until the first release
    python -m infra.migrations.write "Add a column ..."  # the difference to the newest, as the next number

A person reads either before it is committed; tests/infra/test_schema.py fails while tables and migrations differ.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import alembic.autogenerate
from alembic.migration import MigrationContext
from sqlmodel import SQLModel

import models.tables  # noqa: F401 - fills the metadata
from infra.migrations.rendering import render_item
from infra.store import schema
from infra.store.database import Database

VERSIONS = Path(__file__).parent / "versions"
INITIAL = VERSIONS / "0001_tables.py"
PAGE = '''"""{message}."""
{ignored}
from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "{number:04}"
down_revision = {before}


def upgrade() -> None:
    {upgrade}


def downgrade() -> None:
    {downgrade}
'''
LONG = "\n# ruff: noqa: PLR0915 - as many statements as there are tables\n"


def write(message: str) -> Path:
    """The new migration's file, laid out."""
    initial = message == "initial"
    number = 1 if initial else len(list(VERSIONS.glob("[0-9]*.py"))) + 1
    upgrade, downgrade = differences(batch=not initial)
    words = re.sub(r"\W+", "_", message.lower()).strip("_")
    path = INITIAL if initial else VERSIONS / f"{number:04}_{words}.py"
    path.write_text(
        PAGE.format(
            message="Make the tables" if initial else message.rstrip("."),
            ignored=LONG if initial else "",
            number=number,
            before=None if initial else f'"{number - 1:04}"',
            upgrade=upgrade,
            downgrade=downgrade,
        ),
        encoding="utf-8",
    )
    for arguments in (["check", "--fix", "--quiet"], ["format", "--quiet"]):
        subprocess.run([sys.executable, "-m", "ruff", *arguments, path], check=False)
    return path


def differences(*, batch: bool) -> tuple[str, str]:
    """The bodies of upgrade and downgrade, from an empty store (batch False) or from the newest migration.

    In batch operations SQLite alters a table by copying it.
    """
    options = {
        "compare_type": True,
        "render_item": render_item,
        "render_as_batch": batch,
        "sqlalchemy_module_prefix": "sa.",
        "alembic_module_prefix": "op.",
        "user_module_prefix": None,
    }
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/scratch.sqlite")
        with database.write() as connection:
            if batch:
                schema.upgrade(connection)
            context = MigrationContext.configure(connection, opts=options)
            script = alembic.autogenerate.produce_migrations(context, SQLModel.metadata)
        database.close()
    if script.upgrade_ops is None or script.downgrade_ops is None:
        raise SystemExit("Alembic found nothing to compare")
    upgrade, downgrade = (
        alembic.autogenerate.render_python_code(ops, render_item=render_item, render_as_batch=batch)
        for ops in (script.upgrade_ops, script.downgrade_ops)
    )
    return _bare(upgrade), _bare(downgrade)


def _bare(body: str) -> str:
    """Without Alembic's own comments."""
    return re.sub(r"\n?[ ]*# ###.*", "", body).strip()


if __name__ == "__main__":
    print(write(sys.argv[1]))  # noqa: T201 - a script
