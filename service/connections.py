"""One connection of a client: the head of a request is bounded in bytes and in time, as its body is by the edge."""

from asyncio import TimerHandle, Transport
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 10
# In the scope of a request that has come to its last byte: nobody need keep the time for the rest.
WHOLE = "jinji_whole"


class Connection(HttpToolsProtocol):
    """What uvicorn does with a connection, for clients that are not to be trusted with its memory and its sockets."""

    def __init__(self, *given: Any, **named: Any) -> None:
        """As uvicorn makes it."""
        super().__init__(*given, **named)
        self._in_head = False
        self._head_bytes = 0
        self._head_timer: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Somebody has connected, and is to say something."""
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._head_has_come()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is whole; from here on the edge watches."""
        self._in_head = False
        self._head_has_come()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The last byte of a request."""
        self.scope[WHOLE] = True  # type: ignore[literal-required]  # ours, beside the names that are known
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Bytes of the client."""
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self._refuse(b"431 Request Header Fields Too Large")
                return
        # Also bytes that begin no request, and the rest of a body that nobody reads any more, must come to an end.
        idle = self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]
        if self._head_timer is None and (self._in_head or idle):
            self._wait_for_head()

    def _wait_for_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._refuse, b"408 Request Timeout")

    def _head_has_come(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, status: bytes) -> None:
        self._head_has_come()
        if not self.transport.is_closing():
            if self._in_head:
                self.transport.write(b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            self.transport.close()
