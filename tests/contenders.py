"""Contenders of the tests of the bench."""

from tokenkit.bench import alerts, protocol
from tokenkit.bench.detectors import controls
from tokenkit.bench.detectors.contender import Contender


def contender(detector, learns="calibration", **more):
    return Contender(detector.name, lambda seed: [detector], {detector.name: 1.0}, learns=learns, **more)


def alerts_of(organisation, fitted, attacked):
    benign_scores = alerts.benign_scores(
        fitted.scores, protocol.breach_windows(organisation.workspace, organisation.evidence)
    )
    breaches = protocol.breach_windows(attacked.workspace, attacked.evidence)
    return alerts.trial_alerts(fitted, attacked, breaches, benign_scores)


class Calls(controls.Control):
    def __init__(self):
        super().__init__("calls", controls.robust_z("requests"))
