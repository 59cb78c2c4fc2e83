"""[SOURCE=]PATH, from the current folder and from the workspace's."""

from pathlib import Path

import pytest

from tokenkit.config import Settings, Workspace
from tokenkit.errors import InputError, SourceError
from tokenkit.sources.inputs import Input, configured_inputs, mapped_sources, parse_input


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("logs", Input(Path("/w/logs"))),
        ("/var/log/a", Input(Path("/var/log/a"))),
        ("nginx=logs", Input(Path("/w/logs"), "nginx")),
        ("nginx=/var/log/a", Input(Path("/var/log/a"), "nginx")),
        ("nginx=logs/day=1", Input(Path("/w/logs/day=1"), "nginx")),
        ("logs/day=1", Input(Path("/w/logs/day=1"))),
        ("orders.toml=logs", Input(Path("/w/logs"), "/w/orders.toml")),
        ("/etc/orders.toml=logs", Input(Path("/w/logs"), "/etc/orders.toml")),
    ],
)
def test_source_and_path_are_told_apart(text, expected):
    assert parse_input(text, Path("/w")) == expected


@pytest.mark.parametrize("text", ["", " ", "nginx=", "orders.toml="])
def test_an_input_without_a_path_is_refused_and_not_taken_for_the_current_folder(text):
    with pytest.raises(InputError, match="names no file or folder"):
        parse_input(text, Path("/w"))


def test_a_name_that_exists_is_a_path_whatever_it_looks_like(tmp_path, monkeypatch):
    (tmp_path / "nginx=logs").mkdir()
    assert parse_input("nginx=logs", tmp_path) == Input(tmp_path / "nginx=logs")
    monkeypatch.chdir(tmp_path)
    assert parse_input("nginx=logs") == Input(Path("nginx=logs"))


def test_what_lies_in_the_current_folder_does_not_matter_for_the_settings(tmp_path, monkeypatch):
    (tmp_path / "elsewhere" / "nginx=logs").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "elsewhere")
    workspace = Workspace(tmp_path / "w", Settings(events=["nginx=logs"]))
    assert configured_inputs(workspace) == [Input(tmp_path / "w" / "logs", "nginx")]


def test_an_unknown_source_is_named_in_the_settings_too(tmp_path):
    with pytest.raises(SourceError, match=r"did you mean nginx\?"):
        mapped_sources(Workspace(tmp_path, Settings(events=["ngnix=logs"])))
