"""Every sentence that an error of Consign can be raised with, read from the source: for the catalogues in 中文.

A sentence is a template: what stands in the source, with numbered blanks for what is filled in (`no agency {1}`; a
brace of the text itself is doubled). It is followed through variables, constants, conditions, `+`, tables, functions
that return sentences and parameters that their callers fill. What is filled in is a blank; where that can be a sentence
too (it has a space), that one is read as well. `python -m infra.setup.raised [package]` prints those that no catalogue
has yet, as a catalogue writes them.
"""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Final, NamedTuple

from babel.messages.pofile import read_po

from infra.setup.source import (
    BASE,
    BY_NAME_ALONE,
    PACKAGES,
    ROOT,
    Call,
    Scope,
    Source,
    caught,
    forget,
    given_to,
    last,
    looped,
    returned,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CATALOGUES: Final = ROOT / "console" / "web" / "locale" / "zh"
ALSO: Final = {
    "Finding": ("infra/health", ((2, "found"), (3, "fix"))),
    "HTTPException": ("console/web/", ((1, "detail"),)),
    "Refused": ("console/web/api/", ((1, "detail"), (2, "fix"))),
}
"""Also read: what the doctor finds and the API answers; where it is made, and the parameters by position and name."""
ASKED: Final = frozenset({"say", "_", "later"})
"""What these are given is translated where it is said."""
MOST: Final = 24
"""Alternatives of one expression, beyond which it is a blank."""
DEEPEST: Final = 8
BLANK: Final = None


class Template(NamedTuple):
    """What an expression can be: text and blanks in order, no two of a kind side by side; and where its text stands.

    unread: the place of an expression that it is made of alone and that nobody can read.
    """

    parts: tuple[str | None, ...]
    place: str = ""
    unread: str = ""

    @property
    def text(self) -> str:
        """What it says without its blanks."""
        return "".join(part or "" for part in self.parts)


FILLED: Final = Template((BLANK,))
"""A value, or another error's own sentence."""
NOTHING: Final = Template(("",))


@dataclass(frozen=True, order=True)
class Sentence:
    """One template as a catalogue has it, the package that says it, and a place where it stands."""

    template: str
    package: str
    where: str


def sentences(root: Path = ROOT) -> tuple[list[Sentence], list[str]]:
    """Every sentence, each once, by package, file and text; and the places whose sentence nobody can read."""
    try:
        return _Reading(Source(root)).all()
    finally:
        forget()


class _Reading:
    """Goes through every error that is made."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.found: dict[str, Sentence] = {}
        self.unread: set[str] = set()

    def all(self) -> tuple[list[Sentence], list[str]]:
        """As `sentences` says."""
        for calls in list(self.source.calls.values()):
            for call in calls:
                for given in self._told(call):
                    self._read(given, call.scope)
        ordered = sorted(self.found.values(), key=lambda one: (one.package, one.where.split(":")[0], one.template))
        return ordered, sorted(self.unread)

    def _told(self, call: Call) -> Iterator[ast.expr]:
        """The expressions of a call that are sentences to a person."""
        name = last(call.node.func)
        home, parameters = ALSO.get(name, ("", ()))
        if parameters and call.scope.module.path.startswith(home):
            for at, word in parameters:
                yield from given_to(call.node, at, word)
            return
        owner, maker = call.scope.owner, self.source.makers.get(name)
        of_error = owner is not None and owner.name in self.source.errors and owner.name != BASE
        is_super = name == "__init__" and of_error and _is_super(call.node.func)
        if is_super or (maker and maker.name == BASE) or self.source.raises_what_it_was_given(call):
            yield from given_to(call.node, 0, "message")
            yield from given_to(call.node, BY_NAME_ALONE, "fix")

    def _read(self, given: ast.expr, scope: Scope) -> None:
        for template in self._templates(given, scope, 0):
            if any(letter.isalpha() for letter in template.text):
                self._keep(template)
            elif template.unread:
                self.unread.add(template.unread)

    def _keep(self, template: Template) -> None:
        words = written(template)
        package = template.place.split("/", maxsplit=1)[0]
        self.found.setdefault(words, Sentence(words, package, template.place))

    def _templates(self, given: ast.expr, scope: Scope, depth: int) -> list[Template]:
        """Every template that the expression can be."""
        made: list[Template] = []
        if depth > DEEPEST:
            return made
        match given:
            case ast.Constant(value=str(text)):
                made = [Template((text,), scope.place(given))]
            case ast.Constant(value=None):
                made = [NOTHING]
            case ast.JoinedStr(values=values):
                made = _joined([self._piece(one, scope, depth) for one in values])
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                made = _joined([self._templates(left, scope, depth), self._templates(right, scope, depth)])
            case ast.Call():
                made = self._called(given, scope, depth)
            case ast.Attribute(attr="fix"):
                made = [FILLED]
            case ast.Name(id=name) if scope.function is not None and name in caught(scope.function):
                made = [FILLED]
            case ast.Tuple():
                made = [NOTHING]  # no sentence, but something that holds some
            case _:
                made = self._choices(given, scope, depth)
        return made or [Template((BLANK,), unread=f"{scope.place(given)}: {ast.unparse(given)}")]

    def _choices(self, given: ast.expr, scope: Scope, depth: int) -> list[Template]:
        """Those of the expressions that this one is one of."""
        choices: list[tuple[ast.expr, Scope]] = []
        match given:
            case ast.IfExp(body=body, orelse=other):
                choices = [(body, scope), (other, scope)]
            case ast.BoolOp(values=values):
                choices = [(one, scope) for one in values]
            case ast.NamedExpr(value=value) | ast.Starred(value=value):
                choices = [(value, scope)]
            case ast.Name(id=name):
                choices = [(one.node, one.scope) for one in self.source.named(name, scope)]
                if not choices and scope.function is not None:
                    lists = looped(scope.function, name)
                    choices = [(one.node, one.scope) for at in lists for one in self.source.several(at, scope)]
            case ast.Subscript(value=table, slice=ast.Constant(value=int(at))):
                choices = [(one.node, one.scope) for one in self.source.picked(table, at, scope)]
            case ast.Subscript(value=table):
                choices = [(one.node, one.scope) for one in self.source.several(table, scope)]
        return _several([self._templates(one, there, depth + 1) for one, there in choices])

    def _piece(self, given: ast.expr, scope: Scope, depth: int) -> list[Template]:
        """A part of an f-string: its text, or a blank; alternatives that are written there are read."""
        if isinstance(given, ast.Constant):
            return [Template((str(given.value),), scope.place(given))]
        assert isinstance(given, ast.FormattedValue)  # noqa: S101 - an f-string has nothing else
        inner = given.value
        choices = (inner.body, inner.orelse) if isinstance(inner, ast.IfExp) and given.conversion == -1 else ()
        if choices and all(isinstance(one, ast.Constant | ast.JoinedStr) for one in choices):
            return self._templates(inner, scope, depth)
        self._aside(inner, scope, depth)
        return [FILLED]

    def _aside(self, given: ast.expr, scope: Scope, depth: int) -> None:
        """A sentence that fills a blank is a sentence too."""
        for template in self._templates(given, scope, depth + 1):
            if any(letter.isalpha() for letter in template.text) and any(letter.isspace() for letter in template.text):
                self._keep(template)

    def _called(self, given: ast.Call, scope: Scope, depth: int) -> list[Template]:
        """What a function returns, a table has, or a join fills in."""
        name = last(given.func)
        if name in ASKED:
            return [NOTHING]
        if name == "str":
            return [FILLED]
        if name == "strip" and isinstance(given.func, ast.Attribute):
            return self._templates(given.func.value, scope, depth)
        if name == "join":
            for one in (one for at in given.args for one in self.source.several(at, scope)):
                self._aside(one.node, one.scope, depth)
            return [FILLED]
        found: list[list[Template]] = []
        if name in {"get", "next"}:
            held = given.func.value if isinstance(given.func, ast.Attribute) else given.args[0]
            found = [self._templates(one.node, one.scope, depth + 1) for one in self.source.several(held, scope)]
            return _several([*found, *(self._templates(one, scope, depth) for one in given.args[1:2])])
        within = self.source.within(given, scope)
        if within is not None and within.function is not None:
            found = [self._templates(one, within, depth + 1) for one in returned(within.function)]
        return _several(found)


def written(template: Template) -> str:
    """The template as a catalogue has it: `no agency {1}`."""
    told, blanks = "", 0
    for part in template.parts:
        if part is BLANK:
            blanks += 1
            told += f"{{{blanks}}}"
        else:
            told += part.replace("{", "{{").replace("}", "}}")
    return told


def _joined(pieces: list[list[Template]]) -> list[Template]:
    """One after the other, in every combination; none where there are too many."""
    made = []
    for one in product(*pieces):
        told: list[str | None] = []
        for part in (part for template in one for part in template.parts if part != ""):
            if told and isinstance(told[-1], str) and isinstance(part, str):
                told[-1] += part
            elif not told or told[-1] is not BLANK or part is not BLANK:
                told.append(part)
        made.append(Template(tuple(told) or ("",), next((template.place for template in one if template.place), "")))
        if len(made) > MOST:
            return []
    return made


def _several(pieces: list[list[Template]]) -> list[Template]:
    """Any of them, each once."""
    return list({(one.parts, one.unread): one for piece in pieces for one in piece}.values())


def _is_super(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Call) and last(node.value.func) == "super"


def catalogued() -> set[str]:
    """The templates that have their 中文."""
    found = set()
    for file in sorted(CATALOGUES.glob("errors-*.po")):
        with file.open("rb") as opened:
            found |= {str(message.id) for message in read_po(opened, locale="zh_Hans") if message.string}
    return found


if __name__ == "__main__":
    told, unread = sentences()
    known = catalogued()
    for one in told:
        if one.template not in known and one.package in (sys.argv[1:] or PACKAGES):
            text = one.template.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
            sys.stdout.write(f'#: {one.where}\nmsgid "{text}"\nmsgstr ""\n\n')
    for place in unread:
        sys.stdout.write(f"# nobody can read {place}\n")
