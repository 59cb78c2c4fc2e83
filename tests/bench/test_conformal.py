"""nonconform takes part where it is installed, and where it is not, its absence is explained."""

from importlib.util import find_spec

import numpy as np
import pytest
from contenders import contender
from scipy.stats import false_discovery_control

from tokenkit.bench import leaderboard, protocol
from tokenkit.bench.detectors import conformal, leaks, registry
from tokenkit.bench.detectors.rows import Rows
from tokenkit.bench.profiles import MANY
from tokenkit.channels.panel import batch_invariant
from tokenkit.errors import DetectorError, InputError

needed = pytest.mark.skipif(not conformal.installed(), reason="nonconform is not installed")
RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(2_000, 6))
NEW = RNG.normal(size=(2_000, 6))


@pytest.fixture(scope="module")
def fitted():
    return conformal.PValues(0).fit(ROWS)


@pytest.mark.parametrize("name", ["nonconform", "nonconform at FDR 10%", "conformal"])
def test_where_it_is_not_installed_it_is_not_listed_and_its_name_says_what_to_do(monkeypatch, name):
    monkeypatch.setattr(conformal, "installed", lambda: False)
    assert conformal.GROUP not in registry.catalogue()
    with pytest.raises(InputError, match=r"not installed: it needs Python 3\.12 or newer, and pip install nonconform"):
        registry.choose([name])
    assert "nonconform" not in leaderboard.libraries()


def test_it_takes_part_where_it_is_installed():
    there = find_spec("nonconform") is not None
    assert conformal.installed() is there
    assert (conformal.GROUP in MANY) is there and ("nonconform" in leaderboard.libraries()) is there


@needed
def test_each_name_is_one_contender_and_the_group_is_both():
    for names in [["nonconform"], ["nonconform at FDR 10%"], ["nonconform", "nonconform at FDR 10%"]]:
        assert [one.name for one in registry.choose(names)] == names
    assert [one.name for one in registry.choose(["conformal"])] == names


@needed
def test_p_values_of_rows_like_those_it_was_fitted_on_are_uniform(fitted):
    p = fitted.p_values(NEW)
    for share in (0.01, 0.05, 0.2, 0.5, 0.8):
        assert abs((p <= share).mean() - share) < 4 * np.sqrt(share * (1 - share) * (1 / 1_000 + 1 / 2_000))
    assert p.min() >= 1 / 1_001 and p.max() <= 1.0


@needed
def test_the_score_of_a_row_is_its_p_value_in_bits_and_depends_on_no_other_row(fitted):
    far = np.full((1, 6), 9.0)
    assert fitted.decision_function(far)[0] == pytest.approx(np.log2(1_001))
    assert batch_invariant(fitted, np.vstack([NEW[:100], far]))


@needed
def test_a_seed_gives_the_same_p_values_again_and_another_seed_others(fitted):
    assert np.array_equal(conformal.PValues(0).fit(ROWS).p_values(NEW), fitted.p_values(NEW))
    assert not np.array_equal(conformal.PValues(1).fit(ROWS).p_values(NEW), fitted.p_values(NEW))


@needed
@pytest.mark.parametrize("rows", [60, 100, 130])
def test_the_only_discovery_of_a_usual_day_is_the_one_that_benjamini_hochberg_selects(fitted, rows):
    """The library's own procedure, on a day of as many rows of which all but one are as usual as can be."""
    calm = ROWS[np.argsort(fitted.p_values(ROWS))[-(rows - 1) :]]
    detector = conformal.Discoveries("one", fitted)
    detector.most = conformal.FDR / rows
    detector.varies, detector.middle, detector.spread = np.ones(6, dtype=bool), np.zeros(6), np.ones(6)
    for row in NEW[np.argsort(fitted.p_values(NEW))[:20]]:
        day = np.vstack([row, calm])
        assert detector._values(row[None])[0] == fitted.model.select(day, alpha=conformal.FDR)[0]


@needed
def test_both_are_let_in_and_the_rate_needs_no_budget(unattacked):
    for one in registry.choose(["conformal"]):
        leaks.refuse(unattacked, one)
    (at_rate,) = registry.choose(["nonconform at FDR 10%"])
    rows = protocol.fit(unattacked, at_rate, 0).scores
    assert set(rows["score_bits"]) <= {0.0, 1.0} and 0 < rows["score_bits"].mean() < 0.05


@needed
def test_the_whole_procedure_on_the_rows_of_a_day_would_be_refused(unattacked):
    class Procedure(Rows):
        def score(self, evidence, start, end):
            rows = super().score(evidence, start, end)
            adjusted = (2.0 ** -rows["raw_bits"]).groupby(rows["start"]).transform(false_discovery_control)
            return rows.assign(raw_bits=(adjusted <= conformal.FDR).astype(float))

    with pytest.raises(DetectorError, match="another score in another batch"):
        leaks.refuse(unattacked, contender(Procedure("procedure", conformal.PValues(0)), learns="reference"))
