"""Certify: let an agency show, on synthetic accounts, that it can be trusted with debtors."""

from __future__ import annotations

from infra import certification
from infra.outbox import scratch
from infra.sandbox import debtors
from infra.wiring import desk, seated
from models.certification import LENDER, Level


def start(agency: str, level: Level) -> int:
    """The agency's certification is open and its test placement on its way; safe to run again. Returns its number.

    The accounts are taken in as a lender's are, into the certification's own store; their seed is the run's number.
    """
    from flows.intake import intake

    at = desk()
    run = certification.open_run(at, agency, level)
    apart = certification.furnish(at, run)
    with seated(apart), scratch(apart) as folder:
        today = apart.today()
        raw = debtors.portfolio(run.seed, certification.ROWS, LENDER, today)
        source = debtors.write(raw, folder / certification.source_name(run))
        intake(source, "consign", LENDER, today)
    certification.place_test(at, run)
    certification.go_on(at, agency)
    return int(run.certification_id)
