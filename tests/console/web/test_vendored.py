"""What was taken from elsewhere is what its project published, and the first page is light."""

from __future__ import annotations

import hashlib
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.console.web.conftest import As, PageAs

STATIC = Path(__file__).resolve().parents[3] / "console" / "web" / "static"
FIRST_LOAD = 60_000


@pytest.fixture(scope="module")
def sandbox_home(bare_home: Path) -> Path:
    """Nothing need have happened here."""
    return bare_home


def test_every_vendored_file_is_in_the_manifest_with_its_hash_and_licence() -> None:
    manifest = tomllib.loads((STATIC / "vendor" / "MANIFEST.toml").read_text())
    there = {path.name for path in (STATIC / "vendor").iterdir()} - {"MANIFEST.toml"}
    licences = {re.search(r"\((.+)\)", told["license"])[1] for told in manifest.values()}  # type: ignore[index]  # or fail
    assert there == manifest.keys() | licences
    for name, told in manifest.items():
        assert hashlib.sha256((STATIC / "vendor" / name).read_bytes()).hexdigest() == told["sha256"]


def test_the_first_load_is_small(browse: As) -> None:
    browser = browse("second")
    page = browser.get("/", headers={"accept-encoding": "gzip"})
    asked = re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text)
    sizes = {
        path: int(browser.get(path, headers={"accept-encoding": "gzip"}).headers["content-length"]) for path in asked
    }
    assert len(sizes) >= 4
    assert int(page.headers["content-length"]) + sum(sizes.values()) < FIRST_LOAD, sizes


@pytest.mark.browser
def test_a_browser_that_was_never_here_loads_little(page_as: PageAs) -> None:
    window = page_as("second")
    for path in ("/", "/breaks"):
        window.page.goto(window.url + path, wait_until="networkidle")
        came = window.page.evaluate(
            "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
            ".map(one => [new URL(one.name).pathname, one.transferSize])"
        )
        names = {name for name, _ in came}
        assert {path, "/static/consign.css", "/static/consign.js", "/static/vendor/htmx.min.js"} <= names
        assert all(size > 0 for _, size in came) or path != "/", came  # the second page's files are there already
        assert sum(size for _, size in came) < FIRST_LOAD, came


def test_every_file_that_a_page_names_is_there(browse: As) -> None:
    browser = browse("second")
    for path in set(re.findall(r'(?:href|src)="(/static/[^"]+)"', browser.get("/").text)):
        assert browser.get(path).status_code == 200
    assert browser.get("/static/../app.py").status_code == 404
    assert browser.get("/static/%2e%2e/app.py").status_code == 404
