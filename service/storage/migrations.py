"""The migrations: bring a database up to date, and say at which revision it is."""

from functools import lru_cache
from pathlib import Path

from sqlalchemy import Connection, inspect, text


def _folder() -> Path:
    """Where env.py and versions/ stand: beside the packages, in a checkout as in the container."""
    return Path(__file__).resolve().parents[2] / "alembic"


def _config() -> "object":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_folder()))
    config.set_main_option("path_separator", "os")
    return config


@lru_cache
def newest() -> str:
    """The newest revision that this code knows."""
    from alembic.script import ScriptDirectory

    head = ScriptDirectory(str(_folder())).get_current_head()
    assert head is not None
    return head


def revision(tx: Connection) -> str | None:
    """The revision of the database; None for one that was never migrated."""
    if not inspect(tx).has_table("alembic_version"):
        return None
    found: str | None = tx.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def alone(tx: Connection) -> None:
    """Wait until nobody else migrates this database, and keep others waiting until the transaction ends."""
    if tx.dialect.name == "postgresql":  # on SQLite a writing transaction is alone from its beginning
        tx.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('jinji migrate'))")


def upgrade_in(tx: Connection) -> None:
    """Bring the database to the newest revision, on a transaction that somebody else commits."""
    if revision(tx) == newest():
        return
    from alembic import command

    config = _config()
    config.attributes["connection"] = tx  # type: ignore[attr-defined]
    command.upgrade(config, "head")  # type: ignore[arg-type]
