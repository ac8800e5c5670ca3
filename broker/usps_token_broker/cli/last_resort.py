"""Ends the process when something else keeps it from ending: a thread that hangs, lost memory."""

import os
import threading
from typing import Final

EX_SOFTWARE: Final = 70
END_SECONDS: Final = 5.0
"""How long the process may linger once all is saved and said."""


class LastResort:
    """Watches from its making on, so that what it needs is made while there is memory."""

    def __init__(self) -> None:
        self._code = EX_SOFTWARE
        threading.Thread(target=self._end_with_the_main_thread, name="end", daemon=True).start()

    def end_soon(self, code: int) -> None:
        """All is said and saved; a thread that hangs in a name lookup must not keep us from ending.

        With that code, whichever of our threads comes first to end it.
        """
        self._code = code
        end = threading.Timer(END_SECONDS, os._exit, [code])
        end.daemon = True
        end.start()

    def _end_with_the_main_thread(self) -> None:
        """Without memory Python can leave the main thread past every handler, and wait for ours."""
        patience = threading.Event()
        threading.main_thread().join()
        patience.wait(END_SECONDS)
        os._exit(self._code)
