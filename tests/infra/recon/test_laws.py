"""Whatever order files come in, and however they are cut, the books end the same."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from tests.infra.recon.conftest import Books

Line = dict[str, Any]


@st.composite
def months(draw: st.DrawFn) -> tuple[list[Line], list[Line]]:
    """Lines with transaction ids (recoveries, reversals of them, strangers), and what the bank has for them."""
    amounts = st.sampled_from([100, 150, 40_000, 70_000])
    lines: list[Line] = [
        {
            "gross_minor": draw(amounts), "agency_txn_id": f"T{number}", "account_id": draw(st.integers(1, 6)),
            "batch_ref": draw(st.sampled_from(["ALPHA-1", "ALPHA-2", None])),
            "value_date": f"2026-04-{draw(st.integers(1, 20)):02d}",
        }
        for number in range(draw(st.integers(1, 7)))
    ]  # fmt: skip
    for line in list(lines):
        if draw(st.integers(0, 3)) == 0:
            share = draw(st.sampled_from([1, 2]))
            back = {"gross_minor": -line["gross_minor"] // share, "agency_txn_id": f"R{line['agency_txn_id']}"}
            lines.append(line | back | {"original_txn_id": line["agency_txn_id"], "value_date": "2026-04-25"})
    receipts: list[Line] = []
    for batch in ("ALPHA-1", "ALPHA-2"):
        total = sum(line["gross_minor"] for line in lines if line["batch_ref"] == batch)
        off = draw(st.sampled_from([0, 0, 0, -3, -700, 900]))
        if total + off > 0:
            receipts.append({"amount_minor": total + off, "reference": batch, "value_date": "2026-04-26"})
    singles = [line for line in lines if line["batch_ref"] is None and line["gross_minor"] > 0]
    paid = singles[: draw(st.integers(0, 4))]
    receipts += [{"amount_minor": line["gross_minor"], "reference": line["agency_txn_id"]} for line in paid]
    return lines, receipts


@given(months(), st.randoms(use_true_random=False), st.integers(1, 4))
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_order_and_the_cut_of_files_do_not_matter(
    fresh_books: Callable[[], contextlib.AbstractContextManager[Books]],
    month: tuple[list[Line], list[Line]],
    random: Any,
    files: int,
) -> None:
    lines, receipts = month
    with fresh_books() as books:
        books.remit("alpha", lines)
        first = ended(books, receipts)
    shuffled = random.sample(lines, len(lines))
    with fresh_books() as books:
        for number in range(files):
            if some := shuffled[number::files]:
                books.remit("alpha", some)
        again = ended(books, random.sample(receipts, len(receipts)))
    assert again == first


def ended(books: Books, receipts: list[Line]) -> tuple[Any, ...]:
    """How everything stands, by content: states, ledgers, open breaks. Agency clearing is what lines still await."""
    if receipts:
        books.bank(receipts)
    books.reconcile(date(2026, 6, 1))
    lines = books.lines
    counts = lines[lines["posted_at"].notna()]
    waiting = counts[counts["state"].isin(["awaiting_cash", "part_matched"])]
    owed = (waiting["net_minor"] - waiting["cash_minor"]).sum()
    assert books.ledger.get("1200", 0) == owed
    before = len(books.matches), len(books.breaks), books.ledger
    books.reconcile(date(2026, 6, 1))
    assert (len(books.matches), len(books.breaks), books.ledger) == before
    columns = ["content_id", "state", "cash_minor", "due_commission_minor", "due_vat_minor", "placement_id"]
    states = lines[columns].fillna(-1).sort_values("content_id").to_numpy().tolist()
    money = books.receipts[["reference", "amount_minor", "state", "applied_minor"]]
    breaks = books.breaks[books.breaks["state"] == "open"]
    return (
        states,
        money.sort_values(["reference", "amount_minor"]).to_numpy().tolist(),
        sorted(zip(breaks["code"], breaks["amount_minor"], strict=True)),
        books.ledger,
    )
