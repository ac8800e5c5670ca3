import threading

import pytest
from processes import until


@pytest.fixture
def release():
    """Have USPS answer once so many wait, whatever the test is busy with meanwhile."""
    threads = []

    def later(usps, home, waiting):
        def when_they_wait():
            until(lambda: home.status()["waiting"] == waiting, home.status)
            usps.ask("DELETE", "/sim/faults")

        threads.append(threading.Thread(target=when_they_wait))
        threads[-1].start()

    yield later
    for thread in threads:
        thread.join()
