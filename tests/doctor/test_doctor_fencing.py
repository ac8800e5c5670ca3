"""Nothing raises, nothing hangs: what goes wrong while looking is a finding."""

import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from usps_token_broker.catalogue import CATALOGUE
from usps_token_broker.doctor import Scene, Verdict, bundle, walk
from usps_token_broker.doctor.fencing import fenced
from usps_token_broker.doctor.findings import passed

UNSEEN = Verdict.UNSEEN


def test_an_exception_becomes_a_finding():
    """With what it said, and after what was found before it."""

    def look():
        yield passed("x", "the first")
        raise OSError(5, "Input/output error")

    first, second = fenced("x", look)
    assert first.saw == "the first"
    assert (second.verdict, second.saw) == (
        UNSEEN,
        "could not look: OSError: [Errno 5] Input/output error",
    )


@pytest.mark.parametrize("error", [RecursionError(), MemoryError(), AssertionError("x")])
def test_whatever_is_raised_stays_within(error):
    """A bug of ours must not hide what else is wrong."""

    def look():
        raise error
        yield

    [finding] = fenced("x", look)
    assert finding.verdict is UNSEEN


def test_no_secret_leaves_with_an_exception():
    """What looks like one is taken out."""
    token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"

    def look():
        raise ValueError(token)
        yield

    [finding] = fenced("x", look)
    assert token not in finding.saw


def test_a_check_that_hangs_is_left_behind():
    """With what it had found."""
    never = threading.Event()

    def look():
        yield passed("x", "the first")
        never.wait()

    first, second = fenced("x", look, 0.2)
    never.set()
    assert first.saw == "the first"
    assert second.saw == "could not look: no answer within 0.2 s"


def test_nothing_found_is_told():
    """A check without a word would be taken for one that passed."""
    [finding] = fenced("x", list)
    assert finding.verdict is UNSEEN


VALUES = st.recursive(
    st.sampled_from(['"x"', "5", "-1", "true", "1.5", '""', "1979-05-27", '"\\u0000"', "nan"])
    | st.text("abc019 _-/", max_size=12).map(lambda text: f'"{text}"'),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda values: f"[{', '.join(values)}]")
        | st.dictionaries(
            st.sampled_from(["file", "env", "credential", "roleName", "CRID", "else"]), inner
        ).map(lambda table: "{" + ", ".join(f"{k} = {v}" for k, v in table.items()) + "}")
    ),
    max_leaves=6,
)
KEYS = st.sampled_from(
    ["client_id", "client_secret", "roles", "users", "groups", "state_dir", "socket", "keep"]
)
TABLES = st.sampled_from(
    ["apps.default", "apps.default.bearer", "apps.default.payments.default", "limits", "apps", "x"]
)
LINES = st.one_of(
    st.builds("{} = {}".format, KEYS, VALUES), TABLES.map("[{}]".format), st.text(max_size=10)
)
LOCAL = '[apps.default]\nbase_url = "http://127.0.0.1:9"\n'
"""So that no name is looked up and nobody beyond this machine is called."""


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.binary(max_size=60)
    | st.lists(LINES, max_size=8).map(lambda lines: "\n".join([LOCAL, *lines]).encode())
    | st.lists(LINES, max_size=8).map(
        lambda lines: "\n".join(
            [LOCAL, 'client_id = "x"', 'client_secret = { env = "NONE" }', *lines]
        ).encode()
    )
)
def test_whatever_the_configuration_holds_every_check_says_something(folder, content):
    """And a bundle is made of it."""
    path = folder / "broker.toml"
    path.write_bytes(content)
    scene = Scene(
        config=path,
        sockets=(folder / "none.sock",),
        as_user="root",
        environ={"XDG_RUNTIME_DIR": str(folder)},
    )
    findings = [*walk(scene)]
    assert len({finding.check for finding in findings}) >= 14
    for finding in findings:
        assert not finding.saw.startswith("could not look"), finding
        if finding.verdict in {Verdict.FAIL, Verdict.WARN}:
            assert finding.code in CATALOGUE
            assert finding.fix
    assert bundle.make(scene, findings)
