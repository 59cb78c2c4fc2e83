"""Stages: what was made from tables stays up to date although their files have changed.

Reads  the digests of the tables. Writes the digests that the stages noted (state.db).
"""

from collections.abc import Iterator
from contextlib import contextmanager

from tokenkit import activity, fingerprint
from tokenkit.config import Workspace
from tokenkit.store import state


@contextmanager
def stages_stay_current(workspace: Workspace) -> Iterator[None]:
    """Let what was made from the tables be up to date afterwards where it was before.

    For changes after which nothing would be made otherwise: other files with the same rows, or old days that go. Killed
    in between, the stages are out of date, and the next run makes them anew.
    """
    before = _digests(workspace)
    yield
    after = _digests(workspace)
    with state.connect(workspace.state) as db:
        for stage, digests in before.items():
            built = state.stage_digests(db, stage)
            current = {
                part: after[stage][part]
                for part, digest in digests.items()
                if built.get(part) == digest and part in after[stage]
            }
            state.save_stage_digests(db, stage, current)


def _digests(workspace: Workspace) -> dict[str, dict[str, str]]:
    return {
        "activity": {day.isoformat(): digest for day, digest in activity.day_digests(workspace).items()},
        "seen": {"all": activity.digest_of_counts(workspace)},
        "fingerprint": {day.isoformat(): digest for day, digest in fingerprint.day_digests(workspace).items()},
    }
