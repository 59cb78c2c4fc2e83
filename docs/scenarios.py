"""Scenarios: write the tables of docs/method/scenarios.md from the registry of the bench.

    python docs/scenarios.py

Reads  tokenkit.bench.scenarios. Writes the part of docs/method/scenarios.md between the two markers;
tests/docs/test_scenarios.py fails where the page and the registry differ.
"""

from pathlib import Path

from tokenkit.bench import scenarios
from tokenkit.bench.scenarios import Scenario

PAGE = Path(__file__).resolve().parent / "method" / "scenarios.md"
BEGIN, END = "<!-- written by docs/scenarios.py -->", "<!-- end of what is written -->"

TECHNIQUES = {
    "T1020": "Automated Exfiltration",
    "T1029": "Scheduled Transfer",
    "T1030": "Data Transfer Size Limits",
    "T1059.009": "Command and Scripting Interpreter: Cloud API",
    "T1069.003": "Permission Groups Discovery: Cloud Groups",
    "T1070": "Indicator Removal",
    "T1078.004": "Valid Accounts: Cloud Accounts",
    "T1087.004": "Account Discovery: Cloud Account",
    "T1090": "Proxy",
    "T1090.003": "Proxy: Multi-hop Proxy",
    "T1098.001": "Account Manipulation: Additional Cloud Credentials",
    "T1098.003": "Account Manipulation: Additional Cloud Roles",
    "T1110.004": "Brute Force: Credential Stuffing",
    "T1119": "Automated Collection",
    "T1136.003": "Create Account: Cloud Account",
    "T1195.002": "Supply Chain Compromise: Compromise Software Supply Chain",
    "T1199": "Trusted Relationship",
    "T1213": "Data from Information Repositories",
    "T1485": "Data Destruction",
    "T1486": "Data Encrypted for Impact",
    "T1496": "Resource Hijacking",
    "T1496.004": "Resource Hijacking: Cloud Service Hijacking",
    "T1526": "Cloud Service Discovery",
    "T1528": "Steal Application Access Token",
    "T1530": "Data from Cloud Storage",
    "T1550.001": "Use Alternate Authentication Material: Application Access Token",
    "T1552.001": "Unsecured Credentials: Credentials In Files",
    "T1552.005": "Unsecured Credentials: Cloud Instance Metadata API",
    "T1555.006": "Credentials from Password Stores: Cloud Secrets Management Stores",
    "T1562.008": "Impair Defenses: Disable or Modify Cloud Logs",
    "T1567": "Exfiltration Over Web Service",
    "T1580": "Cloud Infrastructure Discovery",
    "T1619": "Cloud Storage Object Discovery",
    "AML.T0020": "Poison Training Data (MITRE ATLAS)",
    "OWASP API1": "Broken Object Level Authorization (OWASP API Security Top 10, 2023)",
    "OWASP API5": "Broken Function Level Authorization (OWASP API Security Top 10, 2023)",
}


def tables() -> str:
    """Return the three tables: attacks, benign changes, and the techniques that the attacks are examples of."""
    attacks, benign = scenarios.ATTACKS.values(), scenarios.BENIGN_CHANGES.values()
    used = {technique for one in attacks for technique in one.attack_ids}
    unchecked = {technique for one in attacks for technique in one.unchecked}
    rows = [
        f"## {len(attacks)} attacks", "",
        "| # | id | what happens | intensities | lasts | techniques | reasons that should show it |",
        "|---|---|---|---|---|---|---|",
        *(f"{start(one)} | {', '.join(one.attack_ids)} | {', '.join(f'`{part}`' for part in one.shown_by)} |"
          for one in attacks), "",
        f"## {len(benign)} benign changes", "",
        "| # | id | what happens | intensities | lasts |",
        "|---|---|---|---|---|",
        *(f"{start(one)} |" for one in benign), "",
        "## Techniques", "",
        "| id | name |",
        "|---|---|",
        *(f"| {technique}{' *' if technique in unchecked else ''} | {name} |"
          for technique, name in TECHNIQUES.items() if technique in used),
    ]  # fmt: skip
    if missing := used - set(TECHNIQUES):
        raise KeyError(f"docs/scenarios.py has no name for {', '.join(sorted(missing))}")
    return "\n".join(rows) + "\n"


def start(one: Scenario) -> str:
    """Return the columns that both tables have."""
    values = ", ".join(f"{value:g}" for value in one.intensities)
    return f"| {one.number} | `{one.id}` | **{one.title}.** {one.what} | {values} {one.unit} | {duration(one.days)}"


def duration(days: float | None) -> str:
    """Return for how long a scenario changes events, at most.

    Examples
    --------
    >>> duration(None), duration(34), duration(1), duration(4 / 24), duration(10 / 1440)
    ('to the end', '34 days', '1 day', '4 hours', '10 minutes')
    """
    if days is None:
        return "to the end"
    for length, unit in ((1, "day"), (1 / 24, "hour"), (1 / 1440, "minute")):
        if days >= length:
            return f"{days / length:g} {unit}{'s' if days / length != 1 else ''}"
    raise ValueError(f"days={days}: a scenario lasts a minute at least")


def page_with(text: str) -> str:
    """Return the page with these tables between its markers."""
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    return f"{before}{BEGIN}\n\n{text}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(page_with(tables()), "utf-8")
