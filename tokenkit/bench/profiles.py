"""Profiles: how large a run of the bench is, and who takes part in it.

Reads  nothing. Writes nothing.
"""

from dataclasses import dataclass

from tokenkit.bench.detectors import conformal, registry


@dataclass(frozen=True)
class Profile:
    """How large a run is: tokens of an organisation, organisations, trials of each scenario and intensity in each.

    ``grid``: all intensities, or the one in the middle. ``contenders`` are names and groups of the registry.
    """

    tokens: int
    seeds: tuple[int, ...]
    each: int
    grid: bool
    contenders: tuple[str, ...]


FEW = (registry.TOKENKIT, "controls", "IForest, deviations")
NOVELTY = "deviations+novelty"
# LOF and OCSVM, whose time grows with the square of the rows, and the slow time series take part where they are named
MANY = (
    *(registry.TOKENKIT, "channels", "IForest", f"LODA, {NOVELTY}", f"HBOS, {NOVELTY}", f"PCA, {NOVELTY}"),
    *(f"KNN, {NOVELTY}", f"GMM, {NOVELTY}", f"INNE, {NOVELTY}", f"MCD, {NOVELTY}", f"ADEngine, {NOVELTY}"),
    *("SpectralResidual", "controls", *([conformal.GROUP] if conformal.installed() else [])),
)
PROFILES = {
    "small": Profile(60, (0, 1), 1, False, MANY),
    "smoke": Profile(100, (0, 1), 1, False, FEW),
    "standard": Profile(300, (0, 1), 8, True, (*MANY, "ablation")),
    "full": Profile(1000, (0, 1, 2, 3, 4), 13, True, (*MANY, "ablation")),
}
IN_VARIANTS = FEW  # and yours: who takes part in the dirty and the poisoned variant, where the grid is full
