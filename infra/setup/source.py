"""The source of Consign as a tool reads it: modules, functions, calls and what a name is set to."""

from __future__ import annotations

import ast
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("models", "connectors", "keys", "infra", "flows", "console")
PRIVATE: Final = ("infra/sandbox/", "infra/setup/")
"""What nobody meets at the console: the sandbox's own servers, and this."""
BASE: Final = "ConsignError"
BY_NAME_ALONE: Final = 1_000
"""The position of a parameter that has none."""


@dataclass
class Module:
    """One file: its functions, constants and what it imports."""

    path: str
    tree: ast.Module
    functions: dict[str, ast.FunctionDef] = field(default_factory=dict)
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    constants: dict[str, ast.expr] = field(default_factory=dict)
    imported: dict[str, tuple[str, str]] = field(default_factory=dict)
    """name here -> (module, name there); ("infra.x", "") for a module"""


@dataclass(frozen=True)
class Scope:
    """Where an expression stands: its module, the class and the function around it."""

    module: Module
    owner: ast.ClassDef | None = None
    function: ast.FunctionDef | None = None
    around: Scope | None = None
    """the function that this function stands in"""

    def place(self, node: ast.expr) -> str:
        """The file and the line of an expression that stands there."""
        return f"{self.module.path}:{node.lineno}"


@dataclass(frozen=True)
class Standing:
    """An expression, and where it stands."""

    node: ast.expr
    scope: Scope


@dataclass(frozen=True)
class Call:
    """A call, and where it stands."""

    node: ast.Call
    scope: Scope


class Source:
    """The packages, read and indexed."""

    def __init__(self, root: Path = ROOT, packages: Iterable[str] = PACKAGES) -> None:
        self.modules: dict[str, Module] = {}
        self.calls: dict[str, list[Call]] = defaultdict(list)
        for package in packages:
            for file in sorted((root / package).rglob("*.py")):
                path = file.relative_to(root).as_posix()
                if not path.startswith(PRIVATE):
                    name = path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
                    self.modules[name], calls = _module(path, ast.parse(file.read_text("utf-8")))
                    for call in calls:
                        self.calls[last(call.node.func)].append(call)

    @cached_property
    def errors(self) -> dict[str, list[tuple[Module, ast.ClassDef]]]:
        """Every class of error, by its name."""
        classes = [(module, one) for module in self.modules.values() for one in module.classes.values()]
        known: set[str] = set()
        more = {BASE}
        while more:
            known |= more
            more = {one.name for _, one in classes if any(last(base) in known for base in one.bases)} - known
        found: dict[str, list[tuple[Module, ast.ClassDef]]] = defaultdict(list)
        for module, one in classes:
            if one.name in known:
                found[one.name].append((module, one))
        return found

    @cached_property
    def makers(self) -> dict[str, ast.ClassDef]:
        """By the name of an error: the class whose `__init__` makes it."""
        return {name: made for name in self.errors if (made := self._maker(name)) is not None}

    def _maker(self, name: str) -> ast.ClassDef | None:
        names, seen = [name], set()
        while names:
            one = names.pop(0)
            for _, made in self.errors.get(one, ()) if one not in seen else ():
                if any(isinstance(part, ast.FunctionDef) and part.name == "__init__" for part in made.body):
                    return made
                names += [last(base) for base in made.bases]
            seen.add(one)
        return None

    def raises_what_it_was_given(self, call: Call) -> bool:
        """Whether the call makes an error whose class is a parameter or kept in `self`: `raise self.fault(...)`."""
        function = call.scope.function
        if function is None or call.node not in _raised(function) or self.function(call.node.func, call.scope):
            return False
        match call.node.func:
            case ast.Name(id=name):
                return _parameter(function, name) is not None
            case ast.Attribute(value=ast.Name(id="self")):
                return True
        return False

    def function(self, given: ast.expr, scope: Scope) -> tuple[Module, ast.FunctionDef] | None:
        """The function of ours that is called so."""
        module = scope.module
        match given:
            case ast.Name(id=name) | ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name) if (
                name in module.functions
            ):
                return module, module.functions[name]
            case ast.Name(id=name) if name in module.imported:
                return self._there(*module.imported[name])
            case ast.Attribute(value=ast.Name(id=alias), attr=name) if alias in module.imported:
                there, word = module.imported[alias]
                return self._there(f"{there}.{word}" if word else there, name)
            case ast.Attribute(attr=name):
                homes = [one for one in self._homes.get(name, ()) if _package(one) == _package(module)]
                return (homes[0], homes[0].functions[name]) if len(homes) == 1 else None
        return None

    @cached_property
    def _homes(self) -> dict[str, list[Module]]:
        """By the name of a function: the modules that have one."""
        found: dict[str, list[Module]] = defaultdict(list)
        for module in self.modules.values():
            for name in module.functions:
                found[name].append(module)
        return found

    def _there(self, module: str, name: str) -> tuple[Module, ast.FunctionDef] | None:
        there = self.modules.get(module)
        return (there, there.functions[name]) if there is not None and name in there.functions else None

    def named(self, name: str, scope: Scope) -> list[Standing]:
        """What the name is set to: in the function, by its callers, or in a module; nothing where that is not told."""
        function = scope.function
        if function is not None:
            here = [Standing(one, scope) for one in _assigned(function, name)]
            if here:
                return here
            at = _parameter(function, name)
            if at is not None:
                return self._by_callers(function, scope, name, at)
        if scope.around is not None:
            return self.named(name, scope.around)
        return self._constant(name, scope.module)

    def _constant(self, name: str, module: Module) -> list[Standing]:
        if name in module.constants:
            return [Standing(module.constants[name], Scope(module))]
        there, word = module.imported.get(name, ("", ""))
        if there in self.modules and word in self.modules[there].constants:
            return [Standing(self.modules[there].constants[word], Scope(self.modules[there]))]
        return []

    def _by_callers(self, function: ast.FunctionDef, scope: Scope, name: str, at: int) -> list[Standing]:
        makes = function.name == "__init__" and scope.owner is not None
        called = {function.name}
        if makes and scope.owner is not None:
            called = {word for word, made in self.makers.items() if made is scope.owner} or {scope.owner.name}
        found = [
            Standing(one, call.scope)
            for word in called
            for call in self.calls.get(word, ())
            if makes or self.function(call.node.func, call.scope) == (scope.module, function)
            for one in given_to(call.node, at, name)
        ]
        default = _default(function, name)
        return found + ([Standing(default, scope)] if default is not None else [])

    @cached_property
    def _added_to(self) -> dict[str, list[Standing]]:
        """By the name of an attribute: what is appended to it anywhere."""
        found: dict[str, list[Standing]] = defaultdict(list)
        for call in self.calls["append"]:
            match call.node:
                case ast.Call(func=ast.Attribute(value=ast.Attribute(attr=name)), args=[one]):
                    found[name].append(Standing(one, call.scope))
        return found

    def several(self, node: ast.expr, scope: Scope, deepest: int = 4) -> list[Standing]:
        """What a table, a list or an iterator holds, as far as the source says; the values of a dict."""
        if not deepest:
            return []
        match node:
            case ast.Dict(values=held) | ast.Tuple(elts=held) | ast.List(elts=held) | ast.Set(elts=held):
                return [Standing(one, scope) for one in held]
            case ast.GeneratorExp(elt=one) | ast.ListComp(elt=one) | ast.SetComp(elt=one) | ast.DictComp(value=one):
                return [Standing(one, scope)]
            case ast.Attribute(attr=name):
                return [one for one in self._added_to[name] if _package(one.scope.module) == _package(scope.module)]
            case ast.BinOp(left=left, right=right) | ast.IfExp(body=left, orelse=right):
                return self.several(left, scope, deepest) + self.several(right, scope, deepest)
        return self._held(node, scope, deepest - 1)

    def _held(self, node: ast.expr, scope: Scope, deepest: int) -> list[Standing]:
        """What a name or a call stands for holds."""
        if isinstance(node, ast.Name):
            found = [one for at in self.named(node.id, scope) for one in self.several(at.node, at.scope, deepest)]
            return found + [Standing(one, scope) for one in (_added(scope.function, node.id) if scope.function else ())]
        if (
            isinstance(node, ast.Subscript)
            and isinstance(node.slice, ast.Constant)
            and isinstance(node.slice.value, int)
        ):
            parts = self.picked(node.value, node.slice.value, scope)
            return [one for part in parts for one in self.several(part.node, part.scope, deepest)]
        if not isinstance(node, ast.Call):
            return []
        within = self.within(node, scope)
        if within is None or within.function is None:
            return [one for given in node.args for one in self.several(given, scope, deepest)]
        found = [one for at in returned(within.function) for one in self.several(at, within, deepest)]
        return found + [Standing(one, within) for one in _yielded(within.function)]

    def within(self, call: ast.Call, scope: Scope) -> Scope | None:
        """The inside of the function of ours that is called."""
        made = self.function(call.func, scope)
        if made is None:
            return None
        there, function = made
        return Scope(there, scope.owner if there is scope.module else None, function)

    def picked(self, table: ast.expr, at: int, scope: Scope) -> list[Standing]:
        """What stands at that place of the tuples that the expression can be; all that a list holds."""
        found: list[Standing] = []
        match table:
            case ast.Call() if (within := self.within(table, scope)) is not None and within.function is not None:
                can_be = [Standing(one, within) for one in returned(within.function)]
            case ast.Name(id=name):
                can_be = self.named(name, scope)
                found = [Standing(one, scope) for one in (_added(scope.function, name) if scope.function else ())]
            case ast.Subscript(value=inner):
                can_be = self.several(inner, scope)
            case _:
                return self.several(table, scope)
        for one in can_be:
            if not isinstance(one.node, ast.Tuple):
                found += self.several(one.node, one.scope)
            elif at < len(one.node.elts):
                found.append(Standing(one.node.elts[at], one.scope))
        return found


def last(node: ast.expr) -> str:
    """The last name of `a.b.c`."""
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def given_to(call: ast.Call, at: int, word: str) -> Iterator[ast.expr]:
    """The argument of a call, by its position or its name."""
    if at < len(call.args) and not any(isinstance(one, ast.Starred) for one in call.args[: at + 1]):
        yield call.args[at]
    yield from (one.value for one in call.keywords if one.arg == word)


def returned(function: ast.FunctionDef) -> list[ast.expr]:
    """What the function returns."""
    return [one.value for one in _walk(function) if isinstance(one, ast.Return) and one.value is not None]


def caught(function: ast.FunctionDef) -> set[str]:
    """The names that the function gives to errors of others."""
    return {node.name for node in _walk(function) if isinstance(node, ast.ExceptHandler) and node.name}


def looped(function: ast.FunctionDef, name: str) -> list[ast.expr]:
    """What a loop or a comprehension of the function takes the name from."""
    return [
        node.iter
        for node in _walk(function)
        if isinstance(node, ast.For | ast.comprehension)
        and isinstance(node.target, ast.Name)
        and node.target.id == name
    ]


def forget() -> None:
    """What was kept of functions that were walked, and with it their source, is let go."""
    _walk.cache_clear()


def _module(path: str, tree: ast.Module) -> tuple[Module, list[Call]]:
    """The module, and every call in it with the class and the function around it."""
    made, calls = Module(path, tree), []
    waiting: list[tuple[ast.AST, Scope]] = [(tree, Scope(made))]
    while waiting:
        node, scope = waiting.pop()
        inner = scope
        match node:
            case ast.FunctionDef():
                made.functions.setdefault(node.name, node)
                inner = Scope(made, scope.owner, node, scope if scope.function else None)
            case ast.ClassDef():
                made.classes.setdefault(node.name, node)
                inner = Scope(made, node, None)
            case ast.Call():
                calls.append(Call(node, scope))
            case ast.Import(names=names):
                made.imported |= {(one.asname or one.name): (one.name, "") for one in names}
            case ast.ImportFrom(module=str(there), names=names):
                made.imported |= {(one.asname or one.name): (there, one.name) for one in names}
        waiting += [(child, inner) for child in reversed(list(ast.iter_child_nodes(node)))]
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=targets, value=value):
                made.constants |= {one.id: value for one in targets if isinstance(one, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                made.constants[name] = value
    return made, calls


@cache
def _walk(function: ast.FunctionDef) -> tuple[ast.AST, ...]:
    """The function's own statements, not those of functions in it."""
    found: list[ast.AST] = []
    waiting: list[ast.AST] = list(reversed(function.body))
    while waiting:
        node = waiting.pop()
        found.append(node)
        if not isinstance(node, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            waiting += reversed(list(ast.iter_child_nodes(node)))
    return tuple(found)


def _package(module: Module) -> str:
    return module.path.split("/", maxsplit=1)[0]


def _raised(function: ast.FunctionDef) -> list[ast.expr]:
    return [one.exc for one in _walk(function) if isinstance(one, ast.Raise) and one.exc is not None]


def _yielded(function: ast.FunctionDef) -> list[ast.expr]:
    return [one.value for one in _walk(function) if isinstance(one, ast.Yield) and one.value is not None]


def _added(function: ast.FunctionDef, name: str) -> list[ast.expr]:
    """What the function appends to the list of that name."""
    return [
        one.args[0]
        for one in _walk(function)
        if isinstance(one, ast.Call)
        and isinstance(one.func, ast.Attribute)
        and one.func.attr == "append"
        and last(one.func.value) == name
        and one.args
    ]


def _parameter(function: ast.FunctionDef, name: str) -> int | None:
    """The position of a parameter at its callers; None where it is no parameter."""
    names = [one.arg for one in function.args.posonlyargs + function.args.args]
    if name in names:
        return names.index(name) - (names[0] in {"self", "cls"})
    return BY_NAME_ALONE if any(one.arg == name for one in function.args.kwonlyargs) else None


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
            case ast.For(target=ast.Tuple(elts=[_, of]), iter=ast.Call(func=ast.Attribute(value=table, attr="items"))):
                found += _bound(of, ast.copy_location(ast.Subscript(table, ast.Constant(None)), table), name)
    return found


def _bound(target: ast.expr, value: ast.expr, name: str) -> list[ast.expr]:
    """What the name gets where `target = value`."""
    if isinstance(target, ast.Name):
        return [value] if target.id == name else []
    if isinstance(target, ast.Tuple):
        if isinstance(value, ast.IfExp):
            return _bound(target, value.body, name) + _bound(target, value.orelse, name)
        parts: list[ast.expr] = [
            ast.copy_location(ast.Subscript(value, ast.Constant(at)), value) for at in range(len(target.elts))
        ]
        if isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts):
            parts = value.elts
        return [found for to, one in zip(target.elts, parts, strict=True) for found in _bound(to, one, name)]
    return []
