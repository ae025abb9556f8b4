"""The figures about conduct: lines, files, acknowledgements, invoices, breaks, breaches; and complaints with a gate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import beta

from models.scoring.inputs import CONDUCT, Component
from models.scoring.shrinkage import posterior

if TYPE_CHECKING:
    from collections.abc import Iterator

    from models.scoring.book import Book

SHARES = (
    ("data_quality", "lines", "lines_refused"),
    ("files_accepted", "files", "files_refused"),
    ("acknowledged_in_time", "deliveries", "acknowledged_late"),
    ("recalls_in_time", "recalls", "recalls_late"),
    ("erasures_in_time", "erasures", "erasures_late"),
    ("service", "promises", "promises_broken"),
    ("invoice_accuracy", "invoice_lines", "invoice_lines_disputed"),
)
"""Component, of how many, and how many of them were not right."""
PROMISES = {
    "promises": ["deliveries", "recalls", "erasures"],
    "promises_broken": ["acknowledged_late", "recalls_late", "erasures_late"],
}
"""What the agency has to answer within a time, and what it answered late or not at all."""
GATE = "complaint_gate"
OPEN, WATCH, SHUT = "open", "watch", "shut"


def shares(book: Book) -> Iterator[Component]:
    """What was right of what came, with Jeffreys' interval, None of nothing; late reports and breaks are counted."""
    counts = book.inputs.conduct.reindex(index=book.agencies, columns=list(CONDUCT)).fillna(0).astype("int64")
    counts = counts.assign(**{name: counts[parts].sum(axis=1) for name, parts in PROMISES.items()})
    tails = [book.parameters.tail, 1 - book.parameters.tail]
    for agency, told in zip(book.agencies, counts.to_dict("records"), strict=True):
        for name, all_of, wrong_of in SHARES:
            sent, wrong = int(told[all_of]), min(int(told[wrong_of]), int(told[all_of]))
            if not sent:
                yield Component(agency, name)
                continue
            low, high = np.asarray(beta.ppf(tails, sent - wrong + 0.5, wrong + 0.5)).tolist()
            share = (sent - wrong) / sent
            yield Component(agency, name, share, low, high, expected=float(sent), actual=float(sent - wrong))
        yield Component(agency, "reports_late", value=float(told["reports_late"]))
        yield Component(agency, "breaks", value=float(told["breaks"]), actual=float(told["breaks_open"]))


def complaints(book: Book) -> Iterator[Component]:
    """Per 1,000 accounts, pulled to everybody's rate where accounts are few, and the gate that they hold.

    The gate shuts where what was counted and even the low end of the estimate are above the limit: nobody is shut out
    by being less than surely above it, nor by a neighbour's complaints.
    """
    limit = book.parameters.complaints_per_1000
    for found in _per_1000(book, "complaints"):
        yield found
        gate = OPEN if (found.actual or 0.0) <= limit else SHUT if (found.low or 0.0) > limit else WATCH
        yield Component(found.agency, GATE, value=limit, note=gate)


def breaches(book: Book) -> Iterator[Component]:
    """Breaches of conduct that stand, open or upheld, per 1,000 accounts, pulled to everybody's rate; and the serious.

    A serious one that is upheld stops new placements by a gate of its own (models/conduct/gates.py).
    """
    serious = book.inputs.conduct["breaches_serious"].reindex(book.agencies).fillna(0).to_numpy(dtype=np.float64)
    for position, found in enumerate(_per_1000(book, "breaches")):
        yield found
        yield Component(found.agency, "breaches_serious", value=float(serious[position]))


def _per_1000(book: Book, counted: str) -> Iterator[Component]:
    """One figure per agency: gamma-Poisson over everybody's rate; no value where it held no account."""
    accounts = book.by_agency(np.ones(len(book.agency)))
    told = book.inputs.conduct.reindex(index=book.agencies, columns=[counted]).fillna(0)
    count = told[counted].to_numpy(dtype=np.float64)
    rate = float(count.sum() / accounts.sum()) if accounts.sum() else 0.0
    credible = book.parameters.credible
    found = posterior(count, accounts * rate, credible=credible) if rate > 0 else None
    for position, agency in enumerate(book.agencies):
        if not accounts[position]:
            yield Component(agency, counted)
            continue
        if found is None:
            # none anywhere: zero, up to the bound that none among so many accounts leaves
            value, low, high = 0.0, 0.0, float(-np.log(1 - credible) / accounts[position] * 1000)
        else:
            value, low, high = (float(part[position] * rate * 1000) for part in (found.mean, found.low, found.high))
        actual = float(count[position] / accounts[position] * 1000)
        yield Component(agency, counted, value, low, high, expected=rate * 1000, actual=actual)
