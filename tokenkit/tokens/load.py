"""Load: the list of owners, from its file into the lake, and whether it is about the tokens of the logs.

Reads  the CSV that tokenkit.toml or the command line names; dim_token. Writes tokens; notes about the list (state.db).
"""

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from tokenkit import schema
from tokenkit.config import Workspace
from tokenkit.errors import InputError
from tokenkit.ingest import open_key
from tokenkit.ingest.forgotten import forgotten_among
from tokenkit.sources.fields.masking import tidy_text
from tokenkit.store import lake, state
from tokenkit.tokens import inventory


def load_inventory(workspace: Workspace, path: Path | None) -> None:
    """Bring the list of owners into the lake; without one, what is there stays.

    Raises
    ------
    InventoryError
        The list cannot be used; what was there stays.
    """
    named = path or (workspace.root / workspace.settings.inventory if workspace.settings.inventory else None)
    if named is None:
        return
    if not named.exists():
        raise InputError(f"{named}: there is no such list of owners (inventory). Correct the path, or leave it out.")
    with state.connect(workspace.state) as db:
        key = open_key(workspace, db)
        columns = hashlib.sha256(",".join(schema.TOKENS.names).encode()).hexdigest()[:8]  # of a new version: read anew
        digest = f"{hashlib.sha256(named.read_bytes()).hexdigest()[:16]}:{workspace.settings.gateway.realm}:{columns}"
        loaded = state.stage_digests(db, "inventory").get("tokens")
    if loaded == digest and lake.version(workspace.lake, "tokens") is not None:
        return
    tokens, notes = inventory.load(named, key, workspace.settings.gateway.realm)
    with state.connect(workspace.state) as db:
        ids = [uid for column in ("token_uid", "owner_uid") for uid in tokens[column].to_pylist()]
        gone = pa.array(sorted(forgotten_among(db, key, ids)), pa.string())
    if len(gone):
        of_gone = pc.or_kleene(
            pc.is_in(tokens["token_uid"], value_set=gone), pc.is_in(tokens["owner_uid"], value_set=gone)
        )
        notes = [*notes, f"{pc.sum(of_gone).as_py():,} rows are left out: their token or owner was forgotten"]
        tokens = tokens.filter(pc.invert(of_gone))
    lake.replace(workspace.lake, "tokens", tokens)
    with state.connect(workspace.state) as db:
        state.set_meta(db, "inventory_notes", json.dumps(notes))
        state.set_meta(db, "inventory_name", named.name)
        state.save_stage_digests(db, "inventory", {"tokens": digest})


def unmatched_list(workspace: Workspace) -> str | None:
    """Return what to do about a list of owners of which no id occurs in the logs; None where one does, or without one.

    A list of users or roles matches by their ARNs.
    """
    listed = lake.read(workspace.lake, "tokens")
    seen = lake.read(workspace.lake, "dim_token")
    issuers = sorted({issuer for issuer in seen["issuer"].to_pylist() if issuer})
    ids = {uid for column in ("token_uid", "principal_token_uid", "role_token_uid") for uid in seen[column].to_pylist()}
    if not listed.num_rows or not issuers or not ids.isdisjoint(listed["token_uid"].to_pylist()):
        return None
    with state.connect(workspace.state) as db:
        name = state.get_meta(db, "inventory_name") or "the list of owners"
    number, whose = len(set(listed["token_uid"].to_pylist())), sorted(set(listed["issuer"].to_pylist()))
    none = f"none of the {number} ids of the list occurs" if number > 1 else "the only id of the list does not occur"
    remedy = (
        f"Say who issued them in a column source ({_some(issuers)} in the logs; {_some(whose)} in the list)"
        if set(whose) - set(issuers)
        else "Give each id as the log has it, with the same capitals and every digit"
    )
    return (
        f"{tidy_text(name, 80)}: {none} in the logs, so no token has an owner. "
        f"{remedy}. tokenkit tokens lists the tokens of the logs with their masks."
    )


def _some(names: list[str]) -> str:
    shown = ", ".join(tidy_text(name, 60) for name in names[:5])
    return shown + (", ..." if len(names) > 5 else "")
