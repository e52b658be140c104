"""The only reader of the environment: one settings object, built at the edge and passed down."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from insight.errors import ConfigurationError

PROJECT_ROOT = Path(__file__).resolve().parent.parent
EMBEDDED = "embedded"


def _also_known_as(name: str) -> AliasChoices:
    """The prefixed name first, then the bare one that containers and CI services use."""
    return AliasChoices(f"INSIGHT_{name}", name)


class Settings(BaseSettings):
    """All settings; each is an environment variable with the prefix `INSIGHT_`."""

    model_config = SettingsConfigDict(
        env_prefix="INSIGHT_",
        env_ignore_empty=True,
        populate_by_name=True,
        extra="ignore",
        validate_default=True,
    )

    home: Path = Field(
        default=PROJECT_ROOT / ".insight", description="where services, data and models are kept"
    )
    dbt_project_dir: Path = Field(
        default=PROJECT_ROOT / "dbt_pipeline", description="the dbt project to build"
    )

    database_url: SecretStr = Field(
        default=SecretStr(EMBEDDED),
        validation_alias=_also_known_as("DATABASE_URL"),
        description="`embedded`, or postgresql://user:password@host:port/database",
    )
    kafka_bootstrap_servers: str = Field(
        default=EMBEDDED,
        validation_alias=_also_known_as("KAFKA_BOOTSTRAP_SERVERS"),
        description="`embedded`, or host:port[,host:port]",
    )
    redis_url: SecretStr = Field(
        default=SecretStr(EMBEDDED),
        validation_alias=_also_known_as("REDIS_URL"),
        description="`embedded`, or redis://[:password@]host:port/0",
    )

    max_rejected_share: float = Field(
        default=0.0, ge=0, le=1, description="share of bad rows in a file above which a load fails"
    )
    segment_count: Annotated[int, Field(ge=2, le=10)] | Literal["rule"] = Field(
        default=5, description="number of clusters of customers; `rule`: the written rule chooses"
    )

    segments_in: Literal["auto", "seed", "table"] = Field(
        default="auto",
        description="where customer segments are kept: the dbt seed, the table"
        " ml.customer_segments, or the table past 50,000 customers (auto)",
    )
    segment_clock: Literal["events", "wall"] = Field(
        default="events",
        description="as of when segments by rule are asked: the newest event, or the time of day",
    )
    lifetime_value_days: int = Field(
        default=90, ge=1, le=1825, description="how far ahead customer lifetime value looks"
    )

    as_of_date: date | None = Field(
        default=None,
        description="the day recency counts from; by default the day after the newest sale",
    )

    association_min_support: Decimal = Field(
        default=Decimal("0.002"),
        gt=0,
        le=1,
        description="share of baskets that must hold the products of an association",
    )
    association_min_confidence: Decimal = Field(
        default=Decimal("0.1"),
        gt=0,
        le=1,
        description="share of the baskets with its antecedent that must hold its consequent",
    )
    association_min_lift: Decimal = Field(
        default=Decimal("1.2"),
        ge=0,
        description="how many times as often as in all baskets that must be",
    )
    association_max_products: int = Field(
        default=3, ge=2, le=6, description="products of an association, the consequent included"
    )
    association_max_basket: int = Field(
        default=100, ge=2, description="baskets of more products than this are left out"
    )
    association_seconds: float = Field(
        default=60.0, gt=0, description="how long the search in the baskets of one shop may take"
    )

    newsapi_key: SecretStr | None = Field(
        default=None,
        validation_alias=_also_known_as("NEWSAPI_KEY"),
        description="key of NewsAPI, for `--live`",
    )
    coingecko_url: str = Field(
        default="https://api.coingecko.com", description="where `--live` polls prices"
    )
    newsapi_url: str = Field(default="https://newsapi.org", description="where `--live` polls news")
    simulation_speed: float = Field(
        default=600.0, gt=0, description="how many simulated seconds pass in one real second"
    )

    api_port: int = Field(
        default=8000, ge=0, le=65535, description="port of the API; 0: a free one"
    )
    api_host: str = Field(default="127.0.0.1", description="address on which the API is served")
    api_secret: SecretStr | None = Field(
        default=None,
        description="secret from which those of the API are derived; by default generated and kept",
    )
    api_requests_per_minute: int = Field(
        default=6_000, ge=1, description="requests that a caller of the API may make in a minute"
    )
    api_connections: int = Field(
        default=8, ge=1, le=30, description="most connections of the API that read the warehouse"
    )
    oidc_issuer: str | None = Field(
        default=None, description="issuer of the bearer tokens that the API takes besides keys"
    )
    oidc_audience: str | None = Field(default=None, description="audience that they must be for")
    oidc_jwks_url: str | None = Field(
        default=None, description="where the issuer publishes the keys that sign them"
    )
    oidc_role_claim: str = Field(
        default="role", min_length=1, description="claim that holds the role or a list of them"
    )

    metrics_port: int = Field(
        default=0, ge=0, le=65535, description="port of a role's Prometheus metrics; 0 is none"
    )
    metrics_host: str = Field(
        default="127.0.0.1", description="address on which metrics are served"
    )

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="WARNING", description="from which level on log records are shown"
    )

    @field_validator("home", "dbt_project_dir")
    @classmethod
    def _is_a_plain_path(cls, path: Path) -> Path:
        """Absolute, because servers run elsewhere; pg_ctl hands paths to a shell."""
        absolute = path.expanduser().absolute()
        if any(character in str(absolute) for character in '"$`\\\n'):
            raise ValueError("a path with a double quote, $, backtick, backslash or line break")
        return absolute

    @property
    def data_dir(self) -> Path:
        return self.home / "data"

    @property
    def model_dir(self) -> Path:
        return self.home / "models"

    @property
    def lab_dir(self) -> Path:
        return self.home / "lab"


def load_settings() -> Settings:
    """Read the environment. Raises ConfigurationError that names the variable at fault."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).upper()
        name = name if name.startswith("INSIGHT_") else f"INSIGHT_{name}"
        raise ConfigurationError(first["msg"], where=name) from error
