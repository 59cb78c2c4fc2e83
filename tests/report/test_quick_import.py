"""What is imported for a page: the grammar of addresses is built when it is asked for, and it still checks them."""

import sys
from importlib import import_module

from tokenkit.report.publishing.quick_import import GRAMMAR, import_jsonschema


def test_the_grammar_is_built_when_an_address_is_first_checked_by_it(monkeypatch):
    for name in [n for n in sys.modules if n.partition(".")[0] in ("jsonschema", GRAMMAR)]:
        monkeypatch.delitem(sys.modules, name)
    import_jsonschema()
    assert "jsonschema" in sys.modules and GRAMMAR not in sys.modules
    checker = import_module("jsonschema").Draft202012Validator.FORMAT_CHECKER
    assert checker.conforms("https://exämple.org/a", "iri") and not checker.conforms("no address", "iri")
    assert checker.conforms("../a", "iri-reference") and GRAMMAR in sys.modules


def test_what_was_imported_before_is_left_alone():
    import jsonschema

    before = dict(sys.modules)
    import_jsonschema()
    assert sys.modules["jsonschema"] is jsonschema and sys.modules == before
