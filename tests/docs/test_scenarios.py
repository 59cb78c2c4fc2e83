"""The page of scenarios has every scenario of the registry, in the words of the registry, and no other."""

import importlib.util
import re

import pages

from tokenkit.bench import scenarios

_spec = importlib.util.spec_from_file_location("scenarios_page", pages.DOCS / "scenarios.py")
assert _spec and _spec.loader
scenarios_page = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(scenarios_page)


def test_the_page_is_what_the_registry_says():
    page = scenarios_page.PAGE.read_text("utf-8")
    assert page == scenarios_page.page_with(scenarios_page.tables()), "write it again: python docs/scenarios.py"


def test_every_scenario_has_one_row_and_there_is_no_other():
    ids = re.findall(r"^\| \d+ \| `(\w+)`", scenarios_page.PAGE.read_text("utf-8"), re.MULTILINE)
    assert ids == list(scenarios.ALL)
