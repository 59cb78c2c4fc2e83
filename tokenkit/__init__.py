"""tokenkit learns what each API token normally does and says so when one stops being itself.

For notebooks and scripts:

    import tokenkit
    ws = tokenkit.open()                                # the workspace, whatever the current folder
    ws.incidents("2026-03-01", "2026-03-08")            # tidy pandas frames of a time range
    X, index = ws.matrix("deviations")                  # for any estimator of PyOD or scikit-learn
    ws = tokenkit.from_events(frame)                    # the same of a pandas or Polars frame of your own
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
__all__ = ["OpenWorkspace", "evidence_of", "from_events", "open", "score"]

# imported when first used: the command line needs none of them
_PLACES = {"open": "workbench.frames", "OpenWorkspace": "workbench.frames", "from_events": "workbench.own_frames",
           "evidence_of": "workbench.own_frames", "score": "workbench.own_frames"}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import what is asked for."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    """What completion offers first."""
    return sorted({*globals(), *__all__})
