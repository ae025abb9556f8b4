"""Every sentence that an error of Consign can be raised with, read from the source: for the catalogues in 中文.

A sentence is a template: what stands in the source, with numbered blanks for what is filled in (`no agency {1}`; a
brace of the text itself is doubled). It is followed through variables, constants, conditions, `+`, functions that
return sentences and parameters that their callers fill. What is filled in is a blank; where that can be a sentence
too (it has a space), that one is read as well. `python -m infra.setup.raised [package]` prints those that no catalogue
has yet, as a catalogue writes them.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from babel.messages.pofile import read_po

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("models", "connectors", "keys", "infra", "flows", "console")
CATALOGUES: Final = ROOT / "console" / "web" / "locale" / "zh"
PRIVATE: Final = ("infra/sandbox/", "infra/setup/")
"""What nobody meets at the console: the sandbox's own servers, and this."""
BASE: Final = "ConsignError"
ALSO: Final = {
    "Finding": ((2, "found"), (3, "fix")),
    "HTTPException": ((1, "detail"),),
    "Refused": ((1, "detail"), (2, "fix")),
}
"""Also read: what the doctor finds and the API answers, by the position and the name of the parameters."""
ASKED: Final = frozenset({"say", "_", "later"})
"""What these are given is translated where it is said."""
MOST: Final = 24
"""Alternatives of one expression, beyond which it is a blank."""
DEEPEST: Final = 8

BLANK: Final = None


class Template(NamedTuple):
    """What an expression can be: text and blanks in order, no two of a kind side by side; and where its text stands."""

    parts: tuple[str | None, ...]
    place: str = ""

    @property
    def text(self) -> str:
        """What it says without its blanks."""
        return "".join(part or "" for part in self.parts)


NOBODY_KNOWS: Final = Template((BLANK,))
NOTHING: Final = Template(("",))


@dataclass(frozen=True, order=True)
class Sentence:
    """One template, and a place where it stands."""

    template: str
    package: str
    where: str


@dataclass(frozen=True)
class Scope:
    """Where an expression stands: its module, the class and the function around it."""

    module: Module
    owner: ast.ClassDef | None = None
    function: ast.FunctionDef | None = None


@dataclass
class Module:
    """One file: its functions, constants and what it imports."""

    name: str
    path: str
    tree: ast.Module
    functions: dict[str, ast.FunctionDef] = field(default_factory=dict)
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    constants: dict[str, ast.expr] = field(default_factory=dict)
    imported: dict[str, tuple[str, str]] = field(default_factory=dict)
    """name here -> (module, name there); ("infra.x", "") for a module"""


@dataclass(frozen=True)
class Call:
    """A call, and where it stands."""

    node: ast.Call
    scope: Scope


class Source:
    """The packages, read and indexed."""

    def __init__(self, root: Path = ROOT, packages: Iterable[str] = PACKAGES) -> None:
        self.modules: dict[str, Module] = {}
        for package in packages:
            for file in sorted((root / package).rglob("*.py")):
                path = file.relative_to(root).as_posix()
                if not path.startswith(PRIVATE):
                    name = path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
                    self.modules[name] = _module(name, path, ast.parse(file.read_text("utf-8")))
        self.calls: dict[str, list[Call]] = defaultdict(list)
        for module in self.modules.values():
            for call in _calls(module):
                self.calls[_last(call.node.func)].append(call)

    @cached_property
    def errors(self) -> dict[str, list[tuple[Module, ast.ClassDef]]]:
        """Every class of error, by its name."""
        known = {BASE}
        classes = [(module, one) for module in self.modules.values() for one in module.classes.values()]
        while True:
            more = {one.name for _, one in classes if any(_last(base) in known for base in one.bases)} - known
            if not more:
                break
            known |= more
        found: dict[str, list[tuple[Module, ast.ClassDef]]] = defaultdict(list)
        for module, one in classes:
            if one.name in known:
                found[one.name].append((module, one))
        return found

    def maker(self, name: str) -> tuple[Module, ast.ClassDef] | None:
        """The class whose `__init__` a call of that error runs; None for one that is no error."""
        seen = set()
        names = [name]
        while names:
            one = names.pop(0)
            for module, made in self.errors.get(one, ()):
                if one not in seen and (one == BASE or any(_is_init(part) for part in made.body)):
                    return module, made
                names += [_last(base) for base in made.bases]
            seen.add(one)
        return None

    def kinds_of(self, owner: ast.ClassDef) -> set[str]:
        """The errors that are made by that class's `__init__`."""
        return {name for name in self.errors if (made := self.maker(name)) and made[1] is owner}


def sentences(root: Path = ROOT) -> tuple[list[Sentence], list[str]]:
    """Every sentence, each once, by package and text; and the places whose sentence was not found."""
    return _Reading(Source(root)).all()


class _Reading:
    """Goes through every error that is made."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.found: dict[str, Sentence] = {}
        self.lost: list[str] = []

    def all(self) -> tuple[list[Sentence], list[str]]:
        """As `sentences` says."""
        for module in self.source.modules.values():
            for call in _calls(module):
                for given in self._told(call):
                    self._read(given, call.scope)
        ordered = sorted(self.found.values(), key=lambda one: (one.package, one.where.split(":")[0], one.template))
        return ordered, self.lost

    def _told(self, call: Call) -> Iterator[ast.expr]:
        """The expressions of a call that are sentences to a person."""
        name = _last(call.node.func)
        if name in ALSO:
            for at, word in ALSO[name]:
                yield from _given(call.node, at, word)
            return
        owner = call.scope.owner
        of_error = owner is not None and owner.name in self.source.errors and owner.name != BASE
        makes = name == "__init__" and _is_super(call.node.func) and of_error
        if makes or ((made := self.source.maker(name)) and made[1].name == BASE):
            yield from _given(call.node, 0, "message")
            yield from _given(call.node, None, "fix")

    def _read(self, given: ast.expr, scope: Scope) -> None:
        for template in self._templates(given, scope, 0):
            if any(letter.isalpha() for letter in template.text):
                self._keep(template)
            elif BLANK in template.parts and not _is_passed_on(given):
                self.lost.append(f"{scope.module.path}:{given.lineno}: {ast.unparse(given)}")

    def _keep(self, template: Template) -> None:
        words = written(template)
        package = template.place.split("/", maxsplit=1)[0]
        self.found.setdefault(words, Sentence(words, package, template.place))

    # --- what an expression can be -----------------------------------------------------------------------------------

    def _templates(self, given: ast.expr, scope: Scope, depth: int) -> list[Template]:
        """Every template that the expression can be; one blank where nobody can tell."""
        if depth > DEEPEST:
            return [NOBODY_KNOWS]
        made: list[Template]
        match given:
            case ast.Constant(value=str(text)):
                made = [Template((text,), f"{scope.module.path}:{given.lineno}")]
            case ast.Constant(value=None):
                made = [NOTHING]
            case ast.JoinedStr(values=values):
                made = _joined([self._piece(one, scope, depth) for one in values])
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                made = _joined([self._templates(left, scope, depth), self._templates(right, scope, depth)])
            case ast.Call():
                made = self._called(given, scope, depth)
            case _:
                made = _several([self._templates(one, there, depth + 1) for one, there in self._choices(given, scope)])
        return made

    def _choices(self, given: ast.expr, scope: Scope) -> list[tuple[ast.expr, Scope]]:
        """The expressions that this one is one of."""
        match given:
            case ast.IfExp(body=body, orelse=other):
                return [(body, scope), (other, scope)]
            case ast.BoolOp(values=values):
                return [(one, scope) for one in values]
            case ast.NamedExpr(value=value) | ast.Starred(value=value):
                return [(value, scope)]
            case ast.Name(id=name):
                return self._named(name, scope)
            case ast.Subscript(value=table):
                return [(value, there) for one, there in self._tables(table, scope) for value in _values(one)]
        return []

    def _piece(self, given: ast.expr, scope: Scope, depth: int) -> list[Template]:
        """A part of an f-string: its text, or a blank; alternatives that are written there are read."""
        if isinstance(given, ast.Constant):
            return [Template((str(given.value),), f"{scope.module.path}:{given.lineno}")]
        assert isinstance(given, ast.FormattedValue)  # noqa: S101 - an f-string has nothing else
        inner = given.value
        if isinstance(inner, ast.IfExp | ast.Constant) and given.conversion == -1 and given.format_spec is None:
            parts = [inner.body, inner.orelse] if isinstance(inner, ast.IfExp) else [inner]
            if all(isinstance(part, ast.Constant | ast.JoinedStr) for part in parts):
                return self._templates(inner, scope, depth)
        self._aside(inner, scope, depth)
        return [NOBODY_KNOWS]

    def _aside(self, given: ast.expr, scope: Scope, depth: int) -> None:
        """Sentences that fill a blank are sentences too."""
        for template in self._templates(given, scope, depth + 1):
            if any(letter.isalpha() for letter in template.text) and any(letter.isspace() for letter in template.text):
                self._keep(template)

    def _called(self, given: ast.Call, scope: Scope, depth: int) -> list[Template]:
        name = _last(given.func)
        if name in ASKED:
            return [NOTHING]
        if name == "join" and given.args:
            for one in _elements(given.args[0]):
                self._aside(one, scope, depth)
            return [NOBODY_KNOWS]
        if name == "get" and isinstance(given.func, ast.Attribute):
            tables = self._tables(given.func.value, scope)
            found = [self._templates(value, there, depth + 1) for one, there in tables for value in _values(one)]
            return _several(found + [self._templates(one, scope, depth) for one in given.args[1:2]])
        made = self._function(given.func, scope)
        if made is None:
            return [NOBODY_KNOWS]
        there, function = made
        within = Scope(there, scope.owner if there is scope.module else None, function)
        returned = [one.value for one in _walk(function) if isinstance(one, ast.Return) and one.value is not None]
        return _several([self._templates(one, within, depth + 1) for one in returned])

    # --- names -------------------------------------------------------------------------------------------------------

    def _named(self, name: str, scope: Scope) -> list[tuple[ast.expr, Scope]]:
        """What the name is set to: in the function, by its callers, or in a module."""
        if scope.function is not None:
            here = [(one, scope) for one in _assigned(scope.function, name)]
            if here:
                return here
            at = _parameter(scope.function, name)
            if at is not None:
                return self._by_callers(scope, name, at)
        return self._constant(name, scope)

    def _constant(self, name: str, scope: Scope) -> list[tuple[ast.expr, Scope]]:
        module = scope.module
        if name in module.constants:
            return [(module.constants[name], Scope(module))]
        if name in module.imported:
            there, word = module.imported[name]
            if there in self.source.modules and word in self.source.modules[there].constants:
                return [(self.source.modules[there].constants[word], Scope(self.source.modules[there]))]
        return []

    def _by_callers(self, scope: Scope, name: str, at: int) -> list[tuple[ast.expr, Scope]]:
        function = scope.function
        assert function is not None  # noqa: S101 - asked for a parameter
        if function.name == "__init__" and scope.owner is not None:
            called = self.source.kinds_of(scope.owner) if scope.owner.name in self.source.errors else {scope.owner.name}
        else:
            called = {function.name}
        found = [
            (one, call.scope)
            for word in called
            for call in self.source.calls.get(word, ())
            if function.name == "__init__" or self._function(call.node.func, call.scope) == (scope.module, function)
            for one in _given(call.node, at, name)
        ]
        default = _default(function, name)
        return found + ([(default, scope)] if default is not None else [])

    def _tables(self, given: ast.expr, scope: Scope) -> list[tuple[ast.expr, Scope]]:
        if isinstance(given, ast.Dict | ast.Tuple | ast.List):
            return [(given, scope)]
        if isinstance(given, ast.Name):
            return self._named(given.id, scope)
        return []

    def _function(self, given: ast.expr, scope: Scope) -> tuple[Module, ast.FunctionDef] | None:
        """The function of ours that is called."""
        module = scope.module
        match given:
            case ast.Name(id=name) if name in module.functions:
                return module, module.functions[name]
            case ast.Name(id=name) if name in module.imported:
                there, word = module.imported[name]
                return self._there(there, word)
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name) if name in module.functions:
                return module, module.functions[name]
            case ast.Attribute(value=ast.Name(id=alias), attr=name) if alias in module.imported:
                there, word = module.imported[alias]
                return self._there(f"{there}.{word}" if word else there, name)
        return None

    def _there(self, module: str, name: str) -> tuple[Module, ast.FunctionDef] | None:
        there = self.source.modules.get(module)
        return (there, there.functions[name]) if there is not None and name in there.functions else None


# --- templates --------------------------------------------------------------------------------------------------------


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
    """One after the other, in every combination; a blank where there are too many."""
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
            return [NOBODY_KNOWS]
    return made


def _several(pieces: list[list[Template]]) -> list[Template]:
    """Any of them, each once; a blank where there is none."""
    return list({one.parts: one for piece in pieces for one in piece}.values()) or [NOBODY_KNOWS]


# --- the source -------------------------------------------------------------------------------------------------------


def _module(name: str, path: str, tree: ast.Module) -> Module:
    made = Module(name, path, tree)
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef():
                made.functions.setdefault(node.name, node)
            case ast.ClassDef():
                made.classes.setdefault(node.name, node)
            case ast.Import(names=names):
                made.imported |= {(one.asname or one.name): (one.name, "") for one in names}
            case ast.ImportFrom(module=str(there), names=names):
                made.imported |= {(one.asname or one.name): (there, one.name) for one in names}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            made.constants |= {one.id: node.value for one in node.targets if isinstance(one, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            made.constants[node.target.id] = node.value
    return made


def _calls(module: Module) -> Iterator[Call]:
    """Every call of a module, with the class and the function around it."""

    def within(node: ast.AST, scope: Scope) -> Iterator[Call]:
        for child in ast.iter_child_nodes(node):
            inner = scope
            if isinstance(child, ast.ClassDef):
                inner = Scope(module, child, None)
            elif isinstance(child, ast.FunctionDef):
                inner = Scope(module, scope.owner, child)
            elif isinstance(child, ast.Call):
                yield Call(child, scope)
            yield from within(child, inner)

    yield from within(module.tree, Scope(module))


def _last(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def _is_super(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Call) and _last(node.value.func) == "super"


def _is_init(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name == "__init__"


def _walk(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """The function's own statements, not those of functions in it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop(0)
        yield node
        if not isinstance(node, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            waiting += ast.iter_child_nodes(node)


def _given(call: ast.Call, at: int | None, word: str) -> Iterator[ast.expr]:
    """The argument by its position or name."""
    if at is not None and at < len(call.args) and not any(isinstance(one, ast.Starred) for one in call.args[: at + 1]):
        yield call.args[at]
    yield from (one.value for one in call.keywords if one.arg == word)


def _parameter(function: ast.FunctionDef, name: str) -> int | None:
    """The position of a parameter at its callers (99 for one that only has a name); None where it is no parameter."""
    names = [one.arg for one in function.args.posonlyargs + function.args.args]
    if name in names:
        return names.index(name) - (names[0] in {"self", "cls"})
    return 99 if any(one.arg == name for one in function.args.kwonlyargs) else None


def _default(function: ast.FunctionDef, name: str) -> ast.expr | None:
    args = function.args
    names = [one.arg for one in args.posonlyargs + args.args]
    by_place = dict(zip(reversed(names), reversed(args.defaults), strict=False))
    by_name = {one.arg: value for one, value in zip(args.kwonlyargs, args.kw_defaults, strict=True)}
    return by_place.get(name) or by_name.get(name)


def _assigned(function: ast.FunctionDef, name: str) -> list[ast.expr]:
    """Everything that the function sets the name to."""
    found: list[ast.expr] = []
    for node in _walk(function):
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    found += _bound(target, value, name)
            case ast.AnnAssign(target=ast.Name(id=word), value=ast.expr() as value) if word == name:
                found.append(value)
            case ast.NamedExpr(target=ast.Name(id=word), value=value) if word == name:
                found.append(value)
            case ast.For(target=target, iter=ast.Tuple(elts=elements) | ast.List(elts=elements)):
                for one in elements:
                    found += _bound(target, one, name)
    return found


def _bound(target: ast.expr, value: ast.expr, name: str) -> list[ast.expr]:
    """What the name gets where `target = value`."""
    if isinstance(target, ast.Name):
        return [value] if target.id == name else []
    if isinstance(target, ast.Tuple):
        if isinstance(value, ast.IfExp):
            return _bound(target, value.body, name) + _bound(target, value.orelse, name)
        if isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts):
            return [found for to, one in zip(target.elts, value.elts, strict=True) for found in _bound(to, one, name)]
    return []


def _values(table: ast.expr) -> list[ast.expr]:
    """The values of a table that is written in the source."""
    match table:
        case ast.Dict(values=values):
            return [value for value in values if value is not None]
        case ast.Tuple(elts=values) | ast.List(elts=values):
            return values
        case ast.Call(args=[inner, *_]) if _last(table.func) in {"MappingProxyType", "dict"}:
            return _values(inner)
    return []


def _elements(given: ast.expr) -> list[ast.expr]:
    """What is joined."""
    match given:
        case ast.GeneratorExp(elt=one) | ast.ListComp(elt=one) | ast.SetComp(elt=one):
            return [one]
        case ast.Tuple(elts=several) | ast.List(elts=several):
            return several
    return [given] if isinstance(given, ast.Name) else []


def _is_passed_on(given: ast.expr) -> bool:
    """Whether it is another error's own sentence."""
    match given:
        case ast.Call(func=ast.Name(id="str"), args=[ast.Name()]):
            return True
        case ast.Attribute(attr="fix"):
            return True
    return False


def catalogued() -> set[str]:
    """The templates that have their 中文."""
    return {
        message.id
        for file in sorted(CATALOGUES.glob("errors-*.po"))
        for message in read_po(file.open("rb"), locale="zh_Hans")
        if isinstance(message.id, str) and message.string
    }


if __name__ == "__main__":
    told, lost = sentences()
    known = catalogued()
    for one in told:
        if one.template not in known and one.package in (sys.argv[1:] or PACKAGES):
            text = one.template.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
            sys.stdout.write(f'#: {one.where}\nmsgid "{text}"\nmsgstr ""\n\n')
    for place in lost:
        sys.stdout.write(f"# not to be read: {place}\n")
