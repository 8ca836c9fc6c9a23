"""The published programme versions: loaded once into rows, never edited, kept parsed by each process."""

import hashlib

from sqlalchemy import Connection, func, select

from service.access import Act
from service.casework import audit
from service.errors import NotFound
from service.storage.tables import ProgrammeVersion, table
from workflows.lifecycle import Lifecycle
from workflows.programme import packaged_sources
from workflows.programme_checks import load

_VERSIONS = table(ProgrammeVersion)


class Programmes:
    """The machines of the published versions. A version never changes, so what is parsed stays."""

    def __init__(self) -> None:
        self._built: dict[tuple[str, int], Lifecycle] = {}

    def get(self, tx: Connection, programme: str, version: int | None = None) -> Lifecycle:
        """The machine of a version, the newest unless said. Raises NotFound."""
        if version is None:
            version = tx.execute(
                select(func.max(_VERSIONS.c.version)).where(_VERSIONS.c.programme == programme)
            ).scalar()
        if version is None:
            raise NotFound
        built = self._built.get((programme, version))
        if built is None:
            source = tx.execute(
                select(_VERSIONS.c.source).where(_VERSIONS.c.programme == programme, _VERSIONS.c.version == version)
            ).scalar()
            if source is None:
                raise NotFound
            built = self._built[programme, version] = Lifecycle(load(source))
        return built

    def known(self, programme: str, version: int) -> Lifecycle:
        """A machine that this process has built before. Raises KeyError."""
        return self._built[programme, version]

    def roles_of(self, tx: Connection, kind: str) -> frozenset[str]:
        """The roles to which the newest version of any programme gives this kind of event."""
        events = (lifecycle.programme.event_of_kind(kind) for lifecycle in self.newest(tx))
        return frozenset(role for event in events if event is not None for role in event.roles)

    def newest(self, tx: Connection) -> tuple[Lifecycle, ...]:
        """The newest version of every programme, by id."""
        ids = tx.execute(select(_VERSIONS.c.programme).distinct().order_by(_VERSIONS.c.programme)).scalars()
        return tuple(self.get(tx, programme) for programme in ids)


def publish(tx: Connection, act: Act, source: str, reason: str | None = None) -> bool:
    """Load a programme file as a published version; False where that version stands already with the same text.

    Raises ProgrammeRefused for a file with problems, ValueError where the version stands with another text.
    """
    programme = load(source)
    sha256 = hashlib.sha256(source.encode()).hexdigest()
    known = tx.execute(
        select(_VERSIONS.c.sha256).where(
            _VERSIONS.c.programme == programme.id, _VERSIONS.c.version == programme.version
        )
    ).scalar()
    if known == sha256:
        return False
    if known is not None:
        raise ValueError(
            f"{programme.id} version {programme.version} is published: give the changed file a new version"
        )
    newest = tx.execute(
        select(_VERSIONS.c.entry, _VERSIONS.c.head)
        .where(_VERSIONS.c.programme == programme.id)
        .order_by(_VERSIONS.c.entry.desc())
        .limit(1)
    ).one_or_none()
    entry = audit.Entry(
        act,
        "programme",
        programme.id,
        newest.entry + 1 if newest else 1,
        "publish",
        prev=newest.head if newest else None,
        reason=reason,
        data={"version": programme.version},
        changes={str(programme.version): sha256},
    )
    (head,) = audit.append(tx, [entry])
    tx.execute(
        _VERSIONS.insert().values(
            programme=programme.id,
            version=programme.version,
            sha256=sha256,
            source=source,
            loaded_at=act.at,
            entry=entry.version,
            head=head,
        )
    )
    return True


def publish_packaged(tx: Connection, act: Act) -> None:
    """Load every packaged version that is not there yet. A version that is there stays as it was published."""
    for source in packaged_sources().values():
        programme = load(source)
        known = (_VERSIONS.c.programme == programme.id) & (_VERSIONS.c.version == programme.version)
        if tx.execute(select(_VERSIONS.c.version).where(known)).first() is None:
            publish(tx, act, source)
