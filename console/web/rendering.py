"""Pages from templates, one environment for each language; what a page asks for and was not given is an error."""

from __future__ import annotations

import hashlib
from functools import cache, lru_cache, partial
from importlib.resources import files
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from markupsafe import Markup

from console.web.codes import term
from console.web.language import say
from infra import templates
from models.permissions import AGENCY
from models.roles import NAMES

if TYPE_CHECKING:
    from jinja2 import Environment

    from console.web.visits import Visit


ROLE_NAMES: Final[dict[str, tuple[str, str]]] = {
    **{str(role): words for role, words in NAMES.items()},
    AGENCY: ("agency", "机构"),
}
"""What every role is called."""

LITERALLY: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;"})
"""Jinja takes whatever `_` returns for HTML, and a code without words of ours (`_(names.get(code, code))`) is not: so
no sentence holds any."""


@cache
def environment(language: str) -> Environment:
    """The templates in one language.

    `_` and `{% trans %}` translate; filters: money(currency), number, percent, day, instant, noted, pair, asset,
    explained, term(group).
    """
    told = say(language)
    made = templates.fresh("console.web", "jinja2.ext.i18n")
    made.install_gettext_callables(  # type: ignore[attr-defined]  # the extension's method
        lambda sentence: told(sentence).translate(LITERALLY),
        lambda one, many, count: told.plural(one, many, count).translate(LITERALLY),
        newstyle=True,
    )
    made.filters |= {
        "money": told.money, "number": told.number, "percent": told.percent, "day": told.day,
        "instant": told.instant, "noted": told.noted, "pair": told.pair, "asset": asset, "explained": told.explained,
        "term": partial(term, language),
    }  # fmt: skip
    made.globals |= {"query": query, "word": word, "role_names": ROLE_NAMES, "_": partial(_translated, language)}
    return made


def _translated(language: str, sentence: str, **blanks: object) -> Markup:
    """As Jinja's own `_`, which looks up and escapes anew what a page says a hundred times."""
    return _sentence(language, sentence) % blanks if blanks else _bare(language, sentence)


@lru_cache(maxsize=10_000)
def _sentence(language: str, sentence: str) -> Markup:
    return Markup(say(language)(sentence).translate(LITERALLY))  # noqa: S704 - nothing of HTML is left in it


@lru_cache(maxsize=10_000)
def _bare(language: str, sentence: str) -> Markup:
    """A sentence without blanks; `%%` is a percent sign there too."""
    return _sentence(language, sentence) % {}


def word(visit: Visit) -> Markup:
    """The hidden field that every form begins with."""
    return Markup('<input type="hidden" name="_form" value="{}">').format(visit.word)


@cache
def asset(name: str) -> str:
    """The URL of a static file, another one whenever its bytes are."""
    digest = hashlib.sha256((files("console.web") / "static" / name).read_bytes()).hexdigest()
    return f"/static/{name}?v={digest[:12]}"


def query(**words: object) -> str:
    """`?agency=north&tab=open` of what is given; empty words are left out."""
    told = {name: word for name, word in words.items() if word not in (None, "", False)}
    return "?" + urlencode(told, doseq=True) if told else "?"
