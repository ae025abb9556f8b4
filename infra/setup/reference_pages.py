#!/usr/bin/env python3
"""Fills the parts of docs/reference that the code itself can tell, between `<!-- made: name -->` and `<!-- end -->`.

`--check` writes nothing and ends with 1 when a page is not what the code says; a test calls that.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from connectors.bank.profiles import load_profile, shipped_profiles
from connectors.layouts.profiles import load_layout, shipped_layouts
from infra.layouts import told as layout_told
from infra.settings import Settings
from models import chart, closing, exceptions, lives, permissions, release, retention
from models.certification import FAULTS, LEVELS, LEVELS_ABOUT, PLANTS, STEPS
from models.checking import CODES
from models.conduct import packs
from models.instalments import judging, limits
from models.intake.fields import ACCOUNT_FIELDS
from models.kinds import INBOUND, KINDS, OUTBOUND, PLACEMENT_FIELDS, Field, Kind
from models.ledger import BY_ACCOUNT, OF_NO_AGENCY
from models.roles import ABOUT, ROLES
from models.strategy import difference, rules

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "reference"
PART = re.compile(r"(<!-- made: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def kinds_of(names: frozenset[str]) -> str:
    """Each kind of file among the names: its table, its control sum and its columns."""
    return "\n\n".join(kind_section(kind) for name, kind in KINDS.items() if name in names)


def kind_section(kind: Kind) -> str:
    """One kind of file."""
    control = f" The manifest states the sum of `{kind.control}` per currency." if kind.control else ""
    policy = " Which of these columns are there, and how, the [release policy](policies.md) says."
    rows = ((f"`{field.name}`", field.type, "yes" if field.required else "", meaning(field)) for field in kind.fields)
    return (
        f"### {kind.name}\n\nTable `{kind.table}.csv`.{control}{policy if kind.name == 'placement' else ''}\n\n"
        + table(("column", "type", "required", "meaning"), rows)
    )


def meaning(field: Field) -> str:
    """What a column means and what it may hold."""
    allowed = ", ".join(f"`{value}`" for value in field.one_of)
    unique = "unique in the file" if field.unique else ""
    return "; ".join(filter(None, (field.about, f"one of {allowed}" if allowed else "", unique)))


def refusals() -> str:
    """Every code of a receipt."""
    return table(("code", "what to do"), ((f"`{code}`", fix) for code, fix in CODES.items()))


def all_exceptions() -> str:
    """Every code of an exception, the gravest first."""
    rows = (
        (f"`{code}`", kind.about, kind.owner, kind.severity, kind.within, kind.fix)
        for code, kind in sorted(exceptions.CODES.items(), key=lambda one: exceptions.SEVERITIES.index(one[1].severity))
    )
    return table(("code", "what it means", "owner", "severity", "within", "what to do"), rows)


def all_lives() -> str:
    """A state diagram per life: the table that enforces it also draws it."""
    told = {name: value for name, value in vars(lives).items() if name.isupper() and isinstance(value, Mapping)}
    return "\n\n".join(f"## {name.capitalize()}\n\n{diagram(moves)}" for name, moves in told.items())


def diagram(moves: lives.Moves) -> str:
    """One life, from its first state to where it ends."""
    edges = [f"    [*] --> {next(iter(moves))}"]
    edges += [f"    {here} --> {there}" for here, onward in moves.items() for there in sorted(onward) or ["[*]"]]
    return "\n".join(["```mermaid", "stateDiagram-v2", *edges, "```"])


def settings() -> str:
    """Every setting with its default."""
    return table(
        ("in consign.toml", "in the environment", "default", "meaning"),
        (
            (f"`{name}`", f"`CONSIGN_{name.upper()}`", default(field), field.description or "")
            for name, field in Settings.model_fields.items()
        ),
    )


def default(field: FieldInfo) -> str:
    """The default as a person would write it."""
    return "" if field.default in (None, "") else f"`{field.default}`"


def policies() -> str:
    """What each shipped policy lets out, one column per entry, one row per field."""
    return "\n\n".join(policy_section(release.load(name)) for name in release.shipped())


def policy_section(policy: release.Policy) -> str:
    """One policy: its purposes, then fields against entries."""
    purposes = "\n".join(
        f"- `{purpose.name}`: {purpose.basis} (read: {purpose.verified}); to be erased {purpose.erase_after_days} days"
        " after the placement ends."
        for purpose in policy.purposes.values()
    )
    heads = (f"{', '.join(entry.stages)} by {', '.join(entry.channels)}" for entry in policy.entries)
    rows = (
        (
            f"`{name}`",
            *(
                words(entry.treatments.get(name)) if name not in release.PSEUDONYMS else "pseudonym"
                for entry in policy.entries
            ),
        )
        for name in PLACEMENT_FIELDS
    )
    return f"### {policy.name}, version {policy.version}\n\n{policy.about}\n\n{purposes}\n\n" + table(
        ("field", *heads), rows
    )


def words(treatment: release.Treatment | None) -> str:
    """How a field leaves; nothing where it stays."""
    return "" if treatment is None or treatment.how == "drop" else treatment.words


def account_fields() -> str:
    """The fields that a mapping profile can fill."""
    return table(
        ("field", "中文", "type", "required", "kept", "meaning"),
        (
            (
                f"`{field.name}`",
                field.header_zh,
                field.type,
                "yes" if field.required else "",
                "sealed" if field.identity else "clear",
                field.about,
            )
            for field in ACCOUNT_FIELDS.values()
        ),
    )


def certification() -> str:
    """Levels, steps and faults of a certification, in both languages."""
    levels = ((f"`{name}`", *LEVELS_ABOUT[name]) for name in LEVELS)
    steps = ((f"`{one.code}`", one.level, one.by, one.about, one.fix) for one in STEPS.values())
    steps_zh = ((f"`{one.code}`", one.about_zh, one.fix_zh) for one in STEPS.values())
    planted = ((f"`{one.name}`", one.about, one.about_zh, "yes" if one.books else "no") for one in PLANTS.values())
    faults = ((f"`{code}`", *texts) for code, texts in FAULTS.items())
    return "\n\n".join((
        "## Levels\n\nEach holds the one before it.\n\n" + table(("level", "what it shows", "证明什么"), levels),
        "## Steps\n\n" + table(("step", "level", "whose turn", "what", "what to do"), steps),
        "### 步骤\n\n" + table(("步骤", "内容", "怎么做"), steps_zh),
        "## Faults that we plant\n\n" + table(("fault", "what it is", "内容", "booked all the same"), planted),
        "## Why a step failed\n\n" + table(("code", "what it means", "含义"), faults),
    ))  # fmt: skip


def rule_packs() -> str:
    """Every rule, gate and need of the shipped rule packs, and what each counter counts."""
    counters = ((f"`{name}`", about) for name, about in packs.COUNTED.items())
    return "\n\n".join(
        ["## Counters\n\n" + table(("counter", "what it counts"), counters)]
        + [pack_section(packs.load(name)) for name in packs.shipped()]
    )


def pack_section(pack: packs.Pack) -> str:
    """One rule pack: its rules, gates and evidence, and the clock of complaints."""
    rules = (
        (
            f"`{rule.id}`", rule.clause, f"{rule.text} {rule.text_zh}", rule_number(rule),
            str(rule.effective_from or ""), rule.severity,
            rule.verified + (f": {rule.counsel}" if rule.counsel else ""), rule_judged(rule),
        )
        for rule in pack.rules
    )  # fmt: skip
    gates = (
        (f"`{gate.id}`", f"`{gate.measure}`", str(gate.limit), f"{gate.text} {gate.text_zh}") for gate in pack.gates
    )
    needs = (
        (f"`{need.kind}`", f"{need.text} {need.text_zh}", str(need.months or ""), need.clause) for need in pack.needs
    )
    told, asked = pack.complaints, pack.subject_requests
    return "\n\n".join((
        f"## {pack.name}, version {pack.version}\n\n{pack.about} {pack.about_zh}",
        table(("rule", "clause", "text", "number", "from", "severity", "read", "judged by"), rules),
        (
            f"Complaints are answered within {told.answer_days} days ({told.clause}; {told.verified})."
            f" Requests of debtors about their data: within {asked.within or 'the setting `answer_subjects_within`'}"
            f" ({asked.clause}; {asked.verified})."
        ),
        "### Gates of " + pack.name + "\n\n" + table(("gate", "measure", "limit", "closes at"), gates),
        "### Evidence that " + pack.name + " asks for\n\n" + table(("kind", "what", "months", "clause"), needs),
    ))  # fmt: skip


def retention_schedules() -> str:
    """The classes of records, and what each shipped schedule says of them."""
    classes = (
        (f"`{name}`", f"{one.about} {one.about_zh}", one.begins, one.act, "house" if one.of_house else "lender")
        for name, one in retention.CLASSES.items()
    )
    return "\n\n".join(
        ["## Classes\n\n" + table(("class", "what is in it", "its clock begins", "then", "whose"), classes)]
        + [schedule_section(retention.load(name)) for name in retention.shipped()]
    )


def schedule_section(schedule: retention.Schedule) -> str:
    """One schedule: each class, how long, and by which clause."""
    rows = (
        (
            f"`{rule.id}`", str(rule.keep), str(rule.at_least or ""), str(rule.at_most or ""), rule.clause, rule.set_by,
            rule.verified + (f": {rule.counsel}" if rule.counsel else ""), f"{rule.text} {rule.text_zh}",
        )
        for rule in schedule.rules.values()
    )  # fmt: skip
    return f"## {schedule.name}, version {schedule.version}\n\n{schedule.about} {schedule.about_zh}\n\n" + table(
        ("class", "kept", "at least", "at most", "clause", "set by", "read", "why"), rows
    )


def rule_number(rule: packs.Rule) -> str:
    """The number with its unit, or the hours."""
    if rule.hours_from and rule.hours_to:
        return f"{rule.hours_from:%H:%M} to {rule.hours_to:%H:%M}"
    return "" if rule.number is None else f"{rule.number} {rule.unit}"


def rule_judged(rule: packs.Rule) -> str:
    """The counter, or what the rule needs or is kept by."""
    if rule.counter != "none":
        return f"`{rule.counter}`"
    return "; ".join(filter(None, (f"needs {', '.join(rule.needs)}" if rule.needs else "", rule.kept_by)))


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [list(head), *(list(row) for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def layouts() -> str:
    """The shipped layouts: what each is, and how it writes what is written differently everywhere."""
    told = [(load_layout(name), layout_told(load_layout(name))) for name in shipped_layouts()]
    rows = (
        (
            f"`{layout.reference}`",
            layout.about,
            said["amounts"],
            said["days"],
            said["times"],
            next(f"`{kind['name']}`" for kind in said["kinds"] if kind["kind"] == "remittance"),
        )
        for layout, said in told
    )
    return table(("layout", "what it is", "amounts", "days", "times", "a name"), rows)


def bank_layouts() -> str:
    """The shipped layouts of banks' and wallets' tables."""
    found = (load_profile(name) for name in shipped_profiles())
    rows = ((f"`{one.reference}`", one.about, one.verified, one.currency) for one in found)
    return table(("layout", "what it is", "held against", "currency"), rows)


def chart_of_accounts() -> str:
    """Every account of the default chart, and what it is kept per."""
    rows = (
        (one.code, one.name, one.zh, f"`{one.role}`", one.kind, kept_per(one.ledger))
        for one in chart.load("default").accounts
    )
    return table(("ledger", "name", "中文", "role", "kind", "kept per"), rows)


def kept_per(ledger: str) -> str:
    """The finest thing that the books answer for on this ledger."""
    if ledger in BY_ACCOUNT:
        return "debtor's account"
    return "lender" if ledger in OF_NO_AGENCY else "agency"


def checklist() -> str:
    """Every finding of a month's closing."""
    rows = ((f"`{name}`", kind.weight, kind.about, kind.fix) for name, kind in closing.FINDINGS.items())
    return table(("finding", "weight", "means", "what to do"), rows)


def all_roles() -> str:
    """Every role, in both languages."""
    return table(("role", "what it answers for", "职责"), ((f"`{role}`", *ABOUT[role]) for role in ROLES))


def all_permissions() -> str:
    """Every action of the console, and which role may do it."""
    columns = (*ROLES, permissions.AGENCY)
    rows = (
        (
            f"`{action.id}`",
            action.words[0] + (" (second person)" if action.second_person else ""),
            action.words[1],
            *("✓" if role in action.roles else "" for role in columns),
        )
        for action in permissions.ACTIONS.values()
    )
    return table(("action", "what it is", "说明", *(role.replace("_", " ") for role in columns)), rows)


def api_calls() -> str:
    """Every call of the API, as its own description has them."""
    told = json.loads((FOLDER / "openapi.json").read_text(encoding="utf-8"))
    rows = (
        (f"`{method.upper()}`", f"`{path}`", call["description"].splitlines()[0])
        for path, calls in sorted(told["paths"].items())
        for method, call in sorted(calls.items())
    )
    return table(("", "path", "what it does"), rows)


def where_roles_are_asked_for() -> str:
    """Every function that asks for a role, by role: read from the code itself, so that none is forgotten."""
    found: dict[str, list[str]] = {role: [] for role in ROLES}
    for path in sorted(file for room in ("infra", "flows", "console") for file in (ROOT / room).rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef):
                for role in roles_asked_for(function):
                    found[role].append(f"`{'.'.join((*path.relative_to(ROOT).with_suffix('').parts, function.name))}`")
    return table(("role", "asked for in"), ((f"`{role}`", ", ".join(names)) for role, names in found.items()))


def roles_asked_for(function: ast.FunctionDef) -> list[str]:
    """The roles that a function asks for, each once."""
    calls = (node for node in ast.walk(function) if isinstance(node, ast.Call) and node.args)
    asked = {
        call.args[-1].value
        for call in calls
        if ast.unparse(call.func).split(".")[-1] in {"require", "refusal"} and isinstance(call.args[-1], ast.Constant)
    }
    return [role for role in ROLES if role in asked]


def strategies() -> str:
    """What each shipped strategy says: stages, rules, recalls."""
    return "\n\n".join(strategy_section(rules.load(name)) for name in rules.shipped())


def strategy_section(one: rules.Strategy) -> str:
    """One strategy."""
    stages = table(("stage", "worked"), ((f"`{part.stage}`", difference.stage_words(part)) for part in one.stages))
    moved = table(("rule", "accounts", "go to"), ((f"`{each.id}`", each.when.words, each.to) for each in one.rules))
    back = table(
        ("recall", "placements", "reason"), ((f"`{each.id}`", each.words, f"`{each.reason}`") for each in one.recalls)
    )
    return f"### {one.name} {one.version}\n\n{one.about}\n\n{stages}\n\n{moved}\n\n{back}"


def instalment_limits() -> str:
    """What each of the shipped limits lets be agreed."""
    return "\n\n".join(limits_section(limits.load(name)) for name in limits.shipped())


def limits_section(one: limits.Limits) -> str:
    """One file of limits: every tier, by one person's word and by two."""
    rows = (
        (
            " ".join(tier.ability), " ".join(tier.willingness), people, str(bounds.max_months),
            str(bounds.min_instalment), f"{bounds.max_discount:.0%}", str(bounds.first_within_days),
            str(bounds.gap_days),
        )
        for tier in one.tiers
        for people, bounds in (("one", tier.within), ("two", tier.beyond))
    )  # fmt: skip
    heads = (
        "ability", "willingness", "approved by", "months", "least instalment", "discount", "first within days",
        "days between",
    )  # fmt: skip
    return f"### {one.name} {one.version}\n\n{one.about}\n\n{table(heads, rows)}"


def instalment_codes() -> str:
    """Why an instalment plan is beyond the limits or refused, and what the agency can do."""
    return table(("code", "what to do"), ((f"`{code}`", fix) for code, fix in judging.CODES.items()))


PARTS: Final[Mapping[str, Callable[[], str]]] = {
    "outbound": lambda: kinds_of(OUTBOUND),
    "inbound": lambda: kinds_of(INBOUND),
    "refusals": refusals,
    "exceptions": all_exceptions,
    "lives": all_lives,
    "settings": settings,
    "policies": policies,
    "roles": all_roles,
    "permissions": all_permissions,
    "api": api_calls,
    "roles_asked_for": where_roles_are_asked_for,
    "account_fields": account_fields,
    "layouts": layouts,
    "bank_layouts": bank_layouts,
    "certification": certification,
    "rule_packs": rule_packs,
    "retention": retention_schedules,
    "chart": chart_of_accounts,
    "closing": checklist,
    "strategies": strategies,
    "instalment_limits": instalment_limits,
    "instalment_codes": instalment_codes,
}


def filled(page: str) -> str:
    """The page with every made part as the code says it now. Raises KeyError for a part nobody makes."""
    return PART.sub(lambda part: f"{part[1]}\n{PARTS[part[2]]()}\n\n{part[3]}", page)


def main(arguments: list[str]) -> int:
    """0 when the pages are (now) what the code says."""
    stale = {}
    for path in sorted(FOLDER.glob("*.md")):
        page = path.read_text(encoding="utf-8")
        if (now := filled(page)) != page:
            stale[path] = now
    if "--check" in arguments:
        if stale:
            names = ", ".join(path.name for path in stale)
            print(f"docs/reference is not what the code says: {names}; run `make docs`", file=sys.stderr)
        return 1 if stale else 0
    for path, now in stale.items():
        path.write_text(now, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
