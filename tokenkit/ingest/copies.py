"""Copies: a call between two accounts of AWS, which is delivered to both under one shared id.

It is stored once, as the account that owns the credential saw it: where the other account's copy came first, its row is
replaced, and the later record is a duplicate.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tokenkit.config import Workspace
from tokenkit.store import engine, lake

OF_AWS = ("cloudtrail", "ocsf")  # sources of which two records of one event may know its caller unequally well
# how well an event knows its caller: 2 the credential or the ARN, not an account alone; 1 the log is the caller's own
KNOWS_CALLER = (
    f"case when source not in {OF_AWS} then 0 else"
    " 2 * (token_kind not in ('none', 'principal') or coalesce(principal_uid, '') like 'arn:%')::int"
    " + coalesce(split_part(principal_uid, ':', 5) = tenant_uid, false)::int end"
)


def tokens_of_copies(tables: list[pa.Table], new: pa.Table | None, better: pa.Table | None) -> pa.Array:
    """Return the keys of the tokens of AWS of whose events none is stored: they name an account or a stored token."""
    offered = [np.asarray(t["token_key"].filter(pc.is_in(t["source"], value_set=pa.array(OF_AWS)))) for t in tables]
    kept = [np.asarray(t["token_key"]) for t in (new, better) if t is not None]
    none = [np.empty(0, dtype=np.int64)]
    return pa.array(np.setdiff1d(np.concatenate(offered + none), np.concatenate(kept + none)))


def forget_unused_tokens(workspace: Workspace) -> None:
    """Forget the tokens by which copies knew their caller, an account or a principal, and which no stored event has.

    A run that was killed after it replaced copies leaves some; the next one finds them by the same look.
    """
    tokens = lake.read(workspace.lake, "dim_token")
    candidates = tokens.filter(pc.equal(tokens["token_kind"], "principal"))["token_key"].combine_chunks()
    if not len(candidates):
        return
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        connection.register("candidates", pa.table({"token_key": candidates}))
        lake.scan(connection, workspace.lake, "events").create_view("stored")
        used = connection.sql("select distinct token_key from stored semi join candidates using (token_key)")
        still_used = used.to_arrow_table()["token_key"].combine_chunks()
    forgotten = candidates.filter(pc.invert(pc.is_in(candidates, value_set=still_used)))
    if len(forgotten):
        lake.replace(
            workspace.lake, "dim_token", tokens.filter(pc.invert(pc.is_in(tokens["token_key"], value_set=forgotten)))
        )
