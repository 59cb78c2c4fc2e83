"""Keyed ids: the key is kept for its owner only, and a lost one costs nothing but the run."""

import os
import stat
from pathlib import Path

import pyarrow as pa
import pytest
import raw_logs
from hypothesis import given
from hypothesis import strategies as st

from tokenkit import identity
from tokenkit.config import Workspace
from tokenkit.errors import IdentityError
from tokenkit.ingest import open_key
from tokenkit.store import state

OTHER = "ab" * 32


@pytest.fixture
def filled(tmp_path: Path) -> Workspace:
    place = raw_logs.workspace(tmp_path / "w")
    raw_logs.read(place, raw_logs.write(tmp_path / "a.log", [raw_logs.nginx("r1")]))
    return place


def everything_in(place: Workspace) -> dict[str, bytes]:
    return {
        str(p.relative_to(place.root)): p.read_bytes()
        for p in sorted(place.root.rglob("*"))
        if p.is_file() and not p.name.startswith("state.db-")
    }


def test_the_key_is_readable_by_its_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        identity.create_key(tmp_path / ".tokenkit" / "key")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / ".tokenkit" / "key").stat().st_mode) == 0o600


def test_a_key_that_is_there_is_kept(tmp_path: Path) -> None:
    assert identity.create_key(tmp_path / "key") == identity.create_key(tmp_path / "key")
    assert identity.create_key(tmp_path / "key") != identity.create_key(tmp_path / "another")


def test_a_key_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for name in ("write", "fdopen"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(os, name, killed)
            identity.create_key(tmp_path / name / "key")
            killed()
        assert len(identity.create_key(tmp_path / name / "key")) == identity.KEY_BYTES


def test_a_lost_key_is_refused_with_what_to_do_and_nothing_changes(filled: Workspace, tmp_path: Path) -> None:
    filled.key.unlink()
    before = everything_in(filled)
    with pytest.raises(
        IdentityError, match=r"key is missing.*Restore the file from a backup, or start anew: tokenkit init"
    ):
        raw_logs.read(filled, raw_logs.write(tmp_path / "b.log", [raw_logs.nginx("r2")]))
    assert everything_in(filled) == before
    assert not filled.key.exists()


def test_another_key_is_refused_with_what_to_do_and_nothing_changes(filled: Workspace, tmp_path: Path) -> None:
    kept = filled.key.read_text()
    filled.key.write_text(OTHER)
    before = everything_in(filled)
    with pytest.raises(IdentityError, match=r"another key.*Restore the former key, or start anew"):
        raw_logs.read(filled, raw_logs.write(tmp_path / "b.log", [raw_logs.nginx("r2")]))
    assert everything_in(filled) == before
    filled.key.write_text(kept)
    assert raw_logs.read(filled, tmp_path / "b.log").stored == 1


def test_a_lost_key_is_refused_though_the_state_is_lost_as_well(filled: Workspace) -> None:
    filled.key.unlink()
    for path in filled.root.glob("state.db*"):
        path.unlink()
    with state.connect(filled.state) as db, pytest.raises(IdentityError, match="key is missing"):
        open_key(filled, db)
    assert not filled.key.exists()


@pytest.mark.parametrize("content", ["", "abc", "g" * 64, OTHER + "00", "\x00" * 64])
def test_what_is_no_key_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "key").write_text(content)
    with pytest.raises(IdentityError, match=r"expected 64 hex digits.*Restore it"):
        identity.load_key(tmp_path / "key")


def test_the_same_token_has_the_same_id_under_one_key_and_issuer_only() -> None:
    ids = {
        identity.token_uid(key, issuer, native)
        for key in (b"a", b"b")
        for issuer in ("aws", "gateway:default")
        for native in ("x", "y")
    }
    assert len(ids) == 8 and all(len(uid) == 29 and uid.startswith("tok1_") for uid in ids)
    assert identity.owner_uid(b"a", "x") not in ids


@given(st.lists(st.one_of(st.none(), st.text(max_size=8)), max_size=30))
def test_twins_of_a_column_are_the_twins_of_its_values(values: list[str | None]) -> None:
    values = [v if v is None else v.encode("utf-8", "replace").decode() for v in values]
    expected = [identity.value_key("network", v) if v else 0 for v in values]
    column = pa.array(values, pa.string())
    assert identity.value_keys("network", column).to_pylist() == expected
    assert identity.value_keys("network", pa.chunked_array([column, column])).to_pylist() == expected * 2
    assert all(0 <= n < 2**63 for n in expected)


def test_two_values_with_one_twin_are_refused_by_name() -> None:
    with pytest.raises(IdentityError, match="dim_network: 'a' and 'b' have the same key 1"):
        identity.check_keys([(1, "a"), (2, "b"), (1, "a"), (1, "b")], "dim_network")


@given(st.text(max_size=60).filter(lambda t: not t.startswith("arn:")))
def test_a_mask_never_shows_more_than_eight_characters_of_a_key_and_never_all(native: str) -> None:
    shown = identity.mask(native)
    assert len(shown) <= 8 + 3
    assert shown == native[:1] + "..." or shown == f"{native[:4]}...{native[-4:]}"
    assert len(native) < 2 or len(shown) - 3 < len(native)


def test_ids_never_change_from_one_version_to_the_next() -> None:
    """Each lake is full of them: what another version computed for the same value would be another token."""
    assert identity.key_check(b"k") == "cdc1d6bb13cb1bfe"
    assert identity.token_uid(b"k", "aws", "AKIAEXAMPLE") == "tok1_53f8de04aeb641c85dfd5ef5"
    assert identity.owner_uid(b"k", "ana@example.com") == "own1_c196878b57b3e3da49e5ca30"
    assert identity.int_key("tok1_53f8de04aeb641c85dfd5ef5") == int("53f8de04aeb641c8", 16) >> 1
    assert identity.value_key("network", "192.0.2.0/24") == 9137950562562332663
    assert identity.value_key("client", "ü") == 3511919375103231590
    assert identity.value_key("operation", "\ud800") == 8866303739866625711, (
        "half a surrogate pair, as a hostile log has it"
    )


def test_a_new_key_has_256_random_bits_whatever_folders_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "several" / "folders" / "key"
    key = identity.create_key(path)
    assert len(key) == 32 and identity.load_key(path) == key
    assert [p.name for p in path.parent.iterdir()] == ["key"], "nothing but the key is left beside it"


def test_a_key_that_another_process_made_meanwhile_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"
    link = os.link

    def late(source: str, target: Path) -> None:
        target.write_text(OTHER)  # the other process was faster
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    assert identity.create_key(path) == bytes.fromhex(OTHER)
    assert [p.name for p in tmp_path.iterdir()] == ["key"]


def test_the_key_is_written_beside_its_place_so_that_it_can_be_linked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A temporary folder may lie on another file system, where no link can be made."""
    folders = []
    link = os.link

    def noted(source: str, target: Path) -> None:
        folders.append(Path(source).parent)
        link(source, target)

    monkeypatch.setattr(os, "link", noted)
    identity.create_key(tmp_path / "key")
    assert folders == [tmp_path]


def test_bytes_that_are_no_text_are_no_key(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xff" * 64)
    with pytest.raises(IdentityError, match="expected 64 hex digits"):
        identity.load_key(tmp_path / "key")
    (tmp_path / "key").write_text("X" * 64)
    with pytest.raises(IdentityError, match="expected 64 hex digits"):
        identity.load_key(tmp_path / "key")


def test_twins_are_integers_though_a_column_is_empty() -> None:
    keys = identity.value_keys("network", pa.array([], pa.string()))
    assert keys.type == pa.int64() and len(keys) == 0


def test_a_mask_shows_four_characters_at_each_end_from_twelve_on() -> None:
    assert identity.mask("abcdefghijk") == "a..."
    assert identity.mask("abcdefghijkl") == "abcd...ijkl"
    assert identity.mask("arn:aws:sts::111122223333:assumed-role/job/run:7") == "7"


@given(st.lists(st.one_of(st.none(), st.text(st.characters(codec="utf-8"), max_size=8)), max_size=20))
def test_the_keys_of_a_column_are_those_of_its_values(values: list[str | None]) -> None:
    keys = identity.value_keys("event", pa.array(values, pa.string())).to_pylist()
    assert keys == [identity.value_key("event", value) if value else 0 for value in values]
