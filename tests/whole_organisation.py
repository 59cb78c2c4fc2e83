"""Attack a whole organisation, to check that the overlay gives the same scores; for tests and benchmarks.

Reads  the lake of an unattacked organisation and that of its twins. Writes a copy of the former, attacked.
"""

import shutil
from pathlib import Path

import pandas as pd
import pyarrow as pa

from tokenkit import activity, config, fingerprint, schema
from tokenkit.bench.trials.keys import DIMENSIONS
from tokenkit.bench.trials.overlay import AttackedProfiles
from tokenkit.bench.trials.unattacked import UnattackedOrganisation
from tokenkit.normal import evidence
from tokenkit.normal.evidence import Evidence
from tokenkit.store import lake
from tokenkit.tokens.profiles import token_profiles

# the list of owners would have to change with these, and events alone are put in their place here
CHANGE_THE_INVENTORY = ("key_rotation", "orphan")


def measure_whole(
    organisation: UnattackedOrganisation, attacked: AttackedProfiles, trial: int, folder: Path
) -> Evidence:
    """Evidence of the organisation measured again, with the events of one trial's twins in place of its tokens'.

    Parameters
    ----------
    trial : its number; of a scenario that leaves the inventory as it is (``CHANGE_THE_INVENTORY``)
    folder : for the copy of the organisation
    """
    place = config.find(shutil.copytree(organisation.workspace.root, folder / "attacked"))
    assert place is not None
    rows = attacked.trials[attacked.trials["trial"] == trial]
    theirs = lake.read(attacked.workspace.lake, "events").to_pandas()
    own = lake.read(place.lake, "events").to_pandas()
    parts = [own[~own["token_uid"].isin(rows["base_uid"])]]
    for row in rows.itertuples():
        mine = theirs[theirs["token_uid"] == row.profile_uid]
        parts.append(mine.assign(token_uid=row.base_uid, token_key=organisation.single[str(row.base_uid)]))
    events = pa.Table.from_pandas(pd.concat(parts, ignore_index=True), preserve_index=False)
    lake.replace(place.lake, "events", schema.conform("events", events))
    for name in DIMENSIONS:
        lake.grow_dimension(place.lake, name, lake.read(attacked.workspace.lake, name))
    activity.build(place)
    fingerprint.build(place)
    profiles = evidence.Population(organisation.people, token_profiles(place))
    return evidence.measure(place, organisation.evidence.periods, profiles)
