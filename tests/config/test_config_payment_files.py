"""`payments.d`: slots in files of their own, of which a bad one hurts itself only."""

import os
import tempfile
from pathlib import Path

import pytest
from configs import APP, HOME, ROLES, Folder
from ordinary_user import as_ordinary_user

from usps_token_broker.config import ConfigError, load


def names(settings) -> list[str]:
    return [slot.name for app in settings.apps for slot in app.payments]


def test_each_file_is_a_slot(folder):
    """Named by the file; `default` is the slot `payment`."""
    folder.write(ROLES, "payments.d/default.toml")
    folder.write(f'groups = ["daemon"]\nrequired = true\n{ROLES}', "payments.d/shop-2.toml")
    settings = folder.load(APP)
    assert names(settings) == ["payment", "payment-shop-2"]
    assert settings.apps[0].payments[1].groups == {1}
    assert settings.apps[0].payments[1].required
    assert settings.broken == settings.warnings == ()


def test_a_file_comes_to_the_same_as_a_table(folder):
    """The same keys, the same slot."""
    table = folder.load(f"{APP}\n[apps.default.payments.x]\nusers = [7]\n{ROLES}").apps
    folder.write(f"users = [7]\n{ROLES}", "payments.d/x.toml")
    assert folder.load(APP).apps == table


def test_a_slot_knows_the_file_it_stands_in(folder):
    """And one of the main file has none."""
    path = folder.write(ROLES, "payments.d/x.toml")
    slots = folder.load(f"{APP}\n[apps.default.payments.y]\n{ROLES}").apps[0].payments
    assert {slot.name: slot.file for slot in slots} == {"payment-y": None, "payment-x": path}


def test_a_file_may_say_that_its_slot_is_seldom_used(folder):
    """The same key as in a table, refused beside `required` in the same words."""
    folder.write(f'keep = "active"\n{ROLES}', "payments.d/x.toml")
    folder.write(f'keep = "active"\nrequired = true\n{ROLES}', "payments.d/y.toml")
    settings = folder.load(APP)
    assert [(slot.name, slot.keep_active) for slot in settings.apps[0].payments] == [
        ("payment-x", True)
    ]
    [broken] = settings.broken
    assert [problem.key for problem in broken.problems] == ["keep"]


def test_no_directory_is_no_slot(folder):
    """Most have none."""
    assert names(folder.load(APP)) == []


def test_other_files_are_not_read(folder):
    """Hidden ones, backups, notes, whatever is switched off."""
    for name in (".x.toml", "..data", "x.toml~", "x.toml.off", "README", "#x.toml#"):
        folder.write("junk", f"payments.d/{name}")
    settings = folder.load(APP)
    assert (names(settings), settings.broken, settings.warnings) == ([], (), ())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "roles: expected this key, found nothing"),
        ("roles = []", "at least one role"),
        ("x = [", "end of document"),
        (f"{ROLES}\nrols = 1", "did you mean roles?"),
        (f'groups = ["no-such-group"]\n{ROLES}', "groupadd"),
        (f'app = "other"\n{ROLES}', 'app: expected one of the apps default, found "other"'),
        (f"app = 1\n{ROLES}", "app: expected a name"),
        (
            f"[apps.default.payments.x]\n{ROLES}",
            "the slot's own keys stand alone, without a [table]",
        ),
        (f'client_id = "x"\n{ROLES}', "client_id belongs in [apps.NAME]"),
    ],
)
def test_a_bad_file_hurts_itself_only(folder, text, words):
    """The others are served; this one is told as a warning with everything that is wrong."""
    folder.write(ROLES, "payments.d/good.toml")
    path = folder.write(text, "payments.d/bad.toml")
    settings = folder.load(APP)
    assert names(settings) == ["payment-good"]
    [broken] = settings.broken
    assert (broken.slot, broken.path) == ("payment-bad", path)
    assert words in "\n".join(map(str, broken.problems))
    assert settings.warnings[0].startswith(f"the slot payment-bad is not served: {path}")


def test_every_problem_of_a_bad_file_is_told(folder):
    """As with the file above it."""
    folder.write("roles = [{ CRID = 1 }]\nx = 1", "payments.d/bad.toml")
    assert len(folder.load(APP).broken[0].problems) == 3


@pytest.mark.parametrize("name", ["a b", "-x", "ä", "x" * 65])
def test_a_file_whose_name_is_no_slots_is_bad(folder, name):
    """It would stand in URLs."""
    folder.write(ROLES, f"payments.d/{name}.toml")
    [broken] = folder.load(APP).broken
    assert broken.problems[0].fix == "rename the file"


def test_a_slot_that_the_file_above_has_too_stays_as_it_is_there(folder):
    """The file in the directory is the bad one."""
    folder.write(f"users = [7]\n{ROLES}", "payments.d/x.toml")
    settings = folder.load(f"{APP}\n[apps.default.payments.x]\n{ROLES}")
    assert names(settings) == ["payment-x"]
    assert settings.apps[0].payments[0].users == frozenset()
    assert "has a slot payment-x already" in settings.warnings[0]


def test_the_only_app_need_not_be_named(folder):
    """Whatever it is called."""
    folder.write(ROLES, "payments.d/x.toml")
    assert names(folder.load(APP.replace("default", "shop"))) == ["payment-x"]


def test_of_several_apps_the_file_names_one(folder):
    """Without a word it is the one called `default`."""
    two = APP + APP.replace("default", "second").replace("the-id", "other-id")
    folder.write(f'app = "second"\n{ROLES}', "payments.d/x.toml")
    folder.write(ROLES, "payments.d/y.toml")
    first, second = folder.load(two).apps
    assert [slot.name for slot in first.payments] == ["payment-y"]
    assert [slot.name for slot in second.payments] == ["payment-x"]


def test_of_several_apps_none_is_guessed(folder):
    """Without one called `default` the file is bad."""
    two = APP.replace("default", "first") + APP.replace("default", "second").replace("the-", "a-")
    folder.write(ROLES, "payments.d/x.toml")
    assert 'expected one of the apps first, second, found "default"' in folder.load(two).warnings[0]


def test_what_is_no_file_is_bad(folder):
    """A directory, a FIFO, a dangling link; none blocks."""
    directory = folder.write(ROLES, "payments.d/a.toml").parent
    (directory / "b.toml").mkdir()
    os.mkfifo(directory / "c.toml")
    (directory / "d.toml").symlink_to("gone")
    settings = folder.load(APP)
    assert names(settings) == ["payment-a"]
    assert [broken.slot for broken in settings.broken] == ["payment-b", "payment-c", "payment-d"]


def test_a_file_that_everybody_can_write_is_bad(folder):
    """They could change whose account pays."""
    folder.write(ROLES, "payments.d/a.toml").chmod(0o666)
    assert "not everybody can change" in folder.load(APP).warnings[0]


def test_a_file_in_the_directorys_place_is_no_matter(folder):
    """Nothing to read, nothing to refuse."""
    folder.write("", "payments.d")
    assert folder.load(APP).warnings == ()


def test_a_bad_main_file_is_refused_whatever_lies_beside(folder):
    """And only its own problems are told."""
    folder.write("junk", "payments.d/a.toml")
    error = folder.refusal(f"{APP}\nx = 1")
    assert [problem.key for problem in error.problems] == ["apps.default.x"]


def test_a_linked_main_file_has_its_directory_where_the_link_lies(folder, tmp_path):
    """Kubernetes links the file, and mounts the directory beside the link."""
    (tmp_path / "real").mkdir()
    folder.write(APP, "real/broker.toml")
    folder.write(ROLES, "payments.d/x.toml")
    folder.file.symlink_to("real/broker.toml")
    assert names(load(folder.file, HOME, uid=1000)) == ["payment-x"]


def test_the_environment_form_has_no_directory(folder, tmp_path):
    """Nothing lies beside it."""
    folder.write(ROLES, "payments.d/x.toml")
    environ = {**HOME, "USPS_CLIENT_ID": "x", "USPS_CLIENT_SECRET": "y"}
    assert names(load(None, environ, uid=1000, default_path=tmp_path / "none.toml")) == []


def test_a_thousand_files_are_no_trouble(folder):
    """Platforms have hundreds."""
    for number in range(1000):
        folder.write(ROLES, f"payments.d/m{number}.toml")
    assert len(names(folder.load(APP))) == 1000


def test_nothing_is_merged_when_the_main_file_is_missing(folder):
    """The slots alone are no configuration."""
    folder.write(ROLES, "payments.d/x.toml")
    with pytest.raises(ConfigError, match="no such file"):
        load(folder.file, HOME, uid=1000)


def test_a_name_that_would_write_to_the_terminal_is_escaped(folder):
    """Whoever may write files there may not forge lines of the log."""
    folder.write(ROLES, "payments.d/a\n\x1b[31m.toml")
    [warning] = folder.load(APP).warnings
    assert "a\\U0000000a\\U0000001b[31m.toml" in warning
    assert "\x1b" not in warning


def test_a_directory_we_may_not_list_is_told():
    """The slots in it are missing, and somebody should know why."""

    def look() -> str:
        [warning] = load(folder.file, HOME, uid=1000).warnings
        return warning

    with tempfile.TemporaryDirectory(prefix="utb-") as base:
        folder = Folder(Path(base))  # below tmp_path an ordinary user sees nothing at all
        folder.path.chmod(0o755)
        folder.write(APP)
        directory = folder.write(ROLES, "payments.d/x.toml").parent
        directory.chmod(0o000)
        assert as_ordinary_user(look) == f"{directory} is not used: Permission denied"
        directory.chmod(0o700)
