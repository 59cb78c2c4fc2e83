"""A detector of one's own takes part as file, class or object; what is none is refused in words."""

import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest

from tokenkit.bench import protocol
from tokenkit.bench.detectors import leaks, own
from tokenkit.errors import DetectorError, InputError
from tokenkit.report.publishing import kernel


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("nothing.py:Class", "no such file"),
        ("mine", "expected module:Class, or path"),
        ("json:JSONEncoder", "is no detector"),
        ("nosuch.module:Class", "No module named 'nosuch'.*installed"),
        ("pyod.models.knn:KMN", "has no KMN; did you mean KNN"),
        (object, "is no detector"),
        (Path.exists, "cannot be made without arguments"),
    ],
)
def test_a_detector_of_ones_own_is_taken_or_refused_in_words(where, said):
    with pytest.raises((InputError, DetectorError), match=said):
        own.load(where)


def test_a_channel_of_ones_own_learns_from_the_days_that_a_run_gives_it(tmp_path, unattacked):
    module = tmp_path / "channel_of_a_test.py"
    module.write_text(
        "from tokenkit.bench.detectors.controls import Control, robust_z\n\n\nclass Mine(Control):\n    seen = []\n\n"
        "    def __init__(self):\n        super().__init__('mine', robust_z('requests'))\n\n"
        "    def fit(self, evidence, start, end):\n        self.seen.append((start, end))\n        return self\n",
        encoding="utf-8",
    )
    made = own.load(f"{module}:Mine")
    fitted = protocol.fit(unattacked, made, 0)
    assert fitted.detectors[0].seen[-1] == unattacked.evidence.periods.calibration


def test_a_file_that_cannot_be_run_and_a_class_that_fails_say_where(tmp_path, unattacked):
    module = tmp_path / "broken_of_a_test.py"
    module.write_text("import no_such_module_anywhere\n", encoding="utf-8")
    with pytest.raises(DetectorError, match=r"cannot be run: ModuleNotFoundError: .*broken_of_a_test\.py:1\)"):
        own.load(f"{module}:Mine")
    module.write_text("class Mine:\n    def fit(self, X)\n", encoding="utf-8")
    with pytest.raises(DetectorError, match=r"SyntaxError: expected ':' \(broken_of_a_test\.py, line 2\)$"):
        own.load(f"{module}:Mine")
    module.write_text("class Mine:\n    def fit(self, X):\n        raise ValueError('no')\n\n"
                      "    def decision_function(self, X):\n        return X[:, 0]\n", encoding="utf-8")  # fmt: skip
    with pytest.raises(DetectorError, match=r"Mine failed: ValueError: no \(.*broken_of_a_test\.py:3\)"):
        leaks.refuse(unattacked, own.load(f"{module}:Mine"))


def test_an_estimator_from_a_file_takes_part(tmp_path, unattacked):
    module = tmp_path / "mine_of_a_test.py"
    module.write_text(
        "from sklearn.ensemble import IsolationForest\n\n\nclass Mine(IsolationForest):\n    pass\n", encoding="utf-8"
    )
    made = own.load(f"{module}:Mine")
    leaks.refuse(unattacked, made)
    assert len(protocol.fit(unattacked, made, 0).scores) > 0


class Sum:
    def fit(self, X):
        return self

    def decision_function(self, X):
        return X.sum(axis=1)


class Rank(Sum):
    def decision_function(self, X):
        return X.sum(axis=1).argsort().argsort().astype(float)


class Short(Sum):
    def decision_function(self, X):
        return X.sum(axis=1)[1:]


class Broken(Sum):
    def decision_function(self, X):
        return np.full(len(X), np.nan)


@pytest.mark.parametrize("given", [Sum, Sum(), "pyod.models.pca:PCA"])
def test_your_own_estimator_takes_part_as_class_object_or_path(unattacked, given):
    fitted = protocol.fit(unattacked, own.load(given, "mine"), 0)
    assert fitted.contender.name == "mine" and len(fitted.scores) > 1000


def test_a_file_of_ones_own_is_run_once_whoever_names_it(tmp_path):
    """Another process gets the class itself, with what its module holds, and does not run the file again."""
    count, module = tmp_path / "count", tmp_path / "counted_of_a_test.py"
    module.write_text(
        f"from pathlib import Path\n\nPath({str(count)!r}).open('a').write('run ')\nWEIGHT = 3.0\n\n\n"
        "class Mine:\n    def fit(self, X):\n        return self\n\n"
        "    def decision_function(self, X):\n        return WEIGHT * X[:, 0]\n",
        encoding="utf-8",
    )
    contender = own.load(f"{module}:Mine")
    packed = tmp_path / "packed"
    packed.write_bytes(own.pack([contender]))
    script = (
        "import pickle, sys\nimport numpy as np\nfrom pathlib import Path\n"
        "(one,) = pickle.loads(Path(sys.argv[1]).read_bytes())\n"
        "print(one.name, one.make(0)[0].estimator.decision_function(np.ones((1, 1)))[0])"
    )
    said = subprocess.run([sys.executable, "-c", script, packed], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["Mine", "3.0"] and count.read_text() == "run "


def test_scikit_learns_sign_is_turned(unattacked):
    from sklearn.ensemble import IsolationForest

    ours = protocol.fit(unattacked, own.load(IsolationForest(random_state=0)), 0, []).scores
    pyod = protocol.fit(unattacked, own.load("pyod.models.iforest:IForest"), 0, []).scores
    assert np.corrcoef(ours["raw_bits"], pyod["raw_bits"])[0, 1] > 0.9


def test_a_detector_that_ranks_within_its_batch_is_refused(unattacked):
    with pytest.raises(DetectorError, match="another score in another batch"):
        leaks.refuse(unattacked, own.load(Rank))


def test_scores_that_are_too_few_or_no_numbers_are_refused(unattacked):
    with pytest.raises(
        DetectorError, match=r"Short: decision_function of .* rows gave .* expected one number for each"
    ):
        protocol.fit(unattacked, own.load(Short), 0)
    with pytest.raises(DetectorError, match=r"Broken: .* scores are no finite numbers"):
        protocol.fit(unattacked, own.load(Broken), 0)


def test_a_module_that_holds_what_no_process_can_be_given_says_so(tmp_path):
    module = tmp_path / "locked_of_a_test.py"
    module.write_text(
        "import threading\n\nLOCK = threading.Lock()\n\n\nclass Mine:\n    def fit(self, X):\n"
        "        LOCK.acquire()\n\n    def decision_function(self, X):\n        return X[:, 0]\n",
        encoding="utf-8",
    )
    with pytest.raises(DetectorError, match=r"cannot be given to another process: .*locks in fit"):
        own.pack([own.load(f"{module}:Mine")])


class Held:
    def __init__(self, most=1.0):
        self.most = most

    def fit(self, X):
        return self

    def decision_function(self, X):
        return np.minimum(X.max(axis=1), self.most)


def test_another_view_or_setting_is_another_contender_whose_results_are_not_taken_for_those_of_this_one():
    brought = [own.load(Held(1.0), "mine", "raw"), own.load(Held(1.0), "mine", "deviations"),
               own.load(Held(5.0), "mine", "raw"), own.load(Held, "mine", "raw")]  # fmt: skip
    assert len({one.source for one in brought}) == 4
    assert own.load(Held(1.0), "mine", "raw").source == brought[0].source, "nor does it depend on where it lies"


MINE = """
class Mine:
    nothing = object()  # lies elsewhere in memory each time

    def fit(self, X):
        return self

    def decision_function(self, X):
        return {weight} * X[:, 0]
"""


def test_a_class_of_a_notebook_is_the_same_when_its_cell_runs_again_and_another_when_it_changes(tmp_path):
    """Else results that lie in the folder would be measured again after each restart of the kernel."""
    print_source = "from tokenkit.bench.detectors import own\nprint(own.load(Mine).source)"
    cells = [MINE.format(weight=weight) + print_source for weight in (1, 1, 2)]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c, id=f"c{n}") for n, c in enumerate(cells)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, tmp_path / "n.ipynb")
    done = kernel.execute(tmp_path / "n.ipynb", tmp_path / "out.ipynb", {})
    first, again, changed = [cell.outputs[0].text for cell in done.cells]
    assert first == again != changed
