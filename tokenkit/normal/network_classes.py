"""Network classes: how surprising it is that a profile comes from a kind of network that it never used, in bits.

Reads  dim_network. Writes nothing.
A person whose home and mobile networks change all the time surprises little by another one, and much by a hosting
provider. So a network of a class that is new to its profile has at least the bits of that class, which are those of a
new value among classes (``novelty``); every other network keeps its own. ``unknown`` is no class: it is never new.
"""

import numpy as np
import pandas as pd

from tokenkit.config import Workspace
from tokenkit.store import lake

FROM_FILES = ("hosting", "residential", "corporate", "mobile", "anonymiser")  # no other says that there was a file
CLASSES = (*FROM_FILES, "service", "private")


def read(workspace: Workspace) -> pd.Series | None:
    """The class of each network as a number from 1 on, 0 for unknown, by ``network_key``.

    None where no network has a class that only a file can tell (``networks.database``): then nothing is asked of
    classes, and all networks have the bits that they would have without them.
    """
    networks = lake.read(workspace.lake, "dim_network").to_pandas()
    named = networks.set_index("network_key")["network_class"]
    if not named.isin(FROM_FILES).any():
        return None
    return named.map({name: number for number, name in enumerate(CLASSES, 1)}).fillna(0).astype("int64")


def uses(of_networks: pd.DataFrame, classes: pd.Series) -> pd.DataFrame:
    """Profile x hour x class, from profile x hour x network (column ``value``); without unknown ones.

    Examples
    --------
    >>> used = pd.DataFrame({"profile_uid": "a", "hour_s": [0, 0, 0], "value": [7, 8, 9], "is_learned_from": True})
    >>> uses(used, pd.Series({7: 1, 8: 1, 9: 0})).values.tolist()
    [['a', 0, 1, True]]
    """
    named = of_networks.assign(value=_class_of(of_networks, classes))
    named = named[named["value"] > 0].drop(columns="requests", errors="ignore")
    return named.drop_duplicates(["profile_uid", "hour_s", "value"], ignore_index=True)


def at_least_class(graded: pd.DataFrame, of_classes: pd.DataFrame, classes: pd.Series) -> pd.DataFrame:
    """Networks graded by ``novelty``, with the bits of their class where that is new to the profile and has more.

    Parameters
    ----------
    graded, of_classes : as ``novelty`` returns networks, and classes
    classes : the class of each network (``read``)

    Examples
    --------
    >>> graded = pd.DataFrame({"profile_uid": "a", "day": 3, "value": [7, 8], "bits": [1.5, 1.5]})
    >>> of_classes = pd.DataFrame({"profile_uid": "a", "day": 3, "value": [1, 2], "bits": [6.0, 6.0],
    ...                            "hours_before": [0, 20]})
    >>> at_least_class(graded, of_classes, pd.Series({7: 1, 8: 2}))["bits"].tolist()  # of 8 the class is known
    [6.0, 1.5]
    """
    new = of_classes.loc[of_classes["hours_before"] == 0, ["profile_uid", "day", "value", "bits"]]
    asked = graded[["profile_uid", "day"]].assign(value=_class_of(graded, classes))
    bits = asked.merge(new, how="left", on=["profile_uid", "day", "value"])["bits"].to_numpy()
    return graded.assign(bits=np.fmax(graded["bits"].to_numpy(), bits))


def _class_of(rows: pd.DataFrame, classes: pd.Series) -> pd.Series:
    return rows["value"].map(classes).fillna(0).astype("int64")
