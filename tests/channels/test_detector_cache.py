"""Fitted detectors at rest: signed, and refused where the signature or a version is another one."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tokenkit.channels import detector_cache
from tokenkit.channels.panel import detector
from tokenkit.errors import DetectorError

KEY = b"a" * 32


@pytest.fixture
def model() -> Any:
    return detector("HBOS", seed=0).fit(np.random.default_rng(0).normal(size=(200, 3)))


def test_a_kept_detector_scores_as_before(model: Any, tmp_path: Path) -> None:
    detector_cache.save(model, tmp_path / "a.fitted", KEY, "abc")
    rows = np.random.default_rng(1).normal(size=(20, 3))
    again = detector_cache.load(tmp_path / "a.fitted", KEY)
    assert np.array_equal(model.decision_function(rows), again.decision_function(rows))
    assert detector_cache.made_of_in(tmp_path / "a.fitted") == "abc"


@pytest.mark.parametrize("place", [0.0, 0.01, 0.5, 0.999])
def test_a_changed_byte_is_refused_before_anything_is_loaded(
    model: Any, tmp_path: Path, place: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyod.utils import persistence

    path = tmp_path / "a.fitted"
    detector_cache.save(model, path, KEY)
    raw = bytearray(path.read_bytes())
    raw[int(place * len(raw))] ^= 1
    path.write_bytes(raw)
    monkeypatch.setattr(persistence, "load", lambda *a, **k: pytest.fail("it was loaded"))
    with pytest.raises(DetectorError, match="Delete the file"):
        detector_cache.load(path, KEY)


def test_another_workspaces_detector_is_refused(model: Any, tmp_path: Path) -> None:
    detector_cache.save(model, tmp_path / "a.fitted", KEY)
    with pytest.raises(DetectorError, match="not signed with this workspace's key"):
        detector_cache.load(tmp_path / "a.fitted", b"b" * 32)


@pytest.mark.parametrize("library", ["pyod_version", "sklearn_version", "numpy_version"])
def test_a_detector_of_other_versions_is_refused(model: Any, tmp_path: Path, library: str) -> None:
    import joblib
    from pyod.utils import persistence

    path = tmp_path / "a.fitted"
    whole = io.BytesIO()
    persistence.save(model, whole)
    envelope = joblib.load(io.BytesIO(whole.getvalue()))
    envelope[library] = "0.0.1"
    changed = io.BytesIO()
    joblib.dump(envelope, changed)
    payload = changed.getvalue()
    path.write_bytes(b" ".join([detector_cache.MAGIC, b"-", detector_cache._sign(payload, "", KEY)]) + b"\n" + payload)
    with pytest.raises(DetectorError, match=r"fitted by .*Delete the file"):
        detector_cache.load(path, KEY)


def test_a_cache_fits_anew_what_was_made_of_something_else(model: Any, tmp_path: Path) -> None:
    cache, fits = detector_cache.DetectorCache(tmp_path, KEY), []

    def fit() -> Any:
        fits.append(1)
        return model

    for made_of in ("a", "a", "b"):
        cache.get("panel-HBOS", made_of, fit)
    assert len(fits) == 2
    (tmp_path / "panel-HBOS.fitted").write_bytes(b"no detector")
    cache.get("panel-HBOS", "b", fit)
    assert len(fits) == 3


def test_a_detector_whose_class_has_moved_is_refused_and_fitted_anew(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyod.utils import persistence

    def gone(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("No module named 'pyod.models.elsewhere'")

    detector_cache.save(model, tmp_path / "panel-HBOS.fitted", KEY, "abc")
    monkeypatch.setattr(persistence, "load", gone)
    with pytest.raises(DetectorError, match="fitted by other versions: No module named"):
        detector_cache.load(tmp_path / "panel-HBOS.fitted", KEY)
    assert detector_cache.DetectorCache(tmp_path, KEY).get("panel-HBOS", "abc", lambda: model) is model
