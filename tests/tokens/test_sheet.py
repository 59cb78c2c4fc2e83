"""How a list is read from a file: header and lines, whatever the encoding and separator."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenkit.errors import InventoryError
from tokenkit.tokens import sheet

NAMES = {"native_id", "key_id"}


def put(folder: Path, content: str | bytes) -> Path:
    path = folder / "list.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_separator_is_found(tmp_path: Path, separator: str) -> None:
    text = f"Key ID{separator}Owner\nk1{separator}Ana\n"
    assert sheet.read(put(tmp_path, text), NAMES) == (["Key ID", "Owner"], [(2, ["k1", "Ana"])], [])


@pytest.mark.parametrize("first", ["sep=|", '"sep=|"', "SEP=|"])
def test_a_first_line_may_name_the_separator(tmp_path: Path, first: str) -> None:
    header, rows, notes = sheet.read(put(tmp_path, f"{first}\nkey_id|owner\nk1|Doe, Ana; Dr\n"), NAMES)
    assert (header, rows) == (["key_id", "owner"], [(3, ["k1", "Doe, Ana; Dr"])])
    assert notes == ["the names of the columns stand in line 2; what stands above them was left out"]


def test_lines_that_are_blank_are_left_out_and_counted(tmp_path: Path) -> None:
    assert sheet.read(put(tmp_path, "key_id,owner\n\n,\nk1,Ana\n"), NAMES)[1] == [(4, ["k1", "Ana"])]


def test_a_value_with_the_separator_outside_quotes_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match=r"line 2: expected 2 values, found 3\. Put a value"):
        sheet.read(put(tmp_path, "key_id,owner\nk1,Doe, Ana\n"), NAMES)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"\xff\xfe\n", b"", b"\n \n", b"sep=;", b"key_id\0", b"caf\xe9"])
def test_a_file_without_text_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InventoryError, match=r"list\.csv"):
        sheet.read(put(tmp_path, content), NAMES)


CELLS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)


@given(
    rows=st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=5),
    separator=st.sampled_from(",;\t"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    line_end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], separator: str, encoding: str, line_end: str
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator, lineterminator=line_end).writerows([["key_id", "owner"], *rows])
    path = put(tmp_path_factory.mktemp("sheet"), text.getvalue().encode(encoding))
    header, lines, notes = sheet.read(path, NAMES)
    assert (header, notes) == (["key_id", "owner"], [])
    assert [cells for _, cells in lines] == [row for row in rows if any(cell.strip() for cell in row)]


@given(content=st.binary(max_size=80))
def test_any_file_is_read_or_refused_in_words(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = put(tmp_path_factory.mktemp("sheet"), content)
    try:
        sheet.read(path, NAMES)
    except InventoryError as error:
        assert str(path) in str(error)
