"""Client: with which program. New and rare programs are graded in ``normal.novelty``."""

import narwhals as nw

from tokenkit.fingerprint.feature import distinct, feature


@feature(
    table="activity_client", unit="programs", asks="Do more programs use it?",
    reason="Was used by more programs", given="requests",
)  # fmt: skip
def clients() -> nw.Expr:
    """Different programs (name and version) in the window."""
    return distinct("client_key")
