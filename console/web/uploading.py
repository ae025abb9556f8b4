"""Files on their way in: what a browser sends is never written in clear, not even where it waits for its end.

A router whose pages take files of debtors says `APIRouter(route_class=SealedForms)`. What is received lies nameless and
under a key that is in memory alone; infra.uploads keeps from it what is to be kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import Request, UploadFile
from fastapi.routing import APIRoute
from starlette.datastructures import FormData, Headers
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser

from infra import uploads

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from infra.wiring import Desk

MULTIPART = "multipart/form-data"
FILES_AT_MOST = 3
FIELDS_AT_MOST = 100


class _Parser(MultiPartParser):
    """A form's parts; each file goes where nobody reads it."""

    def __init__(self, headers: Headers, stream: AsyncGenerator[bytes, None], desk: Desk) -> None:
        super().__init__(headers, stream, max_files=FILES_AT_MOST, max_fields=FIELDS_AT_MOST)
        self._desk = desk

    def on_headers_finished(self) -> None:
        super().on_headers_finished()
        plain = self._current_part.file
        if plain is None:
            return
        plain.file.close()
        sealed: Any = uploads.receiving(self._desk)
        self._files_to_close_on_error.append(sealed)
        self._current_part.file = UploadFile(file=sealed, size=0, filename=plain.filename, headers=plain.headers)


class _Request(Request):
    """A request whose form is read so."""

    async def _get_form(self, **limits: Any) -> FormData:
        if self._form is None and self.headers.get("content-type", "").startswith(MULTIPART):
            try:
                self._form = await _Parser(self.headers, self.stream(), self.app.state.desk).parse()
            except MultiPartException as broken:
                raise HTTPException(400, broken.message) from None
        return await super()._get_form(**limits)


class SealedForms(APIRoute):
    """A route whose forms are read so."""

    def get_route_handler(self) -> Callable[[Request], Any]:
        """The handler, given a request of ours."""
        handler = super().get_route_handler()

        async def answered(request: Request) -> Any:
            return await handler(_Request(request.scope, request.receive))

        return answered
