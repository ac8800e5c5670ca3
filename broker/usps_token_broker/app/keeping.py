"""The state store as the loop's port, and what was kept there as the core's record."""

import logging

import anyio.to_thread

from usps_token_broker.core.state import SavedState
from usps_token_broker.drivers import journal
from usps_token_broker.drivers.store import Damaged, Store, Stored, StoreError
from usps_token_broker.wire import state as wire_state

log = logging.getLogger(journal.LOGGER)


class Keeper:
    """Saves and loads in worker threads, and says in the log what went wrong, once.

    A disk that hangs must not keep the daemon from ending: then its thread is left behind.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._trouble: str | None = None

    async def save(self, payload: bytes) -> str | None:
        """Save; a disk that is full or gone costs no token, so that is a sentence."""
        trouble = None
        try:
            await anyio.to_thread.run_sync(self._store.save, payload, abandon_on_cancel=True)
        except StoreError as error:
            trouble = str(error)
        if trouble != self._trouble:
            self._trouble = trouble
            if trouble is None:
                log.info("the state is saved again", extra=journal.event("saved"))
            else:
                log.error(
                    "the state is not saved, so a restart would fetch its tokens anew: %s",
                    trouble,
                    extra=journal.event("not_saved", reason="state_not_saved"),
                )
        return trouble

    async def load(self) -> SavedState | None:
        """What the process before left; what cannot be used is set aside and not fatal."""
        loaded = await anyio.to_thread.run_sync(self._store.load, abandon_on_cancel=True)
        if isinstance(loaded, Stored):
            try:
                return wire_state.decode(loaded.payload)
            except ValueError as error:
                set_aside = self._store.set_aside
                loaded = await anyio.to_thread.run_sync(set_aside, str(error))
        if isinstance(loaded, Damaged):
            where = f"set aside as {loaded.moved_to}" if loaded.moved_to else "not used"
            log.warning(
                "the saved state is %s: %s; tokens are fetched anew",
                where,
                loaded.reason,
                extra=journal.event("not_restored"),
            )
        return None
