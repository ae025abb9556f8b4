"""Keep the laws of the books in the database as well, whoever writes to it.

- An entry sums to 0 in every currency, and holds one currency unless it exchanges. A batch's row seals its entries: it
  is refused while one of them does not balance, after it no line can be added, and no transaction ends without it (a
  deferred foreign key).
- Nothing is posted to a closed month; an entry stands on a day of its own month.
- A code of the chart means one ledger for ever.
- A closed month is opened again only where one person asked and another approved.

One check per batch and set of rows, not per line, wherever the database can.
"""

# ruff: noqa: S608 - our own constants

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"

CROOKED = """
    SELECT 1 FROM journal_entry e LEFT JOIN journal_line l ON l.entry_id = e.entry_id
    LEFT JOIN ledger_account a ON a.code = l.code AND a.ledger = l.ledger
    WHERE e.batch_id = NEW.batch_id GROUP BY e.entry_id
    HAVING COALESCE(SUM(l.amount_minor), 1) <> 0 OR COUNT(a.code) <> COUNT(*)
    OR (MIN(l.currency) <> MAX(l.currency) AND MIN(e.event) <> 'exchange')
"""
UNEQUAL = """
    SELECT 1 FROM journal_entry e JOIN journal_line l ON l.entry_id = e.entry_id
    WHERE e.batch_id = NEW.batch_id AND e.event = 'exchange'
    GROUP BY l.entry_id, l.currency HAVING SUM(l.amount_minor) <> 0
"""
SEALING = {
    "an entry does not sum to 0, stands on no account of the chart, or crosses currencies": CROOKED,
    "an exchange does not sum to 0 in each currency": UNEQUAL,
}
TWO_PEOPLE = """
    SELECT 1 FROM period_reopening r WHERE r.lender = NEW.lender AND r.period = NEW.period
    AND r.closing_id = OLD.closing_id AND r.state = 'done' AND r.approved_by <> r.asked_by
"""
LATER_CLOSED = """
    SELECT 1 FROM accounting_period p WHERE p.lender = NEW.lender AND p.period > NEW.period AND p.state = 'closed'
"""

SQLITE = {
    "journal_batch_is_sealed": "BEFORE INSERT ON journal_batch BEGIN "
    + " ".join(f"SELECT RAISE(ABORT, '{why}') WHERE EXISTS ({what});" for why, what in SEALING.items())
    + " END",
    "journal_entry_is_in_time": """
        BEFORE INSERT ON journal_entry BEGIN
            SELECT RAISE(ABORT, 'the batch of the entry is sealed')
            WHERE EXISTS (SELECT 1 FROM journal_batch b WHERE b.batch_id = NEW.batch_id);
            SELECT RAISE(ABORT, 'the month of the entry is closed') WHERE EXISTS (
                SELECT 1 FROM accounting_period p
                WHERE p.lender = NEW.lender AND p.period >= NEW.period AND p.state = 'closed'
            );
            SELECT RAISE(ABORT, 'the entry stands on a day of another month')
            WHERE substr(NEW.posted_on, 1, 7) <> NEW.period;
        END
    """,
    "journal_line_is_in_time": """
        BEFORE INSERT ON journal_line WHEN NOT EXISTS (
            SELECT 1 FROM journal_entry e WHERE e.entry_id = NEW.entry_id
            AND NOT EXISTS (SELECT 1 FROM journal_batch b WHERE b.batch_id = e.batch_id)
        ) BEGIN SELECT RAISE(ABORT, 'the entry of the line is sealed, or there is none'); END
    """,
    "ledger_account_stays": """
        BEFORE UPDATE OF code, ledger ON ledger_account WHEN NEW.code <> OLD.code OR NEW.ledger <> OLD.ledger
        BEGIN SELECT RAISE(ABORT, 'a code of the chart means one ledger for ever'); END
    """,
    "ledger_account_is_kept": """
        BEFORE DELETE ON ledger_account
        BEGIN SELECT RAISE(ABORT, 'a code of the chart means one ledger for ever'); END
    """,
    "accounting_period_is_kept": """
        BEFORE DELETE ON accounting_period BEGIN SELECT RAISE(ABORT, 'a closed month is kept'); END
    """,
    "accounting_period_closes_in_order": f"""
        BEFORE INSERT ON accounting_period BEGIN
            SELECT RAISE(ABORT, 'a later month is closed') WHERE EXISTS ({LATER_CLOSED});
        END
    """,
    "accounting_period_opens_by_two": f"""
        BEFORE UPDATE ON accounting_period BEGIN
            SELECT RAISE(ABORT, 'a closed month is kept')
            WHERE NEW.lender <> OLD.lender OR NEW.period <> OLD.period;
            SELECT RAISE(ABORT, 'a later month is closed') WHERE EXISTS ({LATER_CLOSED});
            SELECT RAISE(ABORT, 'two people open a closed month')
            WHERE OLD.state = 'closed' AND NOT (NEW.state = 'open' AND EXISTS ({TWO_PEOPLE}));
        END
    """,
}

HOLD = "pg_advisory_xact_lock{shared}(hashtextextended('consign.books:' || {lender}, 0))"
ON_REFUSAL = "USING ERRCODE = 'integrity_constraint_violation'"
POSTGRESQL = {
    "journal_batch_is_sealed": (
        "BEFORE INSERT ON journal_batch FOR EACH ROW",
        " ".join(
            f"IF EXISTS ({what}) THEN RAISE EXCEPTION '{why}' {ON_REFUSAL}; END IF;" for why, what in SEALING.items()
        )
        + " RETURN NEW;",
    ),
    "journal_entry_is_in_time": (
        "AFTER INSERT ON journal_entry REFERENCING NEW TABLE AS added FOR EACH STATEMENT",
        f"""
        PERFORM {HOLD.format(shared="_shared", lender="l.lender")}
        FROM (SELECT DISTINCT a.lender FROM added a ORDER BY 1) l;
        IF EXISTS (SELECT 1 FROM added a JOIN journal_batch b ON b.batch_id = a.batch_id) THEN
            RAISE EXCEPTION 'the batch of the entry is sealed' {ON_REFUSAL};
        END IF;
        IF EXISTS (
            SELECT 1 FROM (SELECT DISTINCT a.lender, a.period FROM added a) m JOIN accounting_period p
            ON p.lender = m.lender AND p.period >= m.period AND p.state = 'closed'
        ) THEN
            RAISE EXCEPTION 'the month of the entry is closed' {ON_REFUSAL};
        END IF;
        IF EXISTS (SELECT 1 FROM added a WHERE to_char(a.posted_on, 'YYYY-MM') <> a.period) THEN
            RAISE EXCEPTION 'the entry stands on a day of another month' {ON_REFUSAL};
        END IF;
        RETURN NULL;
        """,
    ),
    "journal_line_is_in_time": (
        "AFTER INSERT ON journal_line REFERENCING NEW TABLE AS added FOR EACH STATEMENT",
        f"""
        IF EXISTS (
            SELECT 1 FROM added a LEFT JOIN journal_entry e ON e.entry_id = a.entry_id
            LEFT JOIN journal_batch b ON b.batch_id = e.batch_id
            WHERE e.entry_id IS NULL OR b.batch_id IS NOT NULL
        ) THEN
            RAISE EXCEPTION 'the entry of the line is sealed, or there is none' {ON_REFUSAL};
        END IF;
        RETURN NULL;
        """,
    ),
    "ledger_account_stays": (
        "BEFORE UPDATE OR DELETE ON ledger_account FOR EACH ROW",
        f"""
        IF TG_OP = 'DELETE' OR NEW.code <> OLD.code OR NEW.ledger <> OLD.ledger THEN
            RAISE EXCEPTION 'a code of the chart means one ledger for ever' {ON_REFUSAL};
        END IF;
        RETURN NEW;
        """,
    ),
    "accounting_period_opens_by_two": (
        "BEFORE INSERT OR UPDATE OR DELETE ON accounting_period FOR EACH ROW",
        f"""
        IF TG_OP = 'DELETE' THEN
            RAISE EXCEPTION 'a closed month is kept' {ON_REFUSAL};
        END IF;
        PERFORM {HOLD.format(shared="", lender="NEW.lender")};
        IF EXISTS ({LATER_CLOSED}) THEN
            RAISE EXCEPTION 'a later month is closed' {ON_REFUSAL};
        END IF;
        IF TG_OP = 'INSERT' THEN
            RETURN NEW;
        END IF;
        IF NEW.lender <> OLD.lender OR NEW.period <> OLD.period THEN
            RAISE EXCEPTION 'a closed month is kept' {ON_REFUSAL};
        END IF;
        IF OLD.state = 'closed' AND NOT (NEW.state = 'open' AND EXISTS ({TWO_PEOPLE})) THEN
            RAISE EXCEPTION 'two people open a closed month' {ON_REFUSAL};
        END IF;
        RETURN NEW;
        """,
    ),
}


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for name, body in SQLITE.items():
            op.execute(f"CREATE TRIGGER {name} {body}")
        return
    for name, (when, body) in POSTGRESQL.items():
        op.execute(f"CREATE FUNCTION consign_{name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$")
        op.execute(f"CREATE TRIGGER {name} {when} EXECUTE FUNCTION consign_{name}()")


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for name in SQLITE:
            op.execute(f"DROP TRIGGER {name}")
        return
    for name, (when, _) in POSTGRESQL.items():
        table = when.split(" ON ")[1].split()[0]
        op.execute(f"DROP TRIGGER {name} ON {table}")
        op.execute(f"DROP FUNCTION consign_{name}()")
