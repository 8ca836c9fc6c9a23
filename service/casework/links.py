"""Where the links of mails and feeds lead."""

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Links:
    """Where links of mails lead, and the domain of Message-IDs and of calendar UIDs."""

    base: str
    domain: str

    def to(self, noun: str, thing: str) -> str:
        """The address of a thing."""
        return f"{self.base}/api/v1/{noun}/{thing}"


def links_of(base_url: str) -> Links:
    """The links of a service at this address."""
    return Links(base_url.rstrip("/"), urlsplit(base_url).hostname or "localhost")
