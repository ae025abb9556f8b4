"""The house rules that no linter knows: what lies where, what is named how, and that what is pointed at is there."""

from __future__ import annotations

import ast
import dataclasses
import itertools
import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from models.contract import Clocks, Contract, settling
from models.release import Policy

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("console", "flows", "infra", "connectors", "keys", "models")
TOP = {
    *ROOMS, "docs", "tests", ".ci",
    "README.md", "CHANGELOG.md", "LICENSE", "Makefile", "pyproject.toml", "requirements.lock",
    ".gitignore", ".gitattributes", ".editorconfig", ".pre-commit-config.yaml",
}  # fmt: skip
NO_NAMES = {"utils", "util", "helpers", "helper", "manager", "managers", "processor", "processors", "data", "misc"}
# A bracket around one letter, so that this file does not find itself.
MACHINE = re.compile(
    r"/wor[k]/|/roo[t]/|/op[t]/|/hom[e]/[a-z]+/\.|\bpyp[i]\.|pythonhoste[d]|npmj[s]\.|crate[s]\.io|prox[y]\.golang"
    r"|https?://[^\s\"')]*\.(whl|tar\.g[z])\b"
)
LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)")
POINTER = re.compile(r"\b(docs/[\w./-]+\.(?:md|svg))(?:#([\w-]+))?")
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
CHINESE = re.compile(r"[\u4e00-\u9fff]")


@cache
def tracked() -> list[Path]:
    """Every file that git holds and that is still there, relative to the root."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout: no list of what belongs to the house")
    return [Path(name) for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def text_of(path: Path) -> str:
    """The file's text, and nothing for a picture, an archive or a golden file in another encoding."""
    try:
        return (ROOT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def python_files(*rooms: str) -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py" and path.parts[0] in rooms]


def prose(markdown: str) -> str:
    """Markdown without its code, which may look like links."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^(```|~~~).*?^\1", "", markdown, flags=re.MULTILINE | re.DOTALL))


def anchors(markdown: str) -> set[str]:
    """The names that a link may point at after `#`, as the forges form them, and the explicit ones."""
    seen: dict[str, int] = {}
    found = set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", markdown))
    for heading in HEADING.findall(re.sub(r"^(```|~~~).*?^\1", "", markdown, flags=re.MULTILINE | re.DOTALL)):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        again = seen.get(slug, 0)
        seen[slug] = again + 1
        found.add(f"{slug}-{again}" if again else slug)
    return found


def test_the_top_level_holds_only_what_belongs_there() -> None:
    assert {path.parts[0] for path in tracked()} <= TOP


def test_no_file_names_a_registry_or_a_path_of_one_machine() -> None:
    found = [
        f"{path}:{number}: {line.strip()[:100]}"
        for path in tracked()
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if MACHINE.search(line)
    ]
    assert found == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    named = {path for path in python_files(*ROOMS, "tests") if NO_NAMES & {*path.parts[:-1], path.stem}}
    assert named == set()


def test_no_flow_shadows_a_package_or_the_standard_library() -> None:
    # Prefect puts a flow file's folder first on sys.path when it loads it by path
    names = {path.stem for path in python_files("flows")} | {path.parts[1] for path in python_files("flows")}
    assert names & ({*ROOMS} | sys.stdlib_module_names) == set()


def test_the_business_reads_no_clock_opens_no_file_and_holds_no_session() -> None:
    found = [
        f"{path}:{node.lineno}: {called}"
        for path in python_files("models")
        for node in ast.walk(ast.parse(text_of(path)))
        if isinstance(node, ast.Call)
        and (called := ast.unparse(node.func))
        and re.search(r"(^open|\.(now|utcnow|today)|\b(Session|create_engine|sessionmaker))$", called)
    ]
    assert found == []


def test_every_link_in_the_docs_leads_somewhere() -> None:
    assert list(dead_links()) == []


def dead_links() -> Iterator[str]:
    for page in tracked():
        if page.suffix != ".md":
            continue
        for target in LINK.findall(prose(text_of(page))):
            if re.match(r"[a-z]+:", target):
                continue
            place, _, anchor = target.partition("#")
            path = Path(os.path.normpath(page.parent / place)) if place else page
            if not (ROOT / path).exists():
                yield f"{page}: {target}"
            elif anchor and path.suffix == ".md" and anchor not in anchors(text_of(path)):
                yield f"{page}: {target} (no such heading)"


def test_every_page_that_the_code_points_at_is_there() -> None:
    dead = [
        f"{path}: {page}#{anchor}"
        for path in tracked()
        if path.suffix in {".py", ".toml", ".sh"} and path.parent != Path("tests/house")
        for page, anchor in POINTER.findall(text_of(path))
        if not (ROOT / page).exists() or (anchor and anchor not in anchors(text_of(Path(page))))
    ]
    assert dead == []


def test_every_term_of_the_glossary_stands_in_english_and_chinese() -> None:
    terms = re.findall(r"^### (.+)$", text_of(Path("docs/glossary.md")), re.MULTILINE)
    assert len(terms) == len(set(terms)) > 0
    assert [term for term in terms if not CHINESE.search(term) or not re.match(r"[A-Za-z]", term)] == []


def test_no_two_terms_share_an_anchor() -> None:
    explicit = re.findall(r'<a id="([^"]+)"', text_of(Path("docs/glossary.md")))
    assert len(explicit) == len(set(explicit))


def test_the_reference_pages_are_what_the_code_says() -> None:
    script = ROOT / "infra" / "setup" / "reference_pages.py"
    told = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr


def examples(page: str) -> list[str]:
    found = re.findall(r"^```toml\n(.*?)^```", text_of(Path(page)), re.MULTILINE | re.DOTALL)
    assert found
    return found


def test_the_policies_in_the_docs_load() -> None:
    for text in examples("docs/reference/policies.md"):
        assert Policy.parse(text).entries


def test_the_contracts_in_the_docs_load_and_every_term_is_explained() -> None:
    for text in examples("docs/reference/contracts.md"):
        assert Contract.parse(text).currency
    explained = set(re.findall(r"^\| `(\w+)` \|", text_of(Path("docs/reference/contracts.md")), re.MULTILINE))
    terms = [*dataclasses.fields(Contract), *dataclasses.fields(Clocks)]
    kinds = {"contingent", "mixed", "fixed", *settling.KINDS}  # of the tables below
    names = {field.name for field in terms} - {"tiers"}
    assert names <= explained <= names | kinds


def test_every_decision_is_listed_once_and_in_order() -> None:
    pages = sorted(p.name for p in tracked() if p.parent == Path("docs/adr") and p.name != "README.md")
    assert re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", text_of(Path("docs/adr/README.md"))) == pages
    assert [page[:4] for page in pages] == [f"{number:04}" for number in range(1, len(pages) + 1)]


def test_every_decision_says_what_would_change_our_mind() -> None:
    parts = ["## Context", "## Decision", "## Consequences", "## What would change our mind"]
    wanting = [
        str(page)
        for page in tracked()
        if page.parent == Path("docs/adr") and page.name != "README.md"
        if re.findall(r"^## .+$", text_of(page), re.MULTILINE) != parts
    ]
    assert wanting == []


@cache
def locked() -> dict[str, list[str]]:
    """The lines of each requirement of the lock, by its canonical name."""
    entries = re.split(r"^(?=\S)", text_of(Path("requirements.lock")), flags=re.MULTILINE)
    return {
        name: list(itertools.chain.from_iterable(entry.splitlines() for entry in same))
        for name, same in itertools.groupby(
            (entry for entry in entries if entry.strip() and not entry.startswith("#")),
            key=lambda entry: canonicalize_name(re.split(r"[\[=]", entry, maxsplit=1)[0]),
        )
    }


def test_the_lock_pins_every_requirement_with_hashes_and_without_addresses() -> None:
    assert "://" not in text_of(Path("requirements.lock"))
    loose = [
        name
        for name, lines in locked().items()
        if not re.match(r"[\w.-]+(\[[\w, -]+\])?==[\w.+!-]+( ;.*)? \\$", lines[0])
        or not all(
            re.match(r"    --hash=sha256:[0-9a-f]{64}( \\)?$|[\w.-]+(\[[\w, -]+\])?==", line) for line in lines[1:]
        )
        or len(lines) == 1
    ]
    assert loose == []


def test_the_lock_answers_every_wish_of_the_project() -> None:
    project = tomllib.loads(text_of(Path("pyproject.toml")))["project"]
    wishes = [Requirement(wish) for wish in [*project["dependencies"], *project["optional-dependencies"]["dev"]]]
    unmet = [
        str(wish)
        for wish in wishes
        if (lines := locked().get(canonicalize_name(wish.name))) is None
        or not wish.specifier.contains(re.split(r"==|[ ;]", lines[0])[1], prereleases=True)
    ]
    assert unmet == []


def test_the_scripts_can_be_run() -> None:
    scripts = [path for path in tracked() if path.suffix == ".sh" or path == Path(".ci/run")]
    assert [path for path in scripts if not os.access(ROOT / path, os.X_OK)] == []
    assert Path(".ci/run") in scripts


def test_every_csv_for_people_is_defused() -> None:
    rooms, ours = ("console/", "flows/", "infra/"), ("infra/sandbox/", "infra/agencykit.py")  # made-up examples
    loose = [
        f"{path}:{number}"
        for path in tracked()
        if path.suffix == ".py" and str(path).startswith(rooms) and not str(path).startswith(ours)
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if re.search(r"\.to_csv\(|\bcsv\.writer\(|DictWriter\(", line) and "defused(" not in line
    ]
    assert loose == []  # models/spreadsheets.py says why
