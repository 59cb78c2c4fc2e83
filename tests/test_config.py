"""One TOML, found upward; what is mistyped is named together with what exists."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenkit import config
from tokenkit.config import Settings
from tokenkit.errors import ConfigError


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in os.environ if n.startswith("TOKENKIT_")]:
        monkeypatch.delenv(name)


def settings_of(folder: Path, text: str) -> Settings:
    path = folder / config.FILE_NAME
    path.write_text(text, encoding="utf-8")
    return config.load_settings(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[detection]\nbudgte = 5", r"no setting detection.budgte; did you mean budget\?"),
        ("[detectoin]\nbudget = 5", r"no setting detectoin; did you mean detection\?"),
        ("zzz = 1", "no setting zzz; known: name, inventory, lake, events"),
        ("[detection]\nbudget = 'many'", r"detection.budget: .*number.*found 'many'"),
        ("[detection]\nbudget = 0", r"detection.budget: .*greater than 0.*found 0"),
        ("events = 'logs'", r"events: .*list.*found 'logs'"),
        ("[history]\nreference_days = 3", "history.reference_days: .*7.*found 3"),
        ("[gateway]\nkey_fields = []", r"gateway.key_fields: .*at least 1 item"),
        ("[detection.shares]\npoint_hours = 0.5", r"unknown channel 'point_hours': did you mean point_hour\?"),
        ("[detection.shares]\npanel = 1.5", "share of panel is 1.5, expected 0 to 1"),
        ("[detection.shares]\npanel = 0.6\npoint_day = 0.6", "shares add up to 1.20, expected at most 1"),
        ("[networks]\ndatabase = 3", r"networks.database: .*list.*found 3"),
        ("name = ", "is not valid TOML: .*Correct that line"),
    ],
)
def test_what_cannot_be_used_is_named_with_what_was_expected(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as error:
        settings_of(tmp_path, text)
    assert str(tmp_path / config.FILE_NAME) in str(error.value)


def test_every_problem_of_a_file_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        settings_of(tmp_path, "[detection]\nbudgte = 5\n[engine]\nthreads = 0")
    assert len(str(error.value).splitlines()) == 2


def test_a_missing_file_means_all_defaults(tmp_path: Path) -> None:
    assert config.load_settings(tmp_path / "none.toml") == Settings()


def test_the_environment_wins_over_the_file_one_setting_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKENKIT_DETECTION__BUDGET", "7")
    found = settings_of(tmp_path, "[detection]\nbudget = 5\nseed = 3")
    assert (found.detection.budget, found.detection.seed) == (7.0, 3)


@pytest.mark.parametrize(
    ("name", "value"),
    [("TOKENKIT_DETECTION__BUDGET", "many"), ("TOKENKIT_EVENTS", "logs/a"), ("TOKENKIT_DETECTION__BUDGTE", "5")],
)
def test_a_variable_that_cannot_be_used_is_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as error:
        settings_of(tmp_path, "")
    assert name.removeprefix("TOKENKIT_").split("__")[-1].lower() in str(error.value).lower()


def test_the_digest_changes_only_with_what_shapes_a_result() -> None:
    base = config.digest(Settings())
    same = [
        Settings(name="Another"),
        Settings(events=["logs"]),
        Settings(inventory="tokens.csv"),
        Settings(report=config.Report(pseudonymous=True)),
        Settings(engine=config.Engine(threads=1)),
        Settings(detection=config.Detection(shares=dict(reversed(config.Detection().shares.items())))),
    ]
    other = [
        Settings(detection=config.Detection(budget=6.0)),
        Settings(detection=config.Detection(seed=1)),
        Settings(detection=config.Detection(shares={"panel": 1.0})),
        Settings(history=config.History(reference_days=21)),
        Settings(gateway=config.Gateway(realm="eu")),
        Settings(gateway=config.Gateway(key_fields=["key_hmac", "api_key_id"])),  # the first found wins
    ]
    assert {config.digest(s) for s in same} == {base}
    assert len({base, *map(config.digest, other)}) == len(other) + 1


def test_shares_that_are_not_named_divide_what_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    default = config.Detection().shares
    found = settings_of(tmp_path, "[detection.shares]\npanel = 0.4").detection.shares
    assert found["panel"] == 0.4 and set(found) == {*default, "panel"}
    assert all(found[name] == pytest.approx(0.6 * share, abs=1e-4) for name, share in default.items())
    assert settings_of(tmp_path, "[detection.shares]\ndrift_amounts = 0").detection.shares == {
        **default, "drift_amounts": 0.0
    }  # fmt: skip
    monkeypatch.setenv("TOKENKIT_DETECTION__SHARES", '{"panel": 0.4}')
    assert settings_of(tmp_path, "").detection.shares == found


def test_shares_that_take_the_whole_budget_leave_the_others_none(tmp_path: Path) -> None:
    found = settings_of(tmp_path, "[detection.shares]\npoint_day = 0.7\npanel = 0.3").detection.shares
    assert {name for name, share in found.items() if share} == {"point_day", "panel"}


@given(st.dictionaries(st.sampled_from([*config.Detection().shares, "panel"]), st.floats(0, 0.16), max_size=6))
def test_shares_never_add_up_to_more_than_the_budget(named: dict[str, float]) -> None:
    found = config.with_default_shares(named)
    assert sum(found.values()) <= 1.0001 and named.items() <= found.items()


def test_every_setting_is_described() -> None:
    rows = config.describe(Settings())
    assert all(meaning for _, _, meaning in rows)
    assert ("detection.budget", 5.0) in [(name, value) for name, value, _ in rows]


def test_a_workspace_is_found_upward(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = config.init(tmp_path / "w", "ACME")
    deep = tmp_path / "w" / "a" / "b"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    found = config.find()
    assert found == made and found.settings.name == "ACME"
    assert config.find(tmp_path) is None


def test_the_variable_names_the_workspace_unless_a_folder_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = config.init(tmp_path / "one"), config.init(tmp_path / "two")
    monkeypatch.chdir(one.root)
    monkeypatch.setenv("TOKENKIT_WORKSPACE", str(two.root))
    assert config.find() == two  # and the variable is taken for no setting
    assert config.find(one.root) == one
    monkeypatch.setenv("TOKENKIT_WORKSPACE", str(tmp_path))
    with pytest.raises(ConfigError, match=f"TOKENKIT_WORKSPACE is {tmp_path}.*Run: tokenkit init"):
        config.find()


def test_init_changes_nothing_that_is_there(tmp_path: Path) -> None:
    config.init(tmp_path, "ACME")
    (tmp_path / config.FILE_NAME).write_text('name = "Mine"\n')
    (tmp_path / ".gitignore").write_text("mine\n")
    assert config.init(tmp_path, "ACME").settings.name == "Mine"
    assert (tmp_path / ".gitignore").read_text() == "mine\n"


def test_what_must_not_be_shared_is_ignored_by_git(tmp_path: Path) -> None:
    config.init(tmp_path)
    assert {".tokenkit/", "lake/", "state.db*"} <= set((tmp_path / ".gitignore").read_text().split())


@pytest.mark.parametrize("name", ["ACME", "A\\Corp", "line\nbreak", "{name}", "Zoë 漢字", "tab\there"])
def test_any_name_of_an_organisation_is_kept(tmp_path: Path, name: str) -> None:
    assert config.init(tmp_path, name).settings.name == name


def test_a_quote_in_a_name_breaks_no_file(tmp_path: Path) -> None:
    assert config.init(tmp_path, 'The "Best"').settings.name in ('The "Best"', "The 'Best'")


@pytest.mark.parametrize("text", ['database = "a.mmdb"', 'database = ["a.mmdb"]'])
def test_one_file_of_networks_or_several_are_named_relative_to_the_workspace(tmp_path: Path, text: str) -> None:
    made = config.init(tmp_path / "w")
    assert made.network_databases == []
    found = config.Workspace(made.root, settings_of(made.root, f"[networks]\n{text}"))
    assert found.network_databases == [made.root / "a.mmdb"]


def test_a_workspace_whose_path_is_not_utf_8_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"caf\\udce9: the path of a workspace has to be UTF-8"):
        config.init(tmp_path / "caf\udce9")
