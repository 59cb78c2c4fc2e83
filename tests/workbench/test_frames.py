"""The public API: tidy frames of a time range, matrices for any estimator, and a user's own frames on the same way."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import tokenkit
from tokenkit import config, schema
from tokenkit.channels.panel import deviation_matrix
from tokenkit.errors import InputError, SchemaError
from tokenkit.fingerprint import features, judged_features
from tokenkit.incidents import labels
from tokenkit.store import state
from tokenkit.workbench.frames import OpenWorkspace

START, END = "2026-02-05", "2026-02-08"


@pytest.fixture(scope="module")
def ws(analysed: Path) -> OpenWorkspace:
    return tokenkit.open(analysed)


def test_what_all_exports_is_documented_and_nothing_else_is_offered() -> None:
    for name in tokenkit.__all__:
        assert len(getattr(tokenkit, name).__doc__) > 60, name
    assert set(tokenkit.__all__) <= set(dir(tokenkit))
    methods = [m for m in vars(OpenWorkspace) if not m.startswith("_")]
    assert methods == ["events", "fingerprint", "deviations", "scores", "incidents", "tokens", "profile", "evidence",
                       "matrix"]  # fmt: skip
    assert all(getattr(OpenWorkspace, m).__doc__ for m in methods)


def test_the_readme_names_everything_that_is_exported() -> None:
    text = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
    for name in (*tokenkit.__all__, *[m for m in vars(OpenWorkspace) if not m.startswith("_")]):
        assert f"{name}(" in text or f"`{name}`" in text, name


def test_the_workspace_is_found_from_any_folder_below_it(analysed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOKENKIT_WORKSPACE", raising=False)
    monkeypatch.chdir(analysed / "lake")
    assert tokenkit.open().root == analysed


def test_outside_a_workspace_it_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no tokenkit workspace at or above .*tokenkit init DIR"):
        tokenkit.open(tmp_path)


def test_events_are_those_of_the_days_in_order_with_the_documented_columns(ws: OpenWorkspace) -> None:
    frame = ws.events(START, END)
    assert list(frame.columns) == schema.table("events").names
    assert frame["time"].is_monotonic_increasing and str(frame["time"].dt.tz) == "UTC"
    assert frame["time"].min() >= pd.Timestamp(START, tz="UTC") and frame["time"].max() < pd.Timestamp(END, tz="UTC")


def test_one_token_is_named_by_label_mask_token_or_profile(ws: OpenWorkspace) -> None:
    people = ws.tokens()
    uid = people.index[people["label"].notna()][0]
    assert ws.profile(people.at[uid, "label"]) == ws.profile(uid) == ws.profile(people.at[uid, "token_uids"][0]) == uid
    events = ws.events(START, END, token=people.at[uid, "label"])
    assert len(events) < len(ws.events(START, END))
    with pytest.raises(InputError, match="no token 'nobody'"):
        ws.profile("nobody")


@pytest.mark.parametrize("window", ["hour", "day"])
def test_a_fingerprint_has_a_row_for_each_profile_and_window_with_a_call(ws: OpenWorkspace, window: str) -> None:
    frame = ws.fingerprint(START, END, window)
    assert not frame.duplicated(["profile_uid", "start"]).any()
    assert (frame["requests"] > 0).all()
    assert list(frame.columns) == ["profile_uid", "start", *[n for n, f in features().items() if window in f.windows]]


def test_deviations_are_against_the_same_reference_whatever_days_are_asked_for(ws: OpenWorkspace) -> None:
    whole, part = ws.deviations(), ws.deviations("2026-02-10")
    kept = whole[whole["start"] >= pd.Timestamp("2026-02-10", tz="UTC")].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, part)
    assert {"network", "client", "operation", "hour_of_week", *judged_features()} == set(part["feature"])


def test_a_matrix_is_ready_for_an_estimator(ws: OpenWorkspace) -> None:
    from pyod.models.hbos import HBOS

    for kind in ("deviations", "fingerprint"):
        X, index = ws.matrix(kind, START, END)
        assert X.dtypes.eq("float64").all() and np.isfinite(X.to_numpy()).all()
        assert list(index.names) == ["profile_uid", "start"] and X.index.equals(index) and index.is_unique
        assert HBOS().fit(X).decision_function(X).shape == (len(index),)
    with pytest.raises(InputError, match="no matrix 'deviation'; did you mean deviations"):
        ws.matrix("deviation")


def test_incidents_are_what_the_newest_run_said_of_them(ws: OpenWorkspace) -> None:
    frame = ws.incidents()
    assert len(frame) and frame["risk"].is_monotonic_decreasing
    assert frame["record"].map(lambda r: r["incident_uid"]).equals(frame["incident_uid"])
    assert ws.incidents("2000-01-01", "2000-01-02").empty
    early = ws.incidents(end=str(frame["start"].min().date() + pd.Timedelta(days=1)))
    assert 0 < len(early) < len(frame) or frame["start"].nunique() == 1


def test_the_verdict_of_an_incident_is_the_newest_answer(workspace: Path) -> None:
    uid = tokenkit.open(workspace).incidents()["incident_uid"].iloc[0]
    for verdict in ("false_positive", "true_positive"):
        labels.label(tokenkit.open(workspace), uid, verdict, "looked again", "ana")
    assert tokenkit.open(workspace).incidents().set_index("incident_uid")["verdict"][uid] == "true_positive"


def test_an_incident_that_was_called_otherwise_is_one_row_with_its_answer(workspace: Path) -> None:
    ws = tokenkit.open(workspace)
    before = ws.incidents().set_index("incident_uid")
    uid = before.index[0]
    labels.label(ws, uid, "true_positive", "checked", "ana")
    record = before["record"].iloc[0] | {"incident_uid": "inc1_renamed", "aliases": [uid]}
    with state.connect(ws.state) as db:
        db.execute("insert into runs select 'later', number + 1000, start, end, record from runs limit 1")
        row = ["later", "inc1_renamed", record["profile_uid"], "opened", json.dumps(record)]
        db.execute("insert into incidents values (?, ?, ?, ?, ?)", row)
    after = tokenkit.open(workspace).incidents().set_index("incident_uid")
    assert len(after) == len(before) and uid not in after.index and after["verdict"]["inc1_renamed"] == "true_positive"


def test_an_empty_lake_gives_empty_frames_and_says_what_is_missing(tmp_path: Path) -> None:
    empty = tokenkit.open(config.init(tmp_path / "ws").root)
    assert empty.events().empty and empty.fingerprint().empty and empty.incidents().empty and empty.tokens().empty
    with pytest.raises(InputError, match=r"there are no events yet\. Read some: tokenkit ingest PATH"):
        empty.deviations()


# a user's own frames


@pytest.fixture(scope="module")
def own(ws: OpenWorkspace) -> pd.DataFrame:
    return ws.events("2026-01-26", "2026-02-05")


def sorted_values(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values(["profile_uid", "start"], ignore_index=True)


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_a_frame_of_events_gives_the_fingerprint_that_the_logs_give(
    ws: OpenWorkspace, own: pd.DataFrame, kind: str
) -> None:
    import pyarrow as pa

    frame: Any = {"pandas": lambda f: f, "polars": pl.from_pandas, "pyarrow": pa.Table.from_pandas}[kind](own)
    made = tokenkit.from_events(frame).fingerprint()
    tokens = ws.tokens()
    alone = [uid for uid in set(made["profile_uid"]) if tokens["token_uids"].get(uid) == [uid]]
    from_logs = ws.fingerprint("2026-01-26", "2026-02-05")
    # what is new or how old a token is depends on the days before, which the frame does not have
    names = [n for n, f in features().items() if not n.startswith("new_") and f.bad == "high" and "first" not in n]
    for name in ["requests", "response_bytes", *names]:
        a, b = (
            sorted_values(f[f["profile_uid"].isin(alone)])[["profile_uid", "start", name]] for f in (made, from_logs)
        )
        pd.testing.assert_frame_equal(a, b, check_dtype=False)


def test_a_frame_of_three_columns_is_enough() -> None:
    times = pd.date_range("2026-03-01", periods=24 * 40, freq="h", tz="UTC")
    calls = pd.DataFrame({"time": times, "token_uid": "nightly-export", "operation": "GET /orders"})
    made = tokenkit.from_events(calls)
    assert made.tokens()["label"].tolist() == ["nigh...port"]
    assert made.deviations()["start"].max() == pd.Timestamp("2026-04-09 23:00", tz="UTC")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: f.drop(columns="operation"), "events have no column operation"),
        (lambda f: f.assign(http_status="teapot"), "column http_status: expected int16"),
        (lambda f: f.assign(token_uid=[None] * len(f)), "row 0: token_uid is missing"),
    ],
)
def test_a_frame_that_cannot_be_used_is_an_error_that_names_the_column(change: Any, says: str) -> None:
    calls = pd.DataFrame({"time": pd.to_datetime(["2026-03-01"], utc=True), "token_uid": "a", "operation": "GET /"})
    with pytest.raises(SchemaError, match=says):
        tokenkit.from_events(change(calls))


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_a_fingerprint_of_ones_own_is_measured_and_scored_as_the_workspaces(ws: OpenWorkspace, kind: str) -> None:
    frame = ws.fingerprint()
    evidence = tokenkit.evidence_of(frame if kind == "pandas" else pl.from_pandas(frame))
    scores = tokenkit.score(evidence)
    assert {"point_day", "drift_amounts", "panel"} <= set(scores["channel"])
    assert np.allclose([sum(p.values()) for p in scores["parts"]], scores["score_bits"])
    X, _, _ = deviation_matrix(evidence, evidence.periods.start, evidence.periods.end)
    assert X.shape[1] == len(judged_features())


def test_a_changed_row_changes_the_deviation_of_its_profile() -> None:
    days = pd.date_range("2026-01-01", periods=50, freq="D", tz="UTC")
    frame = pd.DataFrame([{"profile_uid": f"p{k}", "start": d, "requests": 100 + 7 * k + d.day % 3,
                           "response_bytes": 1000 * (100 + d.day % 5)} for k in range(12) for d in days])  # fmt: skip
    frame.loc[(frame["profile_uid"] == "p3") & (frame["start"] == days[-1]), "response_bytes"] *= 50
    evidence = tokenkit.evidence_of(frame)
    column = evidence.bits["response_bytes"][:, -1]
    assert evidence.days.profiles[int(np.nanargmax(column))] == "p3"


def test_a_fingerprint_without_requests_is_an_error_that_says_so() -> None:
    with pytest.raises(SchemaError, match="a fingerprint has no column requests"):
        tokenkit.evidence_of(pd.DataFrame({"profile_uid": ["a"], "start": pd.to_datetime(["2026-03-01"])}))


def test_a_call_without_a_token_stays_one_without_a_token(ws: OpenWorkspace, own: pd.DataFrame) -> None:
    times = pd.date_range("2026-03-01", periods=4, freq="h", tz="UTC")
    calls = pd.DataFrame({"time": times, "operation": "GET /",
                          "token_uid": ["job-of-ana", "", "", ""],
                          "principal_uid": ["ana", None, None, None]})  # fmt: skip
    made = tokenkit.from_events(calls)
    assert made.fingerprint()["requests"].tolist() == [1]
    assert made.tokens()["principal"].tolist() == ["ana"]
    assert made.events()["token_kind"].tolist() == ["api_key", "none", "none", "none"]


def test_an_event_given_twice_is_stored_once(own: pd.DataFrame) -> None:
    some = own.head(50)
    twice = tokenkit.from_events(pd.concat([some, some], ignore_index=True))
    assert len(twice.events()) == 50


def test_calls_of_one_id_are_one_only_where_all_else_is_equal() -> None:
    calls = pd.DataFrame({"time": pd.to_datetime(["2026-03-01"] * 4, utc=True), "token_uid": ["a", "a", "b", "a"],
                          "operation": ["GET /", "PUT /", "GET /", "GET /"], "event_uid": "the-thief's"})  # fmt: skip
    assert len(tokenkit.from_events(calls).events()) == 3
    without = tokenkit.from_events(calls.drop(columns="event_uid"))
    assert len(without.events()) == 4


def test_a_key_that_is_repeated_in_another_column_is_masked() -> None:
    calls = pd.DataFrame({"time": pd.to_datetime(["2026-03-01"], utc=True), "token_uid": "my-secret-key-1",
                          "operation": "GET /", "user_agent": "curl my-secret-key-1"})  # fmt: skip
    assert "my-secret-key-1" not in tokenkit.from_events(calls).events().to_csv()


def test_hours_are_not_taken_for_days(ws: OpenWorkspace) -> None:
    with pytest.raises(SchemaError, match=r"several rows of one profile and day.*window='day'"):
        tokenkit.evidence_of(ws.fingerprint(window="hour"))
    with pytest.raises(InputError, match="a fingerprint without rows"):
        tokenkit.evidence_of(ws.fingerprint().head(0))
