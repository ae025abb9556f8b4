"""The targets, for the tests beside them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

TARGETS = Path(__file__).with_name("targets.py")


@pytest.fixture(scope="session")
def targets() -> Mapping[str, Callable[[bytes], None]]:
    """Every parser that is fuzzed, by name."""
    spec = importlib.util.spec_from_file_location("fuzz_targets", TARGETS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Mapping[str, Callable[[bytes], None]] = module.TARGETS
    return found
