"""Who owns which token, and at what time."""

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from tokenkit import identity, schema
from tokenkit.errors import InventoryError
from tokenkit.tokens import inventory

KEY = b"k" * 32
NOW = datetime(2026, 3, 15, tzinfo=UTC)


@pytest.fixture
def load(tmp_path: Path):
    def of(text: str | bytes, realm: str = "default") -> tuple[pd.DataFrame, list[str]]:
        path = tmp_path / "inventory.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        table, notes = inventory.load(path, KEY, realm)
        assert table.schema.equals(schema.TOKENS.arrow)
        return table.to_pandas(), notes

    return of


def uid(native: str, issuer: str = "gateway:default") -> str:
    return identity.token_uid(KEY, issuer, native)


def test_only_the_id_is_required(load) -> None:
    tokens, notes = load("native_id\nkey_0123456789ab\n")
    row = tokens.iloc[0]
    assert (row["token_uid"], row["token_key"]) == (uid("key_0123456789ab"), identity.int_key(uid("key_0123456789ab")))
    assert (row["mask"], row["issuer"], row["owner_status"]) == ("key_...89ab", "gateway:default", "unowned")
    assert notes == ["issuer not given, taken for gateway:default by the shape of the id (line 2)"]


def test_common_spellings_are_accepted_and_reported(load) -> None:
    tokens, notes = load(
        "Access Key ID;Owner;E-Mail;Label;Colour\nAKIAIOSFODNN7EXAMPLE;Ana;ana@example.com;deploy;blue\n"
    )
    row = tokens.iloc[0]
    assert (row["owner_name"], row["owner_email"], row["label"]) == ("Ana", "ana@example.com", "deploy")
    assert row["token_uid"] == uid("AKIAIOSFODNN7EXAMPLE", "aws")
    assert {
        "column Access Key ID read as native_id",
        "column Owner read as owner_name",
        "column E-Mail read as owner_email",
        "columns not read: Colour",
    } <= set(notes)


@pytest.mark.parametrize(
    ("source", "native", "issuer"),
    [
        ("aws", "x", "aws"),
        ("CloudTrail", "x", "aws"),
        ("nginx", "x", "gateway:eu"),
        ("gateway", "AKIAIOSFODNN7EXAMPLE", "gateway:eu"),
        ("gateway:us", "x", "gateway:us"),
        ("github", "x", "github"),
        ("", "AKIAIOSFODNN7EXAMPLE", "aws"),
        ("", "arn:aws:iam::111122223333:role/deploy", "aws"),
        ("", "anything", "gateway:eu"),
    ],
)
def test_the_issuer_is_given_or_taken_from_the_shape_of_the_id(load, source: str, native: str, issuer: str) -> None:
    tokens, notes = load(f"source,native_id\n{source},{native}\n", realm="eu")
    assert tokens["token_uid"][0] == uid(native, issuer) and tokens["issuer"][0] == issuer
    assert bool(notes) == (not source)


@pytest.mark.parametrize(
    ("owner", "status", "expected"),
    [
        ("ana", "active", "owned"),
        ("ana", "", "owned"),
        ("ana", "left", "orphaned"),
        ("ana", "Disabled", "orphaned"),
        ("", "active", "unowned"),
        ("n/a", "", "unowned"),
    ],
)
def test_an_owner_is_there_or_left_or_missing(load, owner: str, status: str, expected: str) -> None:
    tokens, _ = load(f"native_id,source,owner,owner_status\nk,gateway,{owner},{status}\n")
    assert tokens["owner_status"][0] == expected
    assert pd.isna(tokens["owner_uid"][0]) == (expected == "unowned")


def test_odd_values_are_reported_once_with_their_lines(load) -> None:
    lines = "".join(f"k{i},gateway,ana,maybe,Mars/Olympus\n" for i in range(7))
    tokens, notes = load(
        f"native_id,source,owner_uid,owner_status,owner_timezone\n{lines}k9,gateway,ana,,Europe/Berlin\n"
    )
    assert tokens["owner_timezone"].tolist()[-1] == "Europe/Berlin" and tokens["owner_timezone"][:7].isna().all()
    assert len(notes) == 2 and all("(lines 2, 3, 4, 5, 6, ...)" in note for note in notes)


def test_times_are_utc(load) -> None:
    tokens, _ = load(
        "native_id,source,created,expires,valid_from\n"
        "a,gateway,2026-03-01,2026-03-02T01:00:00+02:00,2026-03-01 12:00:00\n"
        "b,gateway,N/A,9999-12-31,\n"
    )
    assert tokens["created_time"][0] == pd.Timestamp("2026-03-01", tz="UTC")
    assert tokens["expires_time"][0] == pd.Timestamp("2026-03-01 23:00", tz="UTC")
    assert tokens["valid_from"][0] == pd.Timestamp("2026-03-01 12:00", tz="UTC")
    assert tokens.loc[1, ["created_time", "expires_time", "valid_from"]].isna().all()


def test_a_raw_secret_is_taken_but_only_its_prefix_is_shown(load) -> None:
    secret = "ghp_0123456789abcdefghij0123456789abcdef"
    tokens, notes = load(f"native_id,source,label,purpose\n{secret},github,token {secret},use {secret}\n")
    assert tokens["token_uid"][0] == uid(secret, "github") and tokens["mask"][0] == "ghp_..."
    assert secret not in tokens.to_csv() + "".join(notes)


def test_a_native_id_is_stored_nowhere_but_as_its_mask(load) -> None:
    native = "AKIAIOSFODNN7EXAMPLE"
    tokens, _ = load(f"native_id,source,label,rotated_from\n{native},aws,key {native},AKIAIOSFODNN7EXAMPLF\n")
    assert tokens["label"][0] == "key AKIA...MPLE"
    assert native not in tokens.to_csv() and "AKIAIOSFODNN7EXAMPLF" not in tokens.to_csv()


def test_markup_and_formulas_in_names_stay_text(load) -> None:
    name = "=HYPERLINK(A1) <img src=x onerror=alert(1)>"
    tokens, _ = load(f'native_id,source,owner\nk,gateway,"{name}"\n')
    assert tokens["owner_name"][0] == name


def test_a_file_of_a_header_alone_is_an_empty_inventory(load) -> None:
    tokens, _ = load("native_id,owner\n")
    assert len(tokens) == 0
    assert len(inventory.as_of(tokens, NOW)) == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the file is empty"),
        ("\n \n", "the file is empty"),
        (",,\n", "no line with a value"),
        (
            "owner,team\nana,x\n",
            r"line 1: no column for the token's id, expected native_id .*found owner, team.*Rename",
        ),
        (b"native_id,owner\nk1,J\xfcrgen\n", "line 2: not UTF-8"),
        (b"native_id\x00\x00", "not a text file"),
        (b"PK\x03\x04\x00\x00", "an Excel workbook"),
        ('native_id,owner\nk1,"ana\nk2,raj\n', "not CSV"),
        ("native_id,owner\nk1,ana,more\n", "line 2: expected 2 values, found 3"),
        ("native_id,owner\n,ana\n", "line 2: no id of a token"),
        ("native_id,created\nk1,yesterday\n", "line 2: created_time is 'yesterday', expected a time such as"),
        ("native_id,valid_from,valid_to\nk1,2026-02-01,2026-01-01\n", "line 2: valid_to is not after valid_from"),
    ],
)
def test_a_file_that_cannot_be_used_says_where_what_and_how_to_mend_it(load, text: str | bytes, says: str) -> None:
    with pytest.raises(InventoryError, match=says):
        load(text)


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match=r"nowhere\.csv: cannot be read"):
        inventory.load(tmp_path / "nowhere.csv", KEY, "default")


def test_a_file_without_a_header_does_not_put_its_data_into_the_error(load) -> None:
    with pytest.raises(InventoryError) as error:
        load("ghp_0123456789abcdefghij,4711-secret\n")
    assert "0123456789" not in str(error.value) and "4711" not in str(error.value)


def test_two_owners_at_one_time_are_an_error_that_names_both(load, tmp_path: Path) -> None:
    with pytest.raises(InventoryError) as error:
        load(
            "native_id,source,label,owner,valid_from,valid_to\n"
            "k1,gateway,ci-deploy,ana,2026-01-01,\n"
            "k2,gateway,other,raj,2026-01-01,\n"
            "k1,gateway,ci-deploy,raj,2026-03-02,\n"
        )
    assert str(error.value) == (
        f"{tmp_path / 'inventory.csv'}, line 4: token 'ci-deploy' has two owners at 2026-03-02 (ana, raj).\n"
        "A token has one owner at a time: end the first row with valid_to, or remove one."
    )


def test_an_owner_may_follow_another_and_the_row_true_at_a_time_is_found(load) -> None:
    tokens, _ = load(
        "native_id,source,owner,valid_from,valid_to\n"
        "k1,gateway,ana,,2026-03-02\n"
        "k1,gateway,raj,2026-03-02,\n"
        "k2,gateway,ana,2026-04-01,\n"
    )
    before = inventory.as_of(tokens, datetime(2026, 3, 1, 23, 59, tzinfo=UTC))
    after = inventory.as_of(pa.Table.from_pandas(tokens, schema=schema.TOKENS.arrow), datetime(2026, 3, 2))
    assert before["owner_name"].tolist() == ["ana"] and after["owner_name"].tolist() == ["raj"]
    assert before["owner_status"].tolist() == after["owner_status"].tolist() == ["owned"]


def test_a_token_with_two_rows_that_are_true_is_ambiguous(load) -> None:
    tokens, _ = load("native_id,source,owner,team\nk1,gateway,ana,a\nk1,gateway,ana,b\nk2,gateway,ana,a\n")
    now = inventory.as_of(tokens, NOW).set_index("token_uid")
    assert now["owner_status"].to_dict() == {uid("k1"): "ambiguous", uid("k2"): "owned"}


def test_no_inventory_is_an_inventory_of_no_one() -> None:
    assert len(inventory.as_of(schema.empty("tokens"), NOW)) == 0


# ---- lists as systems and spreadsheets export them ----
REPORT = """user,arn,user_creation_time,password_enabled,password_last_used,access_key_1_active,access_key_1_rotated
<root_account>,arn:aws:iam::111122223333:root,2020-01-01T00:00:00+00:00,not_supported,no_information,false,N/A
deploy,arn:aws:iam::111122223333:user/deploy,2024-01-01T00:00:00+00:00,false,N/A,true,2025-06-01T00:00:00+00:00
"""


def test_the_credential_report_of_aws_is_a_list_of_users(load) -> None:
    tokens, notes = load(REPORT)
    assert tokens["token_uid"].tolist() == [
        uid(f"arn:aws:iam::111122223333:{w}", "aws") for w in ("root", "user/deploy")
    ]
    assert tokens["owner_name"].tolist() == ["<root_account>", "deploy"]
    assert tokens["created_time"].tolist() == [pd.Timestamp(f"{y}-01-01", tz="UTC") for y in (2020, 2024)]
    assert "column arn read as native_id" in notes


@pytest.mark.parametrize(
    ("text", "native", "issuer", "expected"),
    [
        (
            "UserName,AccessKeyId,Status,CreateDate\ndeploy,AKIAEXAMPLEDEPLOY001,Inactive,2024-01-01T00:00:00+00:00\n",
            "AKIAEXAMPLEDEPLOY001", "aws",
            {"owner_name": "deploy", "owner_status": "owned", "created_time": "2024-01-01"},
        ),
        (
            "token_id,token_name,owner,repository,permissions,expires_at\n"
            "4711001,ci,ana,acme/api,contents=read,No expiration\n",
            "4711001", "gateway:default", {"label": "ci", "owner_name": "ana", "expires_time": None},
        ),
        (
            "id,name,userId,clientName,created,expiresAt,lastUpdated\n"
            "00TabcdefGHIJ,ci token,00uANA,Okta API,2024-01-01T00:00:00.000Z,2026-12-01T00:00:00.000Z,"
            "2026-03-01T00:00:00Z\n",
            "00TabcdefGHIJ", "gateway:default",
            {"label": "ci token", "owner_status": "owned", "expires_time": "2026-12-01", "created_time": "2024-01-01"},
        ),
        (
            "accessor,display_name,entity_id,policies,creation_time,expire_time\nacc-0123456789ab,approle,ent-1,default,"
            "1704067200,2026-12-01T00:00:00.123456789Z\n",
            "acc-0123456789ab", "gateway:default",
            {"label": "approle", "created_time": "2024-01-01", "scopes": "default"},
        ),
        (
            "NAMESPACE,NAME,UID,CREATIONTIMESTAMP\nshop,ci,0b5e4f9e-1111-4222-8333-444455556666,2024-01-01T00:00:00Z\n",
            "0b5e4f9e-1111-4222-8333-444455556666", "gateway:default", {"label": "ci"},
        ),
    ],
)  # fmt: skip
def test_lists_are_read_as_they_are_exported(load, text: str, native: str, issuer: str, expected: dict) -> None:
    tokens, _ = load(text)
    row = tokens.iloc[0]
    assert row["token_uid"] == uid(native, issuer)
    for column, value in expected.items():
        if column.endswith("_time"):
            assert pd.isna(row[column]) if value is None else row[column].strftime("%Y-%m-%d") == value
        else:
            assert row[column] == value


def test_a_key_that_is_not_in_use_keeps_its_owner_and_is_noted(load) -> None:
    _, notes = load("UserName,AccessKeyId,Status\nana,AKIAEXAMPLEDEPLOY001,Active\nraj,AKIAEXAMPLEDEPLOY002,Inactive\n")
    assert any("said not to be in use" in note and note.endswith("(line 3)") for note in notes)
    assert not any("columns not read" in note for note in notes)


@pytest.mark.parametrize(
    "words", ["No expiration", "never expires", "Never", "no expiry", "does not expire", "N/A", "<none>", "unlimited",
              "0", "0001-01-01T00:00:00Z", "nan", "no_information", "NaT"]
)  # fmt: skip
def test_a_token_that_never_expires_has_no_time_of_expiry(load, words: str) -> None:
    tokens, _ = load(f"native_id,source,owner,expires_at\nk,gateway,ana,{words}\n")
    assert pd.isna(tokens["expires_time"][0])


@pytest.mark.parametrize(
    "text", ["2026-03-01 10:20:30 UTC", "2026-03-01 05:20:30 -0500", "2026-03-01 10:20:30 +0000 UTC", "1772360430",
             "1772360430000", "2026-03-01T10:20:30.000000000Z"]
)  # fmt: skip
def test_times_are_read_as_systems_write_them(load, text: str) -> None:
    tokens, _ = load(f"native_id,source,expires\nk,gateway,{text}\n")
    assert tokens["expires_time"][0] == pd.Timestamp("2026-03-01 10:20:30", tz="UTC")


@pytest.mark.parametrize(
    "first", ["sep=;\n", "SEP=;\r\n", '"sep=;"\n', "\ufeffsep=;\n", "Export of 2026-03-01, all\n\n"]
)
def test_lines_above_the_header_are_left_out(load, first: str) -> None:
    tokens, notes = load(f"{first}native_id;source;owner\nkey_0123456789ab;gateway;Ana, B.\n".encode())
    assert tokens["owner_name"].tolist() == ["Ana, B."]
    assert any("above them was left out" in note for note in notes)


def test_a_line_below_them_is_named_by_its_number_in_the_file(load) -> None:
    with pytest.raises(InventoryError, match="line 4: no id of a token"):
        load("sep=;\nnative_id;owner\nk1;ana\n;raj\n")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_unicode_text_of_a_spreadsheet_is_read(load, encoding: str) -> None:
    tokens, _ = load("native_id\tsource\towner\nk1\tgateway\tJürgen\n".encode(encoding))
    assert tokens["owner_name"].tolist() == ["Jürgen"]


@pytest.mark.parametrize("cell", ['"=""key_0123456789ab"""', '="key_0123456789ab"', "'key_0123456789ab"])
def test_an_id_that_a_spreadsheet_kept_as_text_is_unwrapped(load, cell: str) -> None:
    tokens, _ = load(f"native_id,source,owner\n{cell},gateway,'t Hart\n")
    assert tokens["token_uid"][0] == uid("key_0123456789ab") and tokens["owner_name"][0] == "'t Hart"


@pytest.mark.parametrize("number", ["1.23E+19", '"1,23457E+19"', "4.711E+05", "1E+20"])
@pytest.mark.parametrize("column", ["native_id", "rotated_from"])
def test_an_id_that_a_spreadsheet_shortened_is_refused_with_the_remedy(load, number: str, column: str) -> None:
    cells = {"native_id": "k1", "rotated_from": "k0"} | {column: number}
    with pytest.raises(InventoryError, match=f"line 2: {column} is .*its last digits are lost.*formatted as text"):
        load(f"native_id,source,rotated_from\n{cells['native_id']},shop,{cells['rotated_from']}\n")


def test_a_row_a_scope_is_one_token_with_one_owner(load) -> None:
    tokens, notes = load(
        "native_id,source,owner,team,scopes,networks\nk1,gateway,Ana Example,Shop,orders:read,10.0.0.0/8\n"
        "k2,gateway,Raj,Shop,all,\nk1,gateway,ana  example,Shop,customers:read,192.0.2.0/24\n"
    )
    assert tokens["token_uid"].tolist() == [uid("k1"), uid("k2")]
    assert tokens["scopes"].tolist() == ["orders:read customers:read", "all"]
    assert tokens["networks"][0] == "10.0.0.0/8 192.0.2.0/24"
    assert inventory.as_of(tokens, NOW)["owner_status"].tolist() == ["owned", "owned"]
    assert "rows about one token and one owner, read as one (lines 2, 4)" in notes


def test_the_same_owner_twice_is_not_two_owners(load) -> None:
    tokens, _ = load(
        "native_id,source,owner,label,valid_from\nk1,gateway,ana,a,2026-01-01\nk1,gateway,ana,b,2026-02-01\n"
    )
    now = inventory.as_of(tokens, NOW)
    assert now["owner_status"].tolist() == ["owned"] and now["label"].tolist() == ["b"]


def test_the_same_owner_in_other_letters_is_one_and_not_ambiguous(load) -> None:
    tokens, _ = load("native_id,owner_name,purpose\nkey_0123456789ab,Ana Ruiz,a\nkey_0123456789ab,ana ruiz,b\n")
    found = inventory.as_of(tokens, NOW)
    assert found["owner_status"].tolist() == ["owned"]


def test_a_line_of_data_is_no_header_and_is_shown_nowhere(load) -> None:
    with pytest.raises(InventoryError, match="no column for the token's id") as caught:
        load("Zugang,Art,Wer\nk1234567,x,Ana\nk7654321,token,Bob\nk7654329,z,Cid\n")
    assert "k7654321" not in str(caught.value)


def test_a_name_of_a_column_that_may_be_an_id_is_not_noted(load) -> None:
    _, notes = load("native_id,k7654321,access_key_1_active,Kostenstelle\nkey_0123456789ab,x,y,z\n")
    (note,) = [note for note in notes if note.startswith("columns not read")]
    assert note == "columns not read: (no name), access_key_1_active, Kostenstelle"


def test_what_protects_a_token_is_yes_no_or_nothing(load) -> None:
    tokens, _ = load("native_id,source,Break Glass,allow_auto,Reversible\nkey_1,x,YES,no,\nkey_2,x,,,0\n")
    assert tokens[["break_glass", "allow_auto", "reversible"]].values.tolist() == [
        [True, False, None],
        [None, None, False],
    ]
    with pytest.raises(InventoryError, match="line 2: break_glass is 'maybe', expected yes or no, or nothing"):
        load("native_id,source,break_glass\nkey_1,x,maybe\n")
