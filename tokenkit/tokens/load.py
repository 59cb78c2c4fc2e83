"""Load: the list of owners, from its file into the lake.

Reads  the CSV that tokenkit.toml or the command line names. Writes tokens; notes about the list (state.db).
"""

import hashlib
import json
from pathlib import Path

from tokenkit.config import Workspace
from tokenkit.errors import InputError
from tokenkit.ingest import open_key
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
        digest = hashlib.sha256(named.read_bytes()).hexdigest()[:16] + ":" + workspace.settings.gateway.realm
        loaded = state.stage_digests(db, "inventory").get("tokens")
    if loaded == digest and lake.version(workspace.lake, "tokens") is not None:
        return
    tokens, notes = inventory.load(named, key, workspace.settings.gateway.realm)
    lake.replace(workspace.lake, "tokens", tokens)
    with state.connect(workspace.state) as db:
        state.set_meta(db, "inventory_notes", json.dumps(notes))
        state.set_meta(db, "inventory_name", named.name)
        state.save_stage_digests(db, "inventory", {"tokens": digest})
