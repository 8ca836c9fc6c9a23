"""Both engines' databases, as the tests of the service have them."""

from tests.service.conftest import database_url, postgres_template, sqlite_template

__all__ = ["database_url", "postgres_template", "sqlite_template"]
