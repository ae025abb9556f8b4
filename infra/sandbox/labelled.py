"""A month of remittances, bank entries and invoices with every break planted, and the truth about each beside it.

Made to be hard: equal amounts under other references, the same amount on neighbouring days, references exchanged or
buried in text, lumps, parts, fees taken off, days paid in one sum, sums of a few with strangers' money beside them.
The truth names what belongs together and which break is right; the rules never see it. The same seed gives the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from infra.sandbox.truth import (
    BY_SUM,
    BY_TRANSFER,
    FIRST,
    LATE_DAYS,
    TAIL_DAYS,
    TOLERANCE_MINOR,
    Labelled,
    World,
    fee_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def labelled(lines: int = 10_000, seed: int = 20260401) -> Labelled:
    """About so many lines; every plant at least twice, the rest transfers and single transactions that fit."""
    world = World(np.random.default_rng(seed))
    rounds = max(2, lines // 500)
    for plant in PLANTS:
        world.plant = plant.__name__.removeprefix("_")
        for _ in range(max(2, rounds // 4) if plant in RARE else rounds):
            plant(world)
    sums_of_few(world, clusters=max(4, lines // 200))
    whole_days(world, days=max(4, lines // 200))
    while len(world.lines) < lines * 3 // 4:
        world.plant = "lump"
        lump(world)
    while len(world.lines) < lines:
        world.plant = "single"
        single(world)
    return _labelled(world)


def _labelled(world: World) -> Labelled:
    lines, receipts = pd.DataFrame(world.lines), pd.DataFrame(world.receipts)
    for frame in (lines, receipts):
        frame["value_date"] = (FIRST + frame["day"].to_numpy().astype("timedelta64[D]")).astype("datetime64[us]")
    text = ["agency_txn_id", "type", "currency", "batch_ref", "original_txn_id"]
    lines = lines.astype(dict.fromkeys(text, "str") | {"account_id": "Int64"})
    receipts = receipts.astype({"reference": "str", "payer_account": "str", "currency": "str"})
    claims = pd.DataFrame(world.claims).astype({"agency_txn_id": "str", "account_id": "Int64"})
    return Labelled(
        lines.drop(columns="day"), receipts.drop(columns="day"), claims, pd.DataFrame(world.placements),
        pd.DataFrame(world.pairs, columns=["line", "receipt"]), frozenset(world.matchable), frozenset(world.undone),
        frozenset(world.breaks),
    )  # fmt: skip


# --- what fits ----------------------------------------------------------------------------------------------------


def lump(world: World) -> None:
    """A transfer that is its lines' total; one in six paid in two."""
    agency = str(world.rng.choice(BY_TRANSFER))
    reference, day, lines = world.transfer(agency, int(world.rng.integers(2, 40)))
    total = sum(line["net_minor"] for line in lines)
    paid_on = day + int(world.rng.integers(0, 9))
    parts = [total]
    if world.rng.random() < 1 / 6:
        first = int(world.rng.integers(1, total))
        parts = [first, total - first]
    world.pays([world.receipt(agency, part, paid_on, world.written(reference)) for part in parts], lines)


def single(world: World) -> None:
    """One transaction paid alone."""
    line = world.line("gamma", world.amount(), world.day())
    paid_on = line["day"] + int(world.rng.integers(0, 9))
    receipt = world.receipt("gamma", line["net_minor"], paid_on, world.written(line["agency_txn_id"]))
    world.pays([receipt], [line])


def twins(world: World) -> None:
    """The same transaction twice on one account, each paid: two, and not four."""
    first = world.line("gamma", world.amount(), world.day(80))
    second = world.line("gamma", first["gross_minor"], first["day"] + 1, account_id=first["account_id"],
                        agency_txn_id=first["agency_txn_id"])  # fmt: skip
    paid = [world.receipt("gamma", first["net_minor"], first["day"] + late, first["agency_txn_id"]) for late in (2, 3)]
    world.pays(paid, [first, second])


def nearly(world: World) -> None:
    """A few cents lost on the way."""
    line = world.line("gamma", world.amount(), world.day())
    off = int(world.rng.integers(1, TOLERANCE_MINOR + 1)) * int(world.rng.choice([-1, 1]))
    world.pays([world.receipt("gamma", line["net_minor"] + off, line["day"] + 2, line["agency_txn_id"])], [line])


def undone_before_money(world: World) -> None:
    """A recovery that bounced before it was handed over needs no money."""
    line = world.line("gamma", world.amount(), world.day(80))
    back = _undo(world, line, line["gross_minor"], line["day"] + 1)
    world.undone.add((line["label"], back["label"]))


def undone_in_part(world: World) -> None:
    """A part of a recovery bounced, and the rest was handed over under its own reference."""
    line = world.line("gamma", world.amount(), world.day(80))
    part = int(world.rng.integers(1, line["gross_minor"]))
    back = _undo(world, line, part, line["day"] + 1)
    world.undone.add((line["label"], back["label"]))
    paid = world.receipt("gamma", line["net_minor"] - part, line["day"] + 3, world.written(line["agency_txn_id"]))
    world.pays([paid], [line])


def deducted(world: World) -> None:
    """A reversal that a later transfer is short by."""
    reference, day, lines = world.transfer("alpha", 4)
    world.pays([world.receipt("alpha", sum(line["net_minor"] for line in lines), day + 2, reference)], lines)
    later, then, more = world.transfer("alpha", 3, day + 3)
    more.append(world.line("alpha", 6_000_000, then, batch_ref=later))
    back = _undo(world, lines[0], lines[0]["gross_minor"], then, batch_ref=later)
    total = sum(line["net_minor"] for line in more) + back["net_minor"]
    world.pays([world.receipt("alpha", total, then + 2, later)], [*more, back])


def _undo(world: World, line: Mapping[str, Any], size: int, day: int, **more: Any) -> dict[str, Any]:
    return world.line(line["agency"], -size, day, account_id=line["account_id"],
                      original_txn_id=line["agency_txn_id"], **more)  # fmt: skip


def returned(world: World) -> None:
    """The bank took the money back: both entries undo each other, and the line waits."""
    line = world.line("gamma", world.amount(), world.day())
    world.receipt("gamma", line["net_minor"], line["day"] + 2, line["agency_txn_id"])
    world.receipt("gamma", -line["net_minor"], line["day"] + 5, line["agency_txn_id"], is_reversal=True)
    world.unpaid([line])


def within_tail(world: World) -> None:
    """Paid a few days after the recall: still the agency's work."""
    day = world.day(60)
    ended = FIRST + np.timedelta64(day - TAIL_DAYS, "D")
    line = world.line("gamma", world.amount(), day, account_id=world.account("gamma", ended_on=ended))
    world.pays([world.receipt("gamma", line["net_minor"], day + 2, line["agency_txn_id"])], [line])


# --- what does not ------------------------------------------------------------------------------------------------


def never_paid(world: World) -> None:
    """A transfer and a transaction whose money never comes."""
    _, _, lines = world.transfer("alpha", int(world.rng.integers(2, 6)))
    world.unpaid([*lines, world.line("gamma", world.amount(), world.day())])


def nobodys(world: World) -> None:
    """Money of an agency under a reference that nothing has, and money of nobody."""
    for agency, reference in (("gamma", f"QX{world.number('strange'):06d}"), ("alpha", None), (None, "RENT APRIL")):
        world.broken("no_line", "receipt", world.receipt(agency, world.amount(), world.day(), reference))


def late(world: World) -> None:
    """Money that comes after the agreed day: one transfer, one transaction."""
    reference, day, lines = world.transfer("beta", 3)
    total = sum(line["net_minor"] for line in lines)
    world.pays([world.receipt("beta", total, day + LATE_DAYS + 1, reference)], lines)
    world.broken("late_remittance", "transfer", f"beta:CNY:{reference}")
    line = world.line("gamma", world.amount(), world.day())
    paid = world.receipt("gamma", line["net_minor"], line["day"] + LATE_DAYS + 5, line["agency_txn_id"])
    world.pays([paid], [line])
    world.broken("late_remittance", "line", line["label"])


def in_part(world: World) -> None:
    """A third of a transaction comes, and no more."""
    line = world.line("gamma", world.amount(), world.day())
    world.pays([world.receipt("gamma", line["net_minor"] // 3, line["day"] + 2, line["agency_txn_id"])], [line])
    world.broken("amount_diff", "line", line["label"])


def short(world: World) -> None:
    """A transfer that lacks more than anybody forgives: a person must say which line it is."""
    reference, day, lines = world.transfer("alpha", 4)
    total = sum(line["net_minor"] for line in lines)
    paid = world.receipt("alpha", total - 1_777, day + 2, reference)
    world.pays([paid], lines, tells=False)
    world.broken("amount_diff", "receipt", paid)


def too_much(world: World) -> None:
    """A transfer that is more than its lines: they are paid, the rest is open."""
    reference, day, lines = world.transfer("alpha", 4)
    paid = world.receipt("alpha", sum(line["net_minor"] for line in lines) + 12_345, day + 2, reference)
    world.pays([paid], lines)
    world.broken("amount_diff", "receipt", paid)


def paid_gross(world: World) -> None:
    """A net remitter hands over gross for once."""
    reference, day, lines = world.transfer("beta", 3)
    paid = world.receipt("beta", sum(line["gross_minor"] for line in lines), day + 2, reference)
    world.pays([paid], lines)
    world.broken("amount_diff", "receipt", paid)


def fee_taken_off(world: World) -> None:
    """A gross remitter says gross and hands over less its fee: a transfer, and a transaction."""
    reference, day, lines = world.transfer("alpha", 3)
    less = sum(line["gross_minor"] - sum(fee_of(line["gross_minor"])) for line in lines)
    one = world.line("gamma", world.amount(), world.day())
    for agency, amount, paid_on, text, of in (
        ("alpha", less, day + 2, reference, lines),
        ("gamma", one["gross_minor"] - sum(fee_of(one["gross_minor"])), one["day"] + 2, one["agency_txn_id"], [one]),
    ):
        paid = world.receipt(agency, amount, paid_on, text)
        world.pays([paid], of)
        world.broken("fee_netted", "receipt", paid)


def says_net(world: World) -> None:
    """A gross remitter whose line says net: told of the line, and its money fits."""
    gross = world.amount()
    fee, vat = fee_of(gross)
    line = world.line("gamma", gross, world.day(), commission_minor=fee, vat_minor=vat, net_minor=gross - fee - vat)
    world.pays([world.receipt("gamma", line["net_minor"], line["day"] + 2, line["agency_txn_id"])], [line])
    world.broken("fee_netted", "line", line["label"])


def kept_too_much(world: World) -> None:
    """A net remitter keeps more commission, or more VAT, than agreed; its money fits what it says."""
    for code, fee_more, vat_more in (("commission_diff", 333, 0), ("vat_diff", 0, 21)):
        gross = world.amount()
        fee, vat = (one + more for one, more in zip(fee_of(gross), (fee_more, vat_more), strict=True))
        line = world.line("beta", gross, world.day(), commission_minor=fee, vat_minor=vat, net_minor=gross - fee - vat)
        world.pays([world.receipt("beta", line["net_minor"], line["day"] + 2, line["agency_txn_id"])], [line])
        world.broken(code, "line", line["label"])


def equal_elsewhere(world: World) -> None:
    """One reference and amount on two accounts, and money for one of them."""
    first = world.line("gamma", world.amount(), world.day())
    world.line("gamma", first["gross_minor"], first["day"], agency_txn_id=first["agency_txn_id"])
    paid = world.receipt("gamma", first["net_minor"], first["day"] + 2, first["agency_txn_id"])
    world.broken("ambiguous", "receipt", paid)


def exchanged(world: World) -> None:
    """Two transactions whose references the bank mixed up."""
    day = world.day()
    one, other = (world.line("gamma", world.amount() + extra, day) for extra in (7, 6_000_000))
    for line, text in ((one, other["agency_txn_id"]), (other, one["agency_txn_id"])):
        paid = world.receipt("gamma", line["net_minor"], day + 2, text)
        world.pays([paid], [line], tells=False)
        world.broken("ambiguous", "receipt", paid)


def other_currency(world: World) -> None:
    """A line in another currency than its account; and a line whose money comes in another currency."""
    wrong = world.line("gamma", world.amount(), world.day(), account_id=world.account("gamma"), currency="USD")
    world.broken("wrong_currency", "line", wrong["label"])
    line = world.line("gamma", world.amount(), world.day())
    paid = world.receipt("gamma", line["net_minor"] // 7, line["day"] + 2, line["agency_txn_id"], currency="USD")
    world.broken("wrong_currency", "receipt", paid)
    world.unpaid([line])


def other_agencys_money(world: World) -> None:
    """One agency pays under the reference of another's line."""
    line = world.line("gamma", world.amount(), world.day())
    paid = world.receipt("alpha", line["net_minor"], line["day"] + 2, line["agency_txn_id"])
    world.broken("wrong_agency", "receipt", paid)
    world.unpaid([line])


def fits_no_placement(world: World) -> None:
    """In one transfer that is paid whole: lines of an unknown account, of another agency, too early and too late."""
    reference, day, lines = world.transfer("alpha", 3)
    ended = FIRST + np.timedelta64(day - TAIL_DAYS - 1, "D")
    for code, account in (
        ("unknown_account", pd.NA),
        ("wrong_agency", world.account("gamma")),
        ("after_recall", world.account("alpha", ended_on=ended)),
        ("before_placement", world.account("alpha", placed_on=FIRST + np.timedelta64(day + 1, "D"))),
    ):
        wrong = world.line("alpha", world.amount(), day, account_id=account, batch_ref=reference)
        world.broken(code, "line", wrong["label"])
        lines.append(wrong)
    paid = world.receipt("alpha", sum(line["net_minor"] for line in lines), day + 2, reference)
    world.pays([paid], lines)


def again(world: World) -> None:
    """The same line twice in one file; and once more in a later file."""
    line = world.line("gamma", world.amount(), world.day())
    world.pays([world.receipt("gamma", line["net_minor"], line["day"] + 2, line["agency_txn_id"])], [line])
    for code, file in (("duplicate_in_file", line["file"]), ("duplicate_across_files", "gamma-later")):
        same = line | {"label": world.number("line"), "file": file}
        world.lines.append(same)
        world.broken(code, "line", same["label"])


def undoes_nothing(world: World) -> None:
    """A reversal of something that never was."""
    line = world.line("gamma", -world.amount(), world.day(), original_txn_id="GT9999999")
    world.broken("reversal_without_original", "line", line["label"])


def beyond_the_balance(world: World) -> None:
    """More is recovered than was owed."""
    account = world.account("gamma", balance_minor=10_000)
    line = world.line("gamma", 25_000 + world.day(), world.day(), account_id=account)
    world.pays([world.receipt("gamma", line["net_minor"], line["day"] + 2, line["agency_txn_id"])], [line])
    world.broken("overpayment", "account", account)


def paid_to_the_lender(world: World) -> None:
    """Direct payments: claimed once, as agreed; claimed twice; and claimed though nobody can see one."""
    account, amount, day = world.account("alpha"), world.amount(), world.day()
    world.receipt(None, amount, day, f"62{account:010d}")
    for times in range(2):
        claim = _claim(world, "alpha", account, amount)
        if times:
            world.broken("direct_payment_claim", "claim", claim)
    unseen = _claim(world, "alpha", world.account("alpha"), world.amount())
    world.broken("direct_payment_claim", "claim", unseen)


def paid_to_the_lender_unentitled(world: World) -> None:
    """A direct payment claimed by an agency whose contract gives it nothing for that."""
    account, amount = world.account("gamma"), world.amount()
    world.receipt(None, amount, world.day(), f"62{account:010d}")
    world.broken("direct_payment_claim", "claim", _claim(world, "gamma", account, amount))


def _claim(world: World, agency: str, account: int, base: int) -> int:
    fee, vat = fee_of(base)
    label = world.number("claim")
    world.claims.append({
        "label": label, "agency": agency, "line": label, "invoice_no": f"I-{agency}", "agency_txn_id": None,
        "account_id": account, "currency": "CNY", "base_minor": base, "commission_minor": fee, "vat_minor": vat,
        "period": "2026-04",
    })  # fmt: skip
    return label


# --- where no reference speaks ------------------------------------------------------------------------------------


def whole_days(world: World, days: int) -> None:
    """An agency that pays each day's lines in one sum without a reference; some days in two, some with a stranger."""
    world.plant = "whole_day"
    for number in range(days):
        day = number
        lines = [world.line("delta", world.amount(), day) for _ in range(int(world.rng.integers(3, 12)))]
        total = sum(line["net_minor"] for line in lines)
        paid_on = day + int(world.rng.integers(1, 4))
        reference = None if number % 3 else f"SAMMLER {number}"
        world.pays([world.receipt("delta", total, paid_on, reference)], lines)
        if number % 4 == 0:
            world.broken("no_line", "receipt", world.receipt("delta", world.amount(), paid_on, None))


CLUSTER_DAYS = 15
"""So far apart in time that the lines of two clusters never lie in one receipt's window."""


def sums_of_few(world: World, clusters: int) -> None:
    """Small pools: some of their lines are paid in one sum without a reference, some never; strangers pay beside."""
    world.plant = "sum_of_few"
    for number in range(clusters):
        agency, currency = BY_SUM[number % 2], ("CNY", "USD", "EUR")[number // 2 % 3]
        day = number // 6 * CLUSTER_DAYS % 150
        size = int(world.rng.integers(4, 9))
        amounts = world.rng.choice(np.arange(1_000_003, 9_000_000), size=size, replace=False).tolist()
        lines = [world.line(agency, one, day + at % 3, currency=currency) for at, one in enumerate(amounts)]
        paid = lines[: int(world.rng.integers(2, size - 1))]
        receipt = world.receipt(agency, sum(line["net_minor"] for line in paid), day + 4, None, currency=currency)
        world.pays([receipt], paid)
        world.unpaid(lines[len(paid) :])
        stranger = world.receipt(agency, int(world.rng.integers(10**6, 10**7)), day + 5, None, currency=currency)
        world.broken("no_line", "receipt", stranger)


PLANTS: tuple[Callable[[World], None], ...] = (
    twins, nearly, undone_before_money, undone_in_part, deducted, returned, within_tail, never_paid, nobodys, late,
    in_part, short, too_much, paid_gross, fee_taken_off, says_net, kept_too_much, equal_elsewhere, exchanged,
    other_currency, other_agencys_money, fits_no_placement, again, undoes_nothing, beyond_the_balance,
    paid_to_the_lender, paid_to_the_lender_unentitled,
)  # fmt: skip
RARE = frozenset({never_paid, nobodys, equal_elsewhere, exchanged, undoes_nothing, short})
