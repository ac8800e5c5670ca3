"""What a unit becomes before it is written, as values."""

import pytest

from usps_token_broker.drivers.units.texts import (
    Origin,
    exec_word,
    for_program,
    for_systemd,
    origin,
    stamped,
)

UNIT = """\
[Service]
# ExecStart=/opt/usps-token-broker/bin/usps-token-broker in a comment
ExecStart=/opt/usps-token-broker/bin/usps-token-broker run
ExecReload=/bin/kill -HUP $MAINPID
PrivateIPC=yes
ProtectProc=invisible
SocketBindAllow=tcp:9842
SocketBindDeny=any
"""


def test_what_was_written_is_known_again():
    """By the file alone."""
    assert origin(stamped(UNIT)) is Origin.OURS


def test_an_empty_text_is_known_again():
    """Nothing below the stamp is a text too."""
    assert origin(stamped("")) is Origin.OURS


@pytest.mark.parametrize("place", ["head", "body", "end"])
def test_any_change_is_noticed(place):
    """Wherever it was made, the stamp's own head included."""
    data = stamped(UNIT)
    changed = {
        "head": data.replace(b"# Written", b"# written"),
        "body": data.replace(b"run\n", b"run --config /x\n"),
        "end": data + b"\n",
    }[place]
    assert changed != data
    assert origin(changed) is Origin.CHANGED


def test_carriage_returns_are_a_change():
    """As an editor of another system leaves them."""
    assert origin(stamped(UNIT).replace(b"\n", b"\r\n")) is not Origin.OURS


def test_another_head_with_a_true_stamp_is_ours():
    """A later release may word it otherwise."""
    import hashlib  # noqa: PLC0415 - what the stamp is, written out once more

    head, body = b"# Some other words.\n", UNIT.encode()
    stamp = f"# install-units sha256={hashlib.sha256(head + body).hexdigest()}\n".encode()
    assert origin(head + stamp + body) is Origin.OURS


@pytest.mark.parametrize("data", [b"", UNIT.encode(), b"\xff\xfe\x00", b"[Unit]\n" + stamped(UNIT)])
def test_what_bears_no_stamp_at_its_head_is_foreign(data):
    """A unit copied by hand among them."""
    assert origin(data) is Origin.FOREIGN


def test_the_program_is_put_in_and_its_arguments_stay():
    """In Exec lines that call ours; comments and other programs are left alone."""
    text = for_program(UNIT, ["/srv/venv/bin/usps-token-broker"])
    assert "\nExecStart=/srv/venv/bin/usps-token-broker run\n" in text
    assert "\n# ExecStart=/opt/usps-token-broker/bin/usps-token-broker in a comment\n" in text
    assert "\nExecReload=/bin/kill -HUP $MAINPID\n" in text


@pytest.mark.parametrize("prefix", ["", "-", "+", "!!", "@-"])
def test_prefixes_of_the_command_stay(prefix):
    """systemd.service(5), special executable prefixes."""
    text = for_program(f"ExecStart={prefix}%h/.local/bin/usps-token-broker run --x", ["/a/b"])
    assert text == f"ExecStart={prefix}/a/b run --x"


def test_a_module_is_started_as_one():
    """Where there is no script."""
    text = for_program(UNIT, ["/usr/bin/python3", "-m", "usps_token_broker"])
    assert "\nExecStart=/usr/bin/python3 -m usps_token_broker run\n" in text


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/opt/a-b_1.2/x", "/opt/a-b_1.2/x"),
        ("/opt/my tools/x", '"/opt/my tools/x"'),
        ("/opt/50%/x", '"/opt/50%%/x"'),
        ("/opt/\N{LATIN SMALL LETTER U WITH DIAERESIS}/x", '"/opt/\xfc/x"'),
    ],
)
def test_paths_are_quoted_as_systemd_reads_them(path, word):
    """systemd.service(5), command lines; specifiers are doubled."""
    assert exec_word(path) == word


@pytest.mark.parametrize(
    "path",
    ["/opt/a\nExecStartPre=/bin/sh", "/opt/\x1b[31m", "/opt/\udcff", "/a'b", '/a"b', "/a\\b"],
)
def test_a_path_that_would_break_the_line_is_refused(path):
    """A line of its own could be any command."""
    with pytest.raises(ValueError, match="no unit can hold"):
        for_program(UNIT, [path])


def test_an_old_systemd_is_spared_what_it_does_not_know():
    """As comments that say so; the rest stands."""
    text, left_out = for_systemd(UNIT, 247)
    assert left_out == ("PrivateIPC", "SocketBindAllow", "SocketBindDeny")
    assert "\n# Not known to systemd 247: PrivateIPC=yes\n" in text
    assert "\n# Not known to systemd 247: SocketBindDeny=any\n" in text
    assert "\nProtectProc=invisible\n" in text


@pytest.mark.parametrize(
    ("version", "left_out"),
    [(248, ("SocketBindAllow", "SocketBindDeny")), (249, ()), (257, ()), (None, ())],
)
def test_each_directive_comes_with_its_version(version, left_out):
    """A systemd that nobody can ask gets everything."""
    text, told = for_systemd(UNIT, version)
    assert told == left_out
    assert (text == UNIT) == (not left_out)
