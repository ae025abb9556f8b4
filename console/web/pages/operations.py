"""Whether the console lives, and how the installation is."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from console.web.visits import Visiting, is_open
from infra.store import schema
from models.errors import ConsignError

router = APIRouter()


@router.get("/healthz", dependencies=[is_open])
def ready(visit: Visiting) -> Response:
    """200 where requests can be answered: the store answers, and has the tables of this version. 503 otherwise."""
    try:
        with visit.desk.database.read() as connection:
            connection.execute(text("SELECT 1"))
            current = schema.version_of(connection) == schema.head()
    except (SQLAlchemyError, ConsignError):
        return JSONResponse({"ready": False, "store": "does not answer"}, status_code=503)
    if not current:
        return JSONResponse({"ready": False, "store": "has the tables of another version"}, status_code=503)
    return JSONResponse({"ready": True})


@router.get("/healthz/live", dependencies=[is_open])
def live() -> Response:
    """200 as long as the process answers."""
    return JSONResponse({"live": True})
