"""The list of owners beside the logs: does it speak of their tokens at all?"""

import re
from pathlib import Path

import pytest
import raw_logs

from tokenkit.store import state
from tokenkit.tokens.load import load_inventory, unmatched_list

NATIVE = "key_0123456789ab"


@pytest.mark.parametrize(
    ("listed", "says"),
    [
        (f"native_id,source\n{NATIVE},gateway\nother,gateway\n", None),
        ("native_id,source\narn:aws:iam::111122223333:user/ana,aws\n", None),
        ("native_id,source\n", None),
        (f"native_id,source\n{NATIVE.upper()},gateway\n", "the only id of the list does not occur.*same capitals"),
        (
            f"native_id,source\n{NATIVE},shop\nk2,shop\n",
            r"none of the 2 ids .* \(aws, gateway:default in the logs; shop",
        ),
    ],
)
def test_a_list_of_which_no_id_occurs_says_so(tmp_path: Path, listed: str, says: str | None) -> None:
    place = raw_logs.workspace(tmp_path / "w")
    (tmp_path / "tokens.csv").write_text(listed)
    load_inventory(place, tmp_path / "tokens.csv")
    assert unmatched_list(place) is None, "there is no log yet"
    lines = [raw_logs.nginx("r1", api_key_id=NATIVE)]
    raw_logs.read(place, raw_logs.write(tmp_path / "a.log", lines))
    raw_logs.read(place, raw_logs.write(tmp_path / "b.json", [raw_logs.cloudtrail("e1")]))
    if says is None:
        assert unmatched_list(place) is None
    else:
        text = unmatched_list(place)
        assert text is not None and re.match(f"tokens.csv: .*{says}", text)
        assert NATIVE not in text
        with state.connect(place.state) as db:
            assert state.get_meta(db, "inventory_name") == "tokens.csv"
