"""One page at a time: requests of a process take turns, so that each is answered as fast as if it were alone.

Threads that share Python's interpreter hand it to and fro: with every row that SQLite gives. Four pages of ten
milliseconds that are made together are each ready after forty and more; one after the other the first is ready after
ten and the last after forty. What takes long keeps nobody waiting: its turn ends after a while, and it goes on beside
the others.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

LONGEST: Final = 0.03
"""Seconds that a turn takes at most; most pages take a third of it."""
IN_TURN: Final = frozenset({"GET", "HEAD"})
"""What changes something may wait for a lock of the store, or for a browser to send its file: it needs no turn."""
AT_ONCE: Final = ("/healthz", "/metrics", "/static/")
"""Nor does what costs next to nothing, and what asks whether we live."""


class InTurn:
    """The application, with its reading requests one after the other."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._turn = asyncio.Lock()  # hands itself on in the order in which it was asked for

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request when its turn comes."""
        if scope["type"] != "http" or scope["method"] not in IN_TURN or scope["path"].startswith(AT_ONCE):
            await self._app(scope, receive, send)
            return
        await self._turn.acquire()
        ended = False

        def end() -> None:
            nonlocal ended
            if not ended:
                ended = True
                self._turn.release()

        late = asyncio.get_running_loop().call_later(LONGEST, end)
        try:
            await self._app(scope, receive, send)
        finally:
            late.cancel()
            end()
