"""The settings, from the environment: the only reader of it. `JINJI_` stands in front of each name."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from ipaddress import ip_network
from typing import Self


class SettingRefused(ValueError):
    """A setting that cannot be used, with its name."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a process is told at its start. Each field is `JINJI_<NAME>` in the environment."""

    database_url: str = "sqlite:///var/jinji.db"
    clock: str = "real"
    mail: str = "file:var/mail"
    mail_from: str = "jinji@localhost"
    webhook_networks: str = ""
    host: str = "127.0.0.1"
    port: int = 8000
    base_url: str = "http://127.0.0.1:8000"
    tick_seconds: int = 20
    max_body_bytes: int = 4_000_000
    body_seconds: int = 30
    trusted_proxies: str = ""
    public_per_minute: int = 120
    objections_per_hour: int = 10
    log_level: str = "info"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """The settings of this process. Raises SettingRefused for a number or a network that is none, or an unknown name."""
        environment = os.environ if environment is None else environment
        known = {field.name: field for field in fields(cls)}
        told: dict[str, str | int] = {}
        for name, value in environment.items():
            if not name.startswith("JINJI_") or not value:
                continue
            field = known.get(name.removeprefix("JINJI_").lower())
            if field is None:
                raise SettingRefused(f"{name} is not a setting of jinji; known: {', '.join(setting_names())}")
            if field.type is int or field.type == "int":
                if not value.isdecimal() or int(value) < 1:
                    raise SettingRefused(f"{name} must be a whole number above 0, not {value!r}")
                told[field.name] = int(value)
            else:
                told[field.name] = value
        _require_networks(str(told.get("webhook_networks", "")))
        settings = cls(**told)  # type: ignore[arg-type]
        # Unless somebody says what the world calls it, links lead to where it listens.
        return settings if "base_url" in told else replace(settings, base_url=f"http://{settings.host}:{settings.port}")


def _require_networks(said: str) -> None:
    try:
        for part in filter(str.strip, said.split(",")):
            ip_network(part.strip())
    except ValueError as error:
        raise SettingRefused(f"JINJI_WEBHOOK_NETWORKS must be networks, as in 10.0.0.0/8, fd00::/8: {error}") from error


def setting_names() -> tuple[str, ...]:
    """The environment variables of every setting."""
    return tuple(f"JINJI_{field.name.upper()}" for field in fields(Settings))
