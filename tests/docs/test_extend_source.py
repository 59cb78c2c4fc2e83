"""docs/extend/source.md works as it stands, and its source reaches the report and its reasons."""

import gzip
import html
import re
from datetime import UTC, date, datetime
from pathlib import Path

import organisation as small
import orjson
import pages
import pytest

PAGE = pages.DOCS / "extend" / "source.md"


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder with the page's files, and where its package is installed."""
    folder = tmp_path_factory.mktemp("reader")
    pages.write(PAGE, folder)
    for step in pages.steps(PAGE):
        if step.command.startswith("pip"):
            pages.run(step, folder, folder / "installed")
    return folder, folder / "installed"


def test_the_page_is_one_page() -> None:
    assert PAGE.read_text(encoding="utf-8").count("\n") < 220


@pytest.mark.parametrize("step", [s for s in pages.steps(PAGE) if s.command[:3] != "pip"], ids=lambda s: s.command)
def test_a_command_of_the_page_prints_what_the_page_says(reader: tuple[Path, Path], step: pages.Step) -> None:
    pages.run(step, *reader)


def test_the_page_names_every_column_that_can_be_mapped() -> None:
    from tokenkit.sources.mapped.mapping import FIELDS

    listed = re.search(r"^Columns: (.*?)\.$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert listed and re.findall(r"`(\w+)`", listed.group(1)) == list(FIELDS)


def test_a_source_written_from_the_page_appears_in_the_report_and_its_reasons(
    reader: tuple[Path, Path], organisation: Path, tmp_path: Path
) -> None:
    logs = tmp_path / "raw" / "logs" / "gateway" / "nginx"
    logs.mkdir(parents=True)
    for file in (organisation / "logs" / "gateway" / "nginx").glob("*.gz"):
        (logs / file.name).write_bytes(gzip.decompress(file.read_bytes()))
    key = small.victim(organisation)
    small.plant(tmp_path / "raw" / "logs", key, date(2026, 2, 10), range(2, 6))
    calls = tmp_path / "calls"
    calls.mkdir()
    for file in sorted(logs.iterdir()):
        with (calls / f"{file.name}.acme").open("w", encoding="utf-8") as out:
            for line in map(orjson.loads, file.read_bytes().splitlines()):
                at = datetime.fromtimestamp(line["msec"], UTC).isoformat()
                out.write(f'{at} {line["api_key_id"]}@{line["remote_addr"]} "{line["request_method"]} {line["uri"]}"'
                          f' {line["status"]} {line["bytes_sent"]} "{line["http_user_agent"]}"\n')  # fmt: skip
    start, end = small.BUSY
    command = f"tokenkit run --events acme={calls} --start {start} --end {end} --out pages --json"
    lines = pages.run(pages.Step(command, []), tmp_path, reader[1]).splitlines()
    said = orjson.loads(next(line for line in lines if line.startswith("{")))
    assert said["stored"] == said["read"] - said["duplicates"] > 5_000 and said["incidents"]
    page = tmp_path / said["page"]
    text = html.unescape(re.sub(r"<[^>]+>", " ", page.read_text(encoding="utf-8")))
    assert re.search(r"\bacme\b", text) and "rclone" in text
    facts = orjson.loads((page.parent / "run.json").read_bytes())
    assert [s["source"] for s in facts["coverage"]["sources"]] == ["acme"]
    assert key not in text
