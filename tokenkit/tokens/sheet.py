"""Sheet: read a list as a spreadsheet or a system exports it: header and lines, whatever the encoding and separator.

Traps: UTF-16, ``sep=;`` or a title above the header, cells such as ``="0042"``, a value that holds the separator.
"""

import csv
import io
import re
from collections.abc import Set
from pathlib import Path

from tokenkit.errors import InventoryError
from tokenkit.tokens import json_list

HEADER_LINES = 10  # in which the header is looked for
Row = tuple[int, list[str]]  # number of its line, and its cells


def read(path: Path, id_names: Set[str]) -> tuple[list[str], list[Row], list[str]]:
    """Read the header of a list, and the lines below it.

    Parameters
    ----------
    path : Path
        JSON (``json_list``), or CSV in UTF-8 or UTF-16; separated by commas, semicolons or tabs, or by what its first
        line says (``sep=;``).
    id_names : set of str
        How the column of the token's id may be called (``plain_name``): by it the header is known.

    Returns
    -------
    list of str
        The names of the columns, as they stand there.
    list of (int, list of str)
        The lines that are not blank, each with its number.
    list of str
        What was left out above the header.

    Raises
    ------
    InventoryError
        No such file, no text, or no CSV; names the line.
    """
    notes: list[str] = []
    text = _text(path)
    if text.lstrip().startswith(("{", "[")):
        return json_list.read(path, text, lambda name: plain_name(name) in id_names)
    first, separator = _first_line(text, id_names)
    body = "".join(text.splitlines(keepends=True)[first:])
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=separator, strict=True)
    lines: list[Row] = []
    last_line = 0
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                lines.append((first + last_line + 1, row))
            last_line = reader.line_num
    except csv.Error as error:
        place = f"{path}, line {first + reader.line_num}"
        raise InventoryError(f"{place}: not CSV ({error}). Correct that line.") from error
    if not lines:
        raise InventoryError(f"{path}: the file has no line with a value, expected a header with a column native_id.")
    header = lines[0][1]
    if lines[0][0] > 1 and first:
        notes.append(f"the names of the columns stand in line {lines[0][0]}; what stands above them was left out")
    for number, row in lines[1:]:
        if len(row) > len(header) and any(cell.strip() for cell in row[len(header) :]):
            raise InventoryError(
                f"{path}, line {number}: expected {len(header)} values, found {len(row)}. "
                "Put a value that holds the separator into quotes."
            )
    return header, lines[1:], notes


def _text(path: Path) -> str:
    """The text of the file, in UTF-8 or, as spreadsheets write it, UTF-16."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InventoryError(f"{path}: cannot be read ({error.strerror}). Check the path.") from error
    if raw.startswith(b"PK\x03\x04"):
        raise InventoryError(
            f"{path}: an Excel workbook (or a zip), expected CSV or JSON. Save the sheet as CSV in UTF-8."
        )
    utf_16 = raw.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = raw.decode("utf-16" if utf_16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise InventoryError(f"{path}, line {line}: not UTF-8. Save the file as CSV in UTF-8.") from error
    if not text.strip():
        raise InventoryError(f"{path}: the file is empty, expected a CSV with a header and a column native_id.")
    if "\0" in text:
        raise InventoryError(f"{path}: not a text file. Save the sheet as CSV in UTF-8.")
    return text


def _first_line(text: str, id_names: Set[str]) -> tuple[int, str]:
    """How many lines stand above the header, and what separates its names.

    A first line such as ``sep=;`` tells a spreadsheet the separator. Lines above the header are left out where one of
    the first ten has a column for the token's id, and more cells than each line above it: a title has few.
    """
    lines = text.splitlines()
    said = re.fullmatch(r"\s*[\"']?sep=(.)[\"']?[,;\t ]*", lines[0], re.IGNORECASE)
    separators = said.group(1) if said else ",;\t"
    for number, line in enumerate(lines[:HEADER_LINES]):
        separator = max(separators, key=line.count)
        names = [plain_name(unwrapped(cell).strip('"')) for cell in line.split(separator)]
        above = max((_filled(other, separator) for other in lines[:number]), default=0)
        if id_names & set(names) and (number == 0 or _filled(line, separator) > max(above, 1)):
            return number, separator
    first = 1 if said else next(n for n, line in enumerate(lines) if line.strip())
    return first, max(separators, key=lines[first].count) if first < len(lines) else ","


def _filled(line: str, separator: str) -> int:
    return sum(bool(cell.strip()) for cell in line.split(separator))


def plain_name(name: str) -> str:
    """Return a column's name in small letters with _ for blanks, dots and hyphens, and between words of camelCase.

    Examples
    --------
    >>> plain_name(" Access Key-ID"), plain_name("expiresAt")
    ('access_key_id', 'expires_at')
    """
    return re.sub(r"[\s.-]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip()).lower())


def unwrapped(cell: str) -> str:
    """Return the text of a cell that a spreadsheet was told to keep as text.

    Examples
    --------
    >>> unwrapped('="0042"'), unwrapped(" key_1 ")
    ('0042', 'key_1')
    """
    cell = cell.strip()
    wrapped = re.fullmatch(r'="(.*)"', cell, re.DOTALL)
    return wrapped.group(1).replace('""', '"').strip() if wrapped else cell
