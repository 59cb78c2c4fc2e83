"""Config: the settings (tokenkit.toml), and the workspace: the folder that holds settings, key and tables.

A workspace is a folder with ``tokenkit.toml``, ``lake/``, ``state.db`` and ``.tokenkit/key``. It is found upward from
the current folder, as git finds a repository, by the command line and by notebooks alike.
Environment variables (``TOKENKIT_WORKSPACE``, ``TOKENKIT_DETECTION__BUDGET``, ...) are read here and nowhere else.
"""

import hashlib
import json
import os
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from tokenkit.config.sections import (
    CHANNELS,
    DETECTORS_GROUP,
    PANEL,
    Detection,
    Engine,
    Gateway,
    HAProxy,
    History,
    Ingest,
    Networks,
    Report,
    Respond,
    Retention,
    known_zone,
    unknown_zone,
    with_default_shares,
)
from tokenkit.errors import ConfigError, InputError, did_you_mean

__all__ = [
    "CHANNELS",
    "DETECTORS_GROUP",
    "FILE_NAME",
    "PANEL",
    "Detection",
    "Engine",
    "Gateway",
    "HAProxy",
    "History",
    "Ingest",
    "Networks",
    "Report",
    "Respond",
    "Retention",
    "Settings",
    "Workspace",
    "code_digest",
    "describe",
    "digest",
    "find",
    "init",
    "known_zone",
    "load_settings",
    "s3_options",
    "unknown_zone",
    "with_default_shares",
    "workspace_at",
]

FILE_NAME = "tokenkit.toml"


class Settings(BaseSettings):
    """All settings with their defaults."""

    model_config = SettingsConfigDict(extra="forbid", env_prefix="TOKENKIT_", env_nested_delimiter="__")

    name: str = Field(default="", description="the organisation's name, shown on top of the page")
    inventory: str = Field(default="", description="the list of owners (CSV or JSON), relative to the workspace")
    lake: str = Field(
        default="",
        description="s3://BUCKET/PREFIX of the tables, where they are not to be in the folder lake/ (docs/lake.md)",
    )
    events: list[str] = Field(default=[], description="[SOURCE=]PATH of the logs, relative to the workspace")
    gateway: Gateway = Gateway()
    networks: Networks = Networks()
    ingest: Ingest = Ingest()
    retention: Retention = Retention()
    history: History = History()
    detection: Detection = Detection()
    report: Report = Report()
    respond: Respond = Respond()
    engine: Engine = Engine()

    @model_validator(mode="before")
    @classmethod
    def _beside_default_shares(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Let the file and the environment name some channels' shares, and not all."""
        section = values.get("detection")
        if not isinstance(section, dict):
            return values
        named = section.get("shares")
        if not isinstance(named, dict) or not all(type(share) in (int, float) for share in named.values()):
            return values
        return values | {"detection": {**section, "shares": with_default_shares(named)}}

    @field_validator("lake")
    @classmethod
    def _known_storage(cls, address: str) -> str:
        if address and not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[\w./=+@-]*\w", address):
            raise ValueError(
                "expected s3://BUCKET/PREFIX in letters, digits and ._=+@-, such as s3://security/tokenkit"
            )
        return address

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file, and the file over the defaults."""
        return (env_settings, init_settings)


def load_settings(path: Path) -> Settings:
    """Read ``tokenkit.toml``; a missing file means all defaults.

    Raises
    ------
    ConfigError
        The file is not TOML, or holds a key or a value that does not exist; names it and what exists.
    """
    values: dict[str, Any] = {}
    if path.exists():
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is not valid TOML: {error}. Correct that line.") from error
    try:
        settings = Settings(**values)
        # of a workspace alone: a variable would send the tables of every copy that the bench makes there, too
        return settings.model_copy(update={"lake": values.get("lake", "")})
    except SettingsError as error:
        raise ConfigError(
            f"{error}. A variable for a list or a section holds JSON. Correct it, or unset it."
        ) from error
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(path, problem) for problem in error.errors())) from error


def _explain(path: Path, problem: Any) -> str:
    place = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        model: Any = Settings
        for part in problem["loc"][:-1]:
            model = model.model_fields[part].annotation
        return f"{path}: no setting {place}; {did_you_mean(str(problem['loc'][-1]), list(model.model_fields))}"
    return f"{path}: {place}: {problem['msg']} (found {problem.get('input')!r})"


def describe(settings: Settings) -> list[tuple[str, Any, str]]:
    """Return every setting as (name, value, meaning), in the order of the file."""
    return _described("", settings)


def _described(prefix: str, section: BaseModel) -> list[tuple[str, Any, str]]:
    rows: list[tuple[str, Any, str]] = []
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            rows += _described(f"{prefix}{name}.", value)
        else:
            rows.append((f"{prefix}{name}", value, field.description or ""))
    return rows


@cache
def code_digest() -> str:
    """Return 64 hex digits of the package's modules and weights: what another build computed is not taken for current.

    Examples
    --------
    >>> len(code_digest())
    64
    """
    root = Path(__file__).parent.parent
    files = sorted([*root.rglob("*.py"), *root.rglob("*.json")])
    return hashlib.sha256(b"".join(f.relative_to(root).as_posix().encode() + f.read_bytes() for f in files)).hexdigest()


def digest(settings: Settings) -> str:
    """Return 12 hex digits that change when a setting changes that affects a result.

    Examples
    --------
    >>> digest(Settings()) == digest(Settings(name="Another name"))
    True
    """
    shaping = settings.model_dump(include={"gateway", "history", "detection"})
    for name in ("set_by", "set_on", "set_why"):
        del shaping["detection"][name]
    for name in ("timezone", "trusted_proxies"):  # came later: what was made without them is still current
        if not shaping["gateway"][name]:
            del shaping["gateway"][name]
    return hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()[:12]


def s3_options() -> dict[str, str]:
    """Return region and address of S3-style storage from the variables that AWS named, as Arrow's client takes them.

    Its credentials it takes from the environment itself, as Delta's does.
    """
    address = (
        os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT")
    )
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    options = {"region": region} if region else {}
    if address:
        scheme, _, host = address.rpartition("://")
        options |= {"endpoint_override": host.rstrip("/"), "scheme": scheme or "https"}
    return options


@dataclass(frozen=True)
class Workspace:
    """A folder with a lake, a key and settings, and the paths of all files in it."""

    root: Path
    settings: Settings

    def __post_init__(self) -> None:
        """Refuse a folder that neither DuckDB nor a notebook can be told of."""
        try:
            str(self.root).encode()
        except UnicodeEncodeError:
            shown = str(self.root).encode("utf-8", "backslashreplace").decode()
            raise ConfigError(
                f"{shown}: the path of a workspace has to be UTF-8. Rename the folder, or take another one."
            ) from None

    @property
    def lake(self) -> Path:
        """The Delta tables: a folder, or ``s3:/bucket/prefix``, which ``store.lake`` alone opens."""
        return Path(self.settings.lake) if self.settings.lake else self.root / "lake"

    @property
    def state(self) -> Path:
        """The SQLite file of runs, incidents, labels and what was ingested."""
        return self.root / "state.db"

    @property
    def key(self) -> Path:
        """The key of every identity, readable by its owner only."""
        return self.root / ".tokenkit" / "key"

    @property
    def hold(self) -> Path:
        """While this file exists, nothing is locked or restricted from here; undo stays allowed."""
        return self.root / ".tokenkit" / "hold"

    @property
    def network_databases(self) -> list[Path]:
        """The files that say what kind of network an address is in."""
        return [self.root / name for name in self.settings.networks.database]

    @property
    def reports(self) -> Path:
        """Where reports are published unless another place is named."""
        return self.root / "reports"

    @property
    def scratch(self) -> Path:
        """Temporary files of queries; may be deleted when no run works."""
        return self.root / ".tokenkit" / "tmp"


TEMPLATE = """# tokenkit workspace. `tokenkit config` lists every setting with its meaning.
name = {name}
# events = ["cloudtrail=logs/cloudtrail", "logs/gateway"]
# inventory = "tokens.csv"

[detection]
budget = 5.0   # new incidents a day for each 1,000 profiles
"""


def workspace_at(folder: Workspace | Path | str = "") -> Workspace:
    """Return the workspace of a folder, or the one at or above the current folder (or named by ``TOKENKIT_WORKSPACE``).

    Raises
    ------
    InputError
        There is none; says how to make one.
    """
    if isinstance(folder, Workspace):
        return folder
    workspace = find(Path(folder)) if str(folder) else find()
    if workspace is None:
        raise InputError(f"no tokenkit workspace at or above {folder or Path.cwd()}. Make one: tokenkit init DIR")
    return workspace


def init(folder: Path, name: str = "") -> Workspace:
    """Make a workspace, or open it if there is one.

    Nothing that exists is changed: a second call is harmless.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings_file = folder / FILE_NAME
    if not settings_file.exists():
        settings_file.write_text(TEMPLATE.format(name=json.dumps(name, ensure_ascii=False)), encoding="utf-8")
    (folder / ".tokenkit").mkdir(exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text(
            "# identities, tables and state stay on this machine\n.tokenkit/\nlake/\nstate.db*\nreports/\n"
        )
    return Workspace(folder.resolve(), load_settings(settings_file))


def find(start: Path | None = None) -> Workspace | None:
    """Return the workspace at or above a folder (default: ``TOKENKIT_WORKSPACE``, else the current folder), or None.

    Raises
    ------
    ConfigError
        ``TOKENKIT_WORKSPACE`` names a folder that is no workspace.
    """
    named_folder = os.environ.get("TOKENKIT_WORKSPACE")
    if start is None and named_folder:
        if not (Path(named_folder) / FILE_NAME).exists():
            raise ConfigError(
                f"TOKENKIT_WORKSPACE is {named_folder}, but there is no {FILE_NAME}. Run: tokenkit init {named_folder}"
            )
        return Workspace(Path(named_folder).resolve(), load_settings(Path(named_folder) / FILE_NAME))
    folder_of_start = (start or Path.cwd()).resolve()
    for folder in (folder_of_start, *folder_of_start.parents):
        if (folder / FILE_NAME).exists():
            return Workspace(folder, load_settings(folder / FILE_NAME))
    return None
