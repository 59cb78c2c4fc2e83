"""docs/architecture.md shows the rooms as the code has them."""

import ast
import importlib.util
import re

import pages

_spec = importlib.util.spec_from_file_location("architecture", pages.DOCS / "architecture.py")
assert _spec is not None and _spec.loader is not None
architecture = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(architecture)


def test_the_picture_is_the_one_that_the_code_gives() -> None:
    page = architecture.PAGE.read_text(encoding="utf-8")
    assert page == architecture.page_with(architecture.drawn()), "draw it again: python docs/architecture.py"


def test_every_room_has_a_paragraph_and_no_paragraph_is_of_another() -> None:
    described = re.findall(r"^\*\*(\w+)\*\*:", architecture.PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(described) == sorted(architecture.rooms())


def test_every_room_is_a_module_or_a_folder() -> None:
    assert [room for room in architecture.rooms() if not all(file.exists() for file in architecture.files(room))] == []


def test_an_arrow_is_left_out_where_a_longer_way_says_it() -> None:
    assert architecture.direct({"a": set(), "b": {"a"}, "c": {"a", "b"}}) == {"a": set(), "b": {"a"}, "c": {"b"}}


def test_an_import_for_types_alone_is_no_arrow() -> None:
    code = (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import tokenkit.run\nelse:\n    import tokenkit.days"
    )
    names = [name for node in architecture.running(ast.parse(code)) for name in architecture.imported(node)]
    assert sorted(names) == ["tokenkit.days", "typing.TYPE_CHECKING"]
