"""The panel of PyOD detectors: fitted on other rows than it scores, and only what scores a row alone may be in it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import raw_logs
from raw_logs import day_of

from tokenkit import channels
from tokenkit.channels import detector_cache, panel
from tokenkit.channels.panel import Panel, batch_invariant, detector, deviation_matrix, matrix_features
from tokenkit.config import PANEL
from tokenkit.errors import DetectorError
from tokenkit.fingerprint import features
from tokenkit.normal.evidence import Evidence


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return raw_logs.evidence_of(raw_logs.steady(days=70), raw_logs.periods(42, 70))


def fitted(evidence: Evidence, **options: object) -> Panel:
    return Panel(**options).fit(evidence, day_of(28), day_of(42))  # type: ignore[arg-type]


def test_it_is_fitted_on_other_rows_than_it_scores_or_ranks_among(evidence: Evidence) -> None:
    made = fitted(evidence)
    first, _, _ = deviation_matrix(evidence, day_of(28), day_of(35))
    second, _, _ = deviation_matrix(evidence, day_of(35), day_of(42))
    for model, tail in made.members.values():
        assert model.decision_scores_.shape == (len(first),)
        assert np.allclose(model.decision_scores_, model.decision_function(first))
        assert np.array_equal(tail.pool, np.sort(model.decision_function(second)))


def test_every_detector_has_its_part_and_the_parts_add_up_to_their_mean(evidence: Evidence) -> None:
    scores = fitted(evidence).score(evidence, day_of(42), day_of(70))
    assert all(set(parts) == {f"panel_{name}" for name in PANEL} for parts in scores["parts"])
    assert np.allclose([sum(parts.values()) for parts in scores["parts"]], scores["raw_bits"])


def test_the_same_seed_gives_the_same_scores_and_another_one_others(evidence: Evidence) -> None:
    one, again, other = (
        fitted(evidence, seed=seed).score(evidence, day_of(42), day_of(70))["raw_bits"] for seed in (3, 3, 4)
    )
    assert one.equals(again) and not one.equals(other)


def test_with_too_few_rows_to_learn_from_it_scores_nothing() -> None:
    small = raw_logs.evidence_of(raw_logs.steady(profiles=3, days=50), raw_logs.periods(42, 50))
    assert fitted(small).score(small, day_of(42), day_of(50)).empty


@pytest.mark.parametrize("name", ["ECOD", "COPOD"])
def test_a_detector_that_ranks_a_row_among_its_batch_is_refused(name: str, evidence: Evidence, tmp_path: Path) -> None:
    refused = pytest.raises(DetectorError, match=f"{name} gives a row another score in another batch.*IForest")
    with refused:
        fitted(evidence, names=[name])
    for _ in range(2):  # no cache takes it in
        with refused:
            fitted(evidence, names=[name], cache=detector_cache.DetectorCache(tmp_path, b"k" * 32))


def test_a_detector_is_tested_when_it_is_fitted_and_not_when_it_comes_from_the_cache(
    evidence: Evidence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, tested = detector_cache.DetectorCache(tmp_path, b"k" * 32), []
    monkeypatch.setattr(panel, "batch_invariant", lambda *given: not tested.append(given))  # type: ignore[func-returns-value]
    one, again = (
        fitted(evidence, names=["LODA"], cache=cache).score(evidence, day_of(42), day_of(70)) for _ in range(2)
    )
    pd.testing.assert_frame_equal(one, again)
    assert len(tested) == 1


@pytest.mark.parametrize("name", [*PANEL, "KNN", "GMM", "MCD", "OCSVM"])
def test_what_decides_is_the_test_and_not_a_list(name: str, evidence: Evidence) -> None:
    rows, _, _ = deviation_matrix(evidence, day_of(28), day_of(35))
    held, _, _ = deviation_matrix(evidence, day_of(35), day_of(42))
    assert batch_invariant(detector(name, seed=0).fit(rows), held[:20])


def test_an_unknown_detector_is_an_error_that_names_one_that_exists() -> None:
    with pytest.raises(DetectorError, match="no detector IForrest: did you mean IForest"):
        detector("IForrest", seed=0)


def test_the_matrix_has_no_feature_that_is_only_context(evidence: Evidence) -> None:
    assert {features()[name].bad for name in matrix_features(evidence)} == {"high"}


def test_a_fitted_panel_is_taken_from_the_cache_and_scores_the_same(evidence: Evidence, tmp_path: Path) -> None:
    cache = detector_cache.DetectorCache(tmp_path, b"k" * 32)
    first = fitted(evidence, cache=cache).score(evidence, day_of(42), day_of(70))
    files = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    second = fitted(evidence, cache=cache).score(evidence, day_of(42), day_of(70))
    assert first.equals(second)
    assert files == {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert set(files) == {f"panel-{name}.fitted" for name in PANEL}


def test_a_share_for_a_channel_that_is_not_installed_is_refused() -> None:
    from pydantic import ValidationError

    from tokenkit.config import Detection

    with pytest.raises(ValidationError, match="unknown channel 'pannel': did you mean panel"):
        Detection(shares={"pannel": 0.1})
    assert [d.name for d in channels.detectors()][: len(channels.CHANNELS)] == list(channels.CHANNELS)


def test_no_row_that_it_was_fitted_on_is_scored(evidence: Evidence) -> None:
    scores = fitted(evidence).score(evidence, day_of(28), day_of(70))
    assert scores["start"].min() == pd.Timestamp(day_of(35), tz="UTC")


@pytest.mark.parametrize(("name", "says"), [("iforest", "did you mean IForest"), ("LSCP", "by its name alone")])
def test_a_name_is_one_detector_that_can_be_made_of_it(name: str, says: str) -> None:
    with pytest.raises(DetectorError, match=says):
        detector(name, seed=0)
