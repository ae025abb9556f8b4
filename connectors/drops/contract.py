"""The contract of a drop: how a file is published once, and collected once, whatever breaks on the way.

**Publishing.** A file appears under its final name whole or not at all, and never twice:

1. It is written under a temporary name in the same directory; every write's answer is checked; the server is asked to
   sync it to disk where it can; its size is compared. What was sent hashes to what the caller recorded, or nothing
   more happens.
2. The caller *records its intent durably* (`record_intent` commits to its database).
3. The temporary name is renamed to the final one, by a rename that never replaces. The caller records that it is done.

Whoever finds the intent recorded and no more asks the other side: the final name is there, then it was sent; the
temporary name is there, then the rename did not happen and is done now; neither, then a fast consumer took it:
*presumed* sent, to be settled by the agency's acknowledgement, and never sent again by itself. Without the intent a
lost answer to the rename would deliver twice. Sidecars (`<name>.sig`) are published before their file: where the file
is, its sidecars are.

**Collecting.** A file is complete when a `.done` beside it says its hash and size; else, when it bears no unfinished
name; else, when two looks some seconds apart agree. It is claimed by renaming it to a name that two collectors compute
alike, so that one of them wins; fetched under a cap, its attributes compared before and after; recorded by the caller
(a ledger unique on the hash); archived. What a crash left claimed, `claimed` returns again. A claim proves ownership,
not completeness: a writer may go on writing after the rename, and the ledger and the seal have the last word.

The order lives once, in `publishing` and `collecting`. A kind of drop supplies the acts it is made of (`acts`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from connectors.drops.acts import Found, Kind, NameMissing, NameTaken, Probe
from connectors.drops.collecting import Claimed, Collecting, Completeness, Entry, Fetched, Ignored, Look, Outcome
from connectors.drops.publishing import Outgoing, Publishing, Pushed

if TYPE_CHECKING:
    from connectors.drops.login import Login

__all__ = [
    "Claimed",
    "Completeness",
    "Drop",
    "Entry",
    "Fetched",
    "Found",
    "Ignored",
    "Kind",
    "Look",
    "NameMissing",
    "NameTaken",
    "Outcome",
    "Outgoing",
    "Probe",
    "Pushed",
]


class Drop(Publishing, Collecting):
    """A place where files are left for an agency and found from it. A context manager; one thread at a time."""

    login: Login | None = None
    """How we came in the last time; None before, and where nobody logs in."""

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
