"""The table of permissions: each role, each action, one's own and another's."""

from __future__ import annotations

from itertools import product

import pytest

from models.permissions import ACTIONS, AGENCY, allowed
from models.roles import ABOUT, NAMES, ROLES

PERSONS = [*((role, None) for role in ROLES), (AGENCY, "north"), (None, None)]
"""By role, with the agency; the last has none."""


@pytest.mark.parametrize(("action", "person"), list(product(ACTIONS, PERSONS)))
def test_a_person_may_what_the_table_gives_the_role_and_an_agency_with_its_own_alone(
    action: str, person: tuple[str | None, str | None]
) -> None:
    role, agency = person
    listed = role in ACTIONS[action].roles
    held = {role} if role else set()
    assert allowed(action, held, agency=agency) is listed
    assert allowed(action, held, agency=agency, of_agency="north") is listed
    assert allowed(action, held, agency=agency, of_agency="south") is (listed and agency is None)


def test_the_role_of_an_agency_counts_for_nobody_of_the_lender() -> None:
    for action in ACTIONS:
        assert not allowed(action, {AGENCY}, agency=None)


def test_an_agency_s_person_has_no_role_of_the_lender_whatever_is_on_record() -> None:
    for action in ACTIONS.values():
        may = allowed(action.id, set(ROLES), agency="north")
        assert may is (AGENCY in action.roles)


def test_every_action_of_an_agency_concerns_its_own_alone_unless_it_is_everybody_s() -> None:
    for action in ACTIONS.values():
        if action.roles == {AGENCY}:
            assert action.scope == "agency", action.id


def test_every_action_names_roles_that_there_are_and_says_what_it_is_in_both_languages() -> None:
    for name, action in ACTIONS.items():
        assert name == action.id
        assert action.roles
        assert action.roles <= {*ROLES, AGENCY}
        assert all(action.words)
        assert not action.words[1].isascii()


def test_whoever_approves_may_see_what_there_is_to_approve() -> None:
    for action in ACTIONS.values():
        if action.second_person:
            seen = ACTIONS.get(f"{action.id.split('.', maxsplit=1)[0]}.see", ACTIONS["home.see"])
            assert action.roles <= seen.roles, action.id


def test_every_role_has_a_name_and_an_office() -> None:
    assert set(NAMES) == set(ABOUT) == set(ROLES)
