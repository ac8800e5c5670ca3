"""The simulator starts, stops and starts again; it says when it cannot."""

import socket

import anyio
import httpx
import pytest

from usps_token_broker import simulator as package
from usps_token_broker.simulator import Simulator, running
from usps_token_broker.simulator.clock import HostClock, ManualClock

pytestmark = pytest.mark.anyio


async def test_it_has_no_address_before_its_start():
    """Asking for one says so."""
    with pytest.raises(RuntimeError, match="before its first start"):
        _ = Simulator().base_url


async def test_faults_can_be_injected_before_its_start():
    """So the first call of a client meets them."""
    simulator = Simulator()
    simulator.inject("server_error")

    async with anyio.create_task_group() as task_group:
        await simulator.start(task_group)
        async with httpx.AsyncClient(verify=False) as http:
            answer = await http.post(f"{simulator.base_url}/oauth2/v3/token")
        await simulator.stop()

    assert answer.status_code == 500


async def test_an_outage_refuses_connections_and_ends(shop, usps):
    """Between stop and start nobody listens; then the same port does, and tokens are good."""
    address = usps.base_url
    await usps.stop()
    with pytest.raises(httpx.ConnectError):
        await shop.ask_address()

    async with anyio.create_task_group() as task_group:
        await usps.start(task_group)
        assert usps.base_url == address
        assert (await shop.ask_label()).status_code == 200
        await usps.stop()


async def test_stopping_ends_calls_that_are_held(usps, shop):
    """The client sees its connection end."""
    usps.inject("hang")
    async with anyio.create_task_group() as task_group:
        task_group.start_soon(expect_the_end, shop)
        await usps.calls.wait_for(1)
        await usps.stop()


async def expect_the_end(shop):
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        await shop.ask_address()


async def test_stopping_twice_is_stopping_once(usps):
    """And before the start, nothing."""
    await Simulator().stop()
    await usps.stop()
    await usps.stop()


async def test_it_does_not_start_twice(usps):
    """The second start says where the first listens."""
    async with anyio.create_task_group() as task_group:
        with pytest.raises(RuntimeError, match="runs already"):
            await usps.start(task_group)


async def test_cancelling_its_task_group_stops_it():
    """Nothing else is needed."""
    async with anyio.create_task_group() as task_group:
        simulator = await Simulator().start(task_group)
        task_group.cancel_scope.cancel()

    with pytest.raises(OSError, match="connect"):
        await anyio.connect_tcp("127.0.0.1", simulator.port)


async def test_a_port_that_is_taken_is_an_error(usps):
    """The one of the system, and the simulator can be started elsewhere."""
    async with anyio.create_task_group() as task_group:
        with pytest.raises(OSError, match="in use"):
            await Simulator(port=usps.port).start(task_group)


async def test_it_listens_on_ipv6_where_it_is_asked_to():
    """With brackets in its address."""
    if not has_ipv6():
        pytest.skip("this machine has no IPv6 loopback")
    async with running(host="::1") as usps:
        assert usps.base_url.startswith("http://[::1]:")
        async with httpx.AsyncClient(verify=False) as http:
            assert (await http.get(f"{usps.base_url}/sim/settings")).status_code == 200


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_it_says_that_it_needs_asyncio():
    """On trio, before anything else goes wrong."""

    async def start():
        async with anyio.create_task_group() as task_group:
            with pytest.raises(RuntimeError, match="asyncio only"):
                await Simulator().start(task_group)

    anyio.run(start, backend="trio")


async def test_waiting_for_calls_ends_with_the_call(usps, shop):
    """Each waiter is woken when its number is reached."""
    async with anyio.create_task_group() as task_group:
        task_group.start_soon(usps.calls.wait_for, 2, "addresses")
        task_group.start_soon(usps.calls.wait_for, 3)
        await anyio.wait_all_tasks_blocked()
        await shop.ask_address()
        await shop.ask_token()
        await shop.ask_address()


async def test_counters_can_be_asked_by_status_and_outcome(usps, shop):
    """At one endpoint or at all."""
    await shop.ask_address()
    await shop.ask_token()
    await shop.ask_token(client_secret="wrong")

    assert usps.calls.total("token") == 2
    assert usps.calls.with_status(200) == 2
    assert usps.calls.with_status(200, "token") == 1
    assert usps.calls.with_code("granted") == 1
    assert usps.calls.with_code("invalid_client", "token") == 1


async def test_an_error_in_the_block_comes_out_as_it_is():
    """Not wrapped in a group, so that a test can expect it."""
    with pytest.raises(ZeroDivisionError):
        async with running():
            raise ZeroDivisionError


async def test_a_failure_of_its_own_is_answered_and_logged(usps, shop, caplog, monkeypatch):
    """A bug of the simulator does not take it down, nor look like one of USPS's."""
    monkeypatch.setattr(usps._front._service, "answer", broken)

    answer = await shop.ask_address()

    assert answer.status_code == 500
    assert "not of USPS" in answer.json()["error"]
    assert "the simulator failed at /addresses/v3/address" in caplog.text


def broken(request, arrival):
    raise ZeroDivisionError


def test_the_clock_of_the_host_goes_on():
    """It never steps back."""
    clock = HostClock()

    assert clock.now() <= clock.now()


def test_a_manual_clock_does_not_run_backwards():
    """The error says what to do instead."""
    with pytest.raises(ValueError, match="wrong_clock"):
        ManualClock().advance(-1)


def test_the_package_has_the_names_it_says():
    """They are imported when they are asked for."""
    assert all(getattr(package, name) for name in package._HOMES)
    with pytest.raises(AttributeError, match="no attribute 'Simulate'"):
        _ = package.Simulate
