"""The process that serves a page: a socket on the loopback interface, and how it ends.

Must not know: what is served.
"""

from __future__ import annotations

import socket
import threading
import webbrowser
from collections.abc import Callable

import uvicorn

from calcium_lightning.core.errors import InputError
from calcium_lightning.curation.curator import Curator
from calcium_lightning.curation.guard import Guard, new_token
from calcium_lightning.curation.server import application

HOST = "127.0.0.1"


class _Server(uvicorn.Server):
    """Ends the streams of news first, which would never end by themselves."""

    def __init__(self, config: uvicorn.Config, curator: Curator) -> None:
        super().__init__(config)
        self._curator = curator

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._curator.hang_up()
        await super().shutdown(sockets)


class Page:
    """An address, and the server behind it.

    Parameters
    ----------
    curator : Curator
        What answers.
    port : int
        Where; 0 takes a free one.

    Raises
    ------
    InputError
        If the port isn't free.
    """

    def __init__(self, curator: Curator, port: int = 0) -> None:
        self.curator = curator
        # Named as TCP: asyncio sends at once (TCP_NODELAY) on sockets that say so only, and without that each
        # answer waits 40 ms for the browser's delayed acknowledgement.
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self.socket.bind((HOST, port))
        except (OSError, OverflowError) as error:
            self.socket.close()
            raise InputError(f"port={port}: {error}; leave it out, and a free one is taken") from error
        self.port = self.socket.getsockname()[1]
        token, ticket = new_token(), new_token()
        self.address = f"http://{HOST}:{self.port}/{token}/"
        self._once = f"http://{HOST}:{self.port}/{ticket}"
        hosts = {f"{HOST}:{self.port}", f"localhost:{self.port}"}
        config = uvicorn.Config(
            Guard(application(curator), token, hosts, ticket),
            log_level="critical",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
            lifespan="off",
        )
        self._server = _Server(config, curator)
        curator.ended = self.end

    def end(self) -> None:
        """Let the server end."""
        self._server.should_exit = True

    def run(self, show: bool, ready: Callable[[str], None]) -> None:
        """Serve until the page or a signal ends it.

        Parameters
        ----------
        show : bool
            Open the address in the user's browser.
        ready : callable
            Is told the address, once requests are taken.
        """
        self.socket.listen(128)
        self.curator.start()
        ready(self.address)
        if show:
            threading.Thread(target=webbrowser.open, args=(self._once,), daemon=True).start()
        try:
            self._server.run(sockets=[self.socket])
        finally:
            self.socket.close()
            self.curator.end()
