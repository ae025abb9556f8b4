"""Help beside the work: what a page is for, and the keys."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from fastapi import APIRouter, Response

from console.web.language import later
from console.web.visits import Visiting, needs

if TYPE_CHECKING:
    from collections.abc import Mapping

router = APIRouter()

KEYS = (
    ("j k", later("to the next row, to the one before")),
    ("Enter", later("open the row")),
    ("x", later("choose the row")),
    ("/", later("to the search")),
    ("m", later("match")),
    ("u", later("undo")),
    ("Esc", later("close")),
    ("?", later("this help")),
)


@router.get("/help", dependencies=[needs("help.see")])
def beside(visit: Visiting, at: str = "/") -> Response:
    """What the page of that path is for."""
    told = told_of(at)
    template = "parts/help.html" if visit.is_partial else "house/help.html"
    return visit.page(template, told=told.get(visit.say.code, []), keys=KEYS, at=at)


def told_of(path: str) -> Mapping[str, list[str]]:
    """Paragraphs by language, of the page whose path begins so; those of the first page where none does."""
    known = helps()
    fits = [name for name in known if path == name or (name != "/" and path.startswith(name + "/"))]
    return known[max(fits, key=len, default="/")]


@cache
def helps() -> Mapping[str, Mapping[str, list[str]]]:
    """Every page's help, by path and language."""
    return tomllib.loads((files("console.web") / "helps.toml").read_text(encoding="utf-8"))
