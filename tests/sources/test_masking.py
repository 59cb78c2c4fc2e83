"""Known secrets are found in whatever text is stored; ordinary text stays as it is."""

import random
import string
import time

import pyarrow as pa
import pytest

from tokenkit.sources.fields.masking import SECRETS, shown, tidy, tidy_text, without_query

_WORD = "".join(random.Random(1).choices(string.ascii_letters + string.digits, k=80))
_HEX = "0123456789abcdef" * 4
EXAMPLES = {
    "GitHub": [f"{p}_{_WORD[:36]}" for p in ("ghp", "gho", "ghu", "ghs", "ghr")]
    + [f"github_pat_{_WORD[:22]}_{_WORD[:59]}"],
    "GitLab": [f"glpat-{_WORD[:20]}", f"gldt-{_WORD[:20]}"],
    "AWS key id": ["AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE"],
    "AWS secret": [f"={_WORD[:38]}/+"],
    "Slack": [f"xoxb-123456789012-{_WORD[:24]}", f"xoxp-1-2-{_WORD[:20]}", f"xapp-1-A1-{_WORD[:30]}"],
    "Slack webhook": [f"services/T01234567/B01234567/{_WORD[:24]}"],
    "Stripe": [f"sk_live_{_WORD[:24]}", f"rk_test_{_WORD[:24]}", f"whsec_{_WORD[:32]}"],
    "Google": [f"AIza{_WORD[:35]}", f"ya29.{_WORD[:60]}", f"GOCSPX-{_WORD[:28]}"],
    "OpenAI, Anthropic": [f"sk-{_WORD[:48]}", f"sk-proj-{_WORD[:48]}", f"sk-ant-api03-{_WORD[:60]}"],
    "JWT": [f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{_WORD[:43]}", "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0."],
    "npm": [f"npm_{_WORD[:36]}"],
    "PyPI": [f"pypi-AgEIcHlwaS5vcmc{_WORD[:60]}"],
    "SendGrid": [f"SG.{_WORD[:22]}.{_WORD[:43]}"],
    "Twilio": [f"SK{_HEX[:32]}"],
    "Telegram": [f"bot123456789:{_WORD[:35]}"],
    "Vault": [f"hvs.{_WORD[:30]}"],
    "private key": ["-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----"],
    "bearer": [f"Bearer {_WORD[:30]}", f"bearer%20{_WORD[:30]}", f"BEARER  {_WORD[:10]}"],
    "basic": ["Basic dXNlcjpwYXNzd29yZDEyMw=="],
    "password in URL": [f"https://ana:{_WORD[:10]}@example.com"],
    "pair": [f"{n}={_WORD[:10]}" for n in ("key", "token", "password", "api_key", "client_secret", "access_token")]
    + [f"X-Api-Key: {_WORD[:12]}", f"passwd='{_WORD[:8]}'", f"token%3D{_WORD[:12]}"],
}


def test_every_format_of_the_table_has_an_example() -> None:
    assert set(EXAMPLES) == set(SECRETS)


@pytest.mark.parametrize("secret", [e for examples in EXAMPLES.values() for e in examples])
@pytest.mark.parametrize("around", ["{}", "/v1/{}/x", "tool/1.0 ({}; linux)", "äöü {} end"])
def test_a_known_secret_is_masked_wherever_it_stands(secret: str, around: str) -> None:
    text = around.format(secret)
    kept = tidy_text(text)
    assert "[masked]" in kept
    for length in (8, len(secret) // 2):  # neither end of it is left
        assert secret[-length:].strip("\"')") not in kept.replace("example.com", "")
    many = tidy(pa.array([f"/plain/{i}" for i in range(500)] + [text]))  # the way of RE2 finds the same
    assert many.to_pylist()[-1] == kept
    several = tidy(pa.array([f"/a/{i}?b={i}" for i in range(500)] + [text]))  # many hints, few secrets
    assert several.to_pylist()[-1] == kept


@pytest.mark.parametrize(
    "text",
    [
        "/v1/orders/17/items/8",
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/db-AbCdEf",
        "arn:aws:kms:us-east-1:123456789012:key/dad21b23-9915-42bd-981b-2a9f3c8f20c8",
        "arn:aws:ssm:us-east-1:123456789012:parameter/credentials/stratus-red-team/credentials-34",
        "APN/1.0 HashiCorp/1.0 Terraform/1.1.2 (+https://www.terraform.io) aws-sdk-go/1.44.157 (go1.19.3; linux)",
        "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:102.0) Gecko/20100101 Firefox/102.0",
        "s3://bucket/dt=2026-03-01/task-0001/disk-image-2026.qcow2",
        "aws-sdk-java/1.12.488 Linux/5.10 OpenJDK_64-Bit_Server_VM/25.372-b08 cfg/retry-mode/standard",
        "stratus-red-team_11a6ef34-e130-4579-a1d3-79c915cee6ec",
        "kubectl/v1.28.2 (linux/amd64) kubernetes/89a4ea3",
        "Basic auth client",
        "token service",
        "1f8b0800-5a3c-4b6e-9d2a-111122223333",
        "",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert tidy_text(text) == text
    assert tidy(pa.array([text])).to_pylist() == [text]
    assert tidy(pa.array([f"/plain/{i}" for i in range(500)] + [text])).to_pylist()[-1] == text


def test_an_address_in_a_text_loses_its_query() -> None:
    assert tidy_text("bot/1 (+https://example.com/a?session=1#x)") == "bot/1 (+https://example.com/a)"


@pytest.mark.parametrize("before", [990, 1010, 1020, 4080, 4090])
def test_a_secret_is_masked_before_a_long_text_is_cut(before: int) -> None:
    kept = tidy_text("x " * (before // 2) + "ghp_" + _WORD[:36] + " end" * 100, 5000)
    assert "ghp_" not in kept and len(kept) < 5000


def test_a_long_text_is_cut_and_two_stay_two() -> None:
    a, b = tidy_text("x" * 10_000 + "a"), tidy_text("x" * 10_000 + "b")
    assert len(a) <= 1024 and a != b


@pytest.mark.parametrize("part", ["http://", "://a:", "bearer ", "key:  ", "eyJ", "SG.", "sk-", "token_", "a/", "1-"])
def test_no_text_takes_long(part: str) -> None:
    text = part * (100_000 // len(part))
    start = time.process_time()
    tidy_text(text)
    without_query(text)
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize("path", ["%" * 500, "/%zz", "/%25%25%25%32%35", "://", ";", "/a%00b", "%ff%fe", "/" * 3000])
def test_odd_paths_are_no_trouble(path: str) -> None:
    assert "?" not in without_query(path)


def test_an_encoded_secret_in_a_path_is_seen() -> None:
    assert "[masked]" in tidy_text(without_query("/x/sk%5Flive%5F" + _WORD[:24]))


def test_of_a_raw_secret_only_the_prefix_is_shown() -> None:
    assert shown("ghp_" + _WORD[:36]) == "ghp_..."
    assert shown("eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.") == "eyJ..."
    assert shown("AKIAIOSFODNN7EXAMPLE") == "AKIA...MPLE"
    assert shown("arn:aws:iam::1:user/ana") == "user/ana"
