"""Log lines: one for each event, with a priority for systemd, and no secret in any."""

import contextlib
import io
import json
import logging
import os
import socket
import sys

import pytest

from usps_token_broker.core.commands import Level, Note
from usps_token_broker.core.values import SlotId
from usps_token_broker.drivers import journal
from usps_token_broker.drivers.journal import native

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"


@pytest.fixture(autouse=True)
def quiet_afterwards():
    root = logging.getLogger()
    handlers, level, raises = root.handlers[:], root.level, logging.raiseExceptions
    yield
    logging.raiseExceptions = raises
    for handler in root.handlers:
        if isinstance(handler, native.NativeHandler):
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def lines(tmp_path):
    """What is written by a journal that starts now, to a file as systemd connects one."""
    streams = []

    def begin(*, by_systemd=False, form=journal.Form.AUTO):
        path = tmp_path / "stderr"
        stream = path.open("w")
        streams.append(stream)
        status = os.fstat(stream.fileno())
        named = f"{status.st_dev}:{status.st_ino}"
        journal.start({"JOURNAL_STREAM": named} if by_systemd else {}, stream, form)

        def written():
            stream.flush()
            return path.read_text().splitlines()

        return written

    yield begin
    for stream in streams:
        stream.close()


@pytest.fixture(autouse=True)
def no_journal(monkeypatch, tmp_path):
    """The journal of this machine is no part of a test."""
    monkeypatch.setattr(native, "SOCKET", str(tmp_path / "journal"))


@pytest.fixture
def received(tmp_path):
    """What a journal that listens is sent: a list of fields for each record."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "journal"))
        listening.settimeout(0)

        def all_of_it():
            found = []
            with contextlib.suppress(BlockingIOError):
                while True:
                    found.append(fields(listening.recv(65536)))
            return found

        yield all_of_it


def fields(datagram):
    """The fields of a datagram, as the journal reads it (JOURNAL_NATIVE_PROTOCOL)."""
    found = {}
    while datagram:
        line, _, datagram = datagram.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            length = int.from_bytes(datagram[:8], "little")
            value, datagram = datagram[8 : 8 + length], datagram[8 + length + 1 :]
        found[name.decode()] = value.decode()
    return found


def note(text="fetched", level=Level.INFO, reason=None):
    return Note(level, "granted", text, SlotId("default", "bearer"), reason)


def test_a_note_is_one_line_with_its_slot(lines):
    """The time, the level, what it is about, what happened."""
    written = lines()
    journal.write(note("fetched; good for 7 h"))
    [line] = written()
    assert line.endswith(" INFO    default/bearer: fetched; good for 7 h")


@pytest.mark.parametrize(
    ("level", "priority"), [(Level.INFO, 6), (Level.WARNING, 4), (Level.ERROR, 3)]
)
def test_systemd_gets_priorities_and_no_time_of_ours(lines, level, priority):
    """It has its own (sd-daemon(3))."""
    written = lines(by_systemd=True)
    journal.write(note(level=level))
    assert written() == [f"<{priority}>default/bearer: fetched"]


def test_systemds_journal_gets_fields(lines, received):
    """So that `journalctl USPS_SLOT=bearer` finds what is about one token."""
    written = lines(by_systemd=True)
    journal.write(note("it failed", Level.ERROR, "client_secret_wrong"))
    assert received() == [
        {
            "MESSAGE": "default/bearer: it failed",
            "PRIORITY": "3",
            "SYSLOG_IDENTIFIER": "usps-token-broker",
            "USPS_EVENT": "granted",
            "USPS_APP": "default",
            "USPS_SLOT": "bearer",
            "USPS_REASON": "client_secret_wrong",
        }
    ]
    assert written() == []


def test_a_traceback_is_one_entry_of_the_journal(lines, received):
    """Its lines belong together; its secrets are out."""
    lines(by_systemd=True)
    error = ValueError(f"bad header: Bearer {JWT}")
    logging.getLogger(journal.LOGGER).error("it broke", exc_info=error)
    [entry] = received()
    assert entry["MESSAGE"].startswith("it broke\n  ValueError")
    assert JWT not in entry["MESSAGE"]


def test_nothing_from_outside_makes_a_field(lines, received):
    """A line break in a message would begin one, where it is not sent with its length."""
    lines(by_systemd=True)
    logging.getLogger(journal.LOGGER).warning("%s", "first\nPRIORITY=0\n_UID=0")
    [entry] = received()
    assert entry["PRIORITY"] == "4"
    assert "_UID" not in entry
    assert "PRIORITY=0" in entry["MESSAGE"]


def test_a_journal_that_does_not_read_is_not_waited_for(lines, received):
    """What it does not take goes where systemd connected standard error."""
    written = lines(by_systemd=True)
    for _ in range(2000):
        journal.write(note("fetched" * 20))
    told = len(received())
    assert 0 < told < 2000
    assert told + len(written()) == 2000


def test_containers_get_json(lines):
    """One object a line, the slot and the reason in fields of their own."""
    written = lines(form=journal.Form.JSON)
    journal.write(note("it failed", Level.WARNING, "dns_failed"))
    [line] = written()
    told = json.loads(line)
    assert told.pop("at") > 1_700_000_000
    assert told == {
        "level": "warning",
        "message": "default/bearer: it failed",
        "event": "granted",
        "app": "default",
        "slot": "bearer",
        "reason": "dns_failed",
    }


@pytest.mark.parametrize("breaking", ["\n", "\x85", "\u2028", '"', "\\"])
def test_json_stays_one_object_a_line(lines, breaking):
    """Whatever is in a message; its further lines, as those of a traceback, are `trace`."""
    written = lines(form=journal.Form.JSON)
    logging.getLogger(journal.LOGGER).warning("%s", f"first{breaking}second")
    [line] = written()
    told = json.loads(line)
    assert told["event"] == "said"
    assert "second" in told["message"] + "".join(told.get("trace", []))


def test_what_is_no_news_is_not_written(lines):
    """It is counted elsewhere."""
    written = lines()
    journal.write(note(level=Level.DEBUG))
    assert written() == []


def test_a_stream_that_is_not_systemds_gets_no_priorities(tmp_path):
    """Every terminal of a desktop inherits JOURNAL_STREAM; its number says which it is."""
    with (tmp_path / "other").open("w+") as stream:
        journal.start({"JOURNAL_STREAM": "9:12345"}, stream)
        journal.write(note())
        stream.seek(0)
        assert "INFO" in stream.read()


def test_a_stream_that_is_no_file_is_written_to_all_the_same():
    """A test's own, for one."""
    stream = io.StringIO()
    journal.start({"JOURNAL_STREAM": "1:1"}, stream)
    journal.write(note())
    assert "default/bearer: fetched" in stream.getvalue()


@pytest.mark.parametrize(
    "breaking", ["\n", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"]
)
def test_nothing_from_outside_begins_a_line(lines, breaking):
    """Nobody can forge an entry, whatever Python or a terminal takes for a line break."""
    written = lines(by_systemd=True)
    journal.write(note(f"USPS said{breaking}<3>default/bearer: forged"))
    assert len(written()) == 1


@pytest.mark.parametrize("breaking", ["\n", "\x85", "\u2028"])
def test_the_lines_of_other_messages_are_indented(lines, breaking):
    """A configuration problem has several; each is told from the next entry."""
    written = lines(by_systemd=True)
    logging.getLogger(journal.LOGGER).warning("%s", f"first{breaking}second")
    assert written() == ["<4>first", "<4>  second"]


def test_a_terminal_is_not_played_with(lines):
    """Escape sequences of a path or a name become blanks."""
    written = lines()
    logging.getLogger(journal.LOGGER).warning("%s", "/tmp/\x1b]0;gone\x07\x1b[2Jx")
    [line] = written()
    assert "\x1b" not in line
    assert "\x07" not in line


def test_a_traceback_keeps_its_shape_and_loses_its_secrets(lines):
    """The text of a foreign exception may quote anything."""
    written = lines()

    def innermost():
        raise ValueError(f"bad header: Bearer {JWT}\r\nX: y")

    try:
        innermost()
    except ValueError:
        logging.getLogger(journal.LOGGER).exception("it broke")
    first, *rest = written()
    assert first.endswith("it broke")
    assert all(line.startswith("  ") for line in rest)
    assert any("in innermost" in line for line in rest)
    assert JWT not in "".join(rest)
    assert "bad header: Bearer […]" in "".join(rest)


def test_an_exception_group_is_told_whole(lines):
    """That is what task groups raise."""
    written = lines()
    group = ExceptionGroup("several", [ValueError(f"one {JWT}"), KeyError("two")])
    logging.getLogger(journal.LOGGER).critical("it broke", exc_info=group)
    text = "\n".join(written())
    assert "ValueError: one […]" in text
    assert "KeyError: 'two'" in text


@pytest.mark.parametrize("name", ["httpx", "httpcore", "httpcore.http11", "asyncio"])
def test_libraries_that_print_headers_are_kept_quiet(lines, name):
    """At INFO httpx tells every URL, at DEBUG httpcore every header."""
    written = lines()
    logging.getLogger(name).info("GET https://apis.usps.com/ %s", JWT)
    logging.getLogger(name).debug("headers %s", JWT)
    assert written() == []


@pytest.mark.parametrize("name", ["httpx", "httpcore.http11", "asyncio", "h11", "anyio", "x.y"])
def test_they_are_kept_quiet_whatever_level_somebody_sets(lines, name):
    """As a debugger or a site module may; a warning is told, without what looks like a token."""
    written = lines()
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.DEBUG)
    try:
        logger.debug("headers %s", JWT)
        logger.info("GET %s", JWT)
        logger.warning("slow: %s", JWT)
    finally:
        logger.setLevel(before)
    [line] = written()
    assert line.endswith("WARNING slow: […]")


@pytest.mark.parametrize("name", [journal.LOGGER, f"{journal.LOGGER}.drivers.server.acceptor"])
def test_what_the_broker_says_itself_is_told_as_it_is(lines, name):
    """At INFO, and hashes and paths of any length."""
    written = lines()
    logging.getLogger(name).info("serving on /run/%s", "a1" * 20)
    [line] = written()
    assert line.endswith("serving on /run/" + "a1" * 20)


def test_starting_again_does_not_double_the_lines(lines):
    """One handler, the latest."""
    lines()
    written = lines()
    journal.write(note())
    assert len(written()) == 1


def test_standard_error_is_where_it_goes(capsys):
    """Unless another stream is given."""
    journal.start({}, sys.stderr)
    journal.write(note())
    assert "default/bearer: fetched" in capsys.readouterr().err


def test_a_pipe_that_nobody_reads_is_not_waited_for():
    """The broker goes on serving; once somebody reads again, the log says how much is missing."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with os.fdopen(writing, "w") as stream:
        journal.start({}, stream)
        log = logging.getLogger(journal.LOGGER)
        for number in range(10_000):
            log.info("line %s %s", number, "x" * 100)
        taken = b"".join(iter(lambda: _read(reading), b""))
        log.info("the last")
        rest = b"".join(iter(lambda: _read(reading), b"")).decode().splitlines()
    os.close(reading)
    kept = taken.count(b"\n")
    assert 0 < kept < 10_000
    assert rest[0].endswith(f"{10_000 - kept} lines of the log are missing here: nobody read them")
    assert rest[1].endswith("the last")
    assert len(rest) == 2


def _read(descriptor):
    try:
        return os.read(descriptor, 65536)
    except BlockingIOError:
        return b""


def test_what_cannot_be_logged_is_not_printed_raw(capfd):
    """Python would print the arguments and every exception as they are, to standard error."""
    journal.start({}, stream := io.StringIO())
    stream.close()
    logging.getLogger(journal.LOGGER).error("%s", "canary")
    logging.getLogger(journal.LOGGER).error("%d", "canary")
    assert capfd.readouterr() == ("", "")
