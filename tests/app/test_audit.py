"""Who was handed which token, in few lines: instants counted by hand."""

import pytest

from usps_token_broker.app import audit
from usps_token_broker.app.audit import Audit
from usps_token_broker.drivers.processes import GONE, HIDDEN, Sight

BEARER = ("default/bearer",)
PAYMENT = ("default/payment",)
BOTH = (*BEARER, *PAYMENT)
PHP = Sight(100, "php-fpm.service", "/usr/bin/php")
CURL = Sight(200, "cron.service", name="curl")


class Host:
    """Processes as they are seen, and what was said of them."""

    def __init__(self):
        self.sights = {}
        self.looks = 0
        self.lines = []
        self.audit = Audit(self.look, lambda pid: pid in self.sights, self.lines.append)

    def look(self, pid):
        self.looks += 1
        return self.sights.get(pid, Sight(unseen=GONE))

    def took(self, pid, tokens=BEARER, now=0.0, sight=None, uid=1001):
        """What is said when this process is handed these tokens."""
        before = len(self.lines)
        if sight is not None:
            self.sights[pid] = sight
        self.audit.took(uid, pid, tokens, now)
        return self.lines[before:]

    def sum_up(self):
        before = len(self.lines)
        self.audit.sum_up()
        return self.lines[before:]


@pytest.fixture
def host():
    return Host()


def started(sight, at):
    return Sight(at, sight.unit, sight.executable, sight.name)


# The first process of a program


def test_the_first_process_of_a_program_is_told_at_once(host):
    """What it took, who it is, what it is."""
    [line] = host.took(7, BOTH, sight=PHP)
    who, what = "uid=1001 pid=7", "unit=php-fpm.service exe=/usr/bin/php"
    assert line == f"handed out: tokens=default/bearer,default/payment {who} {what}"


def test_a_name_that_a_process_gives_itself_is_told_apart_from_a_path(host):
    """`comm=` is a claim."""
    [line] = host.took(7, sight=CURL)
    assert line.endswith(" unit=cron.service comm=curl")


@pytest.mark.parametrize("why", [GONE, HIDDEN])
def test_who_cannot_be_seen_is_told_with_the_reason(host, why):
    """The uid and the pid are the kernel's word all the same."""
    [line] = host.took(7, sight=Sight(unseen=why))
    assert line == f"handed out: tokens=default/bearer uid=1001 pid=7 process={why}"


def test_a_process_is_told_once(host):
    """However often it asks, and however long it lives."""
    host.took(7, sight=PHP)
    assert [host.took(7, now=float(now)) for now in range(0, 4000, 7)].count([]) == 572
    assert host.sum_up() == []


def test_a_token_that_a_program_had_not_taken_before_is_told(host):
    """A worker for addresses that begins to take payment tokens."""
    host.took(7, sight=PHP)
    [line] = host.took(7, BOTH)
    assert line.startswith("handed out: tokens=default/payment uid=1001 pid=7 ")


@pytest.mark.parametrize(
    ("pid", "sight", "uid"),
    [
        (8, Sight(100, "php-fpm.service", "/tmp/php"), 1001),
        (8, Sight(100, "shop.service", "/usr/bin/php"), 1001),
        (8, PHP, 1002),
        (7, PHP, 1002),
    ],
    ids=["executable", "unit", "uid", "uid of the same process"],
)
def test_another_combination_is_told(host, pid, sight, uid):
    """By each of what makes it up."""
    host.took(7, sight=PHP)
    assert len(host.took(pid, sight=sight, uid=uid)) == 1


# One and the same process


def test_a_known_process_is_not_looked_at_within_a_second(host):
    """A pid cannot have come round."""
    host.took(7, sight=PHP)
    for now in (0.1, 0.5, 0.99):
        host.took(7, now=now)
    assert host.looks == 1
    host.took(7, now=1.0)
    assert host.looks == 2


def test_a_pid_that_is_used_again_is_another_process(host):
    """By the instant at which it started."""
    host.took(7, sight=PHP)
    host.took(7, now=1.0, sight=started(PHP, 999))
    [line] = host.sum_up()
    assert " more_processes=1 " in line


def test_a_process_that_has_become_another_program_is_told(host):
    """By exec: pid and start are the same."""
    host.took(7, sight=PHP)
    [line] = host.took(7, now=1.0, sight=Sight(PHP.started_at, PHP.unit, "/usr/bin/evil"))
    assert line.endswith(" exe=/usr/bin/evil")


def test_a_process_that_started_after_the_connection_did_not_make_it(host):
    """Who did has ended, and a child holds its connection: it cannot be taken for whoever came."""
    host.sights[7] = PHP
    host.audit.took(1001, 7, BEARER, 200.0, PHP.started_at - 0.01)
    assert host.lines == ["handed out: tokens=default/bearer uid=1001 pid=7 process=gone"]
    host.audit.took(1001, 7, BEARER, 201.0, PHP.started_at)
    assert host.lines[1].endswith("/usr/bin/php")


# Many of them


def test_further_processes_of_a_program_are_summed_up(host):
    """A thousand shells are one line at once, and one when the interval is over."""
    said = [host.took(pid, sight=started(CURL, pid)) for pid in range(1, 1001)]
    assert sum(map(len, said)) == 1
    assert host.sum_up() == [
        "handed out: tokens=default/bearer uid=1001 more_processes=999 unit=cron.service comm=curl"
    ]
    assert host.sum_up() == []


def test_a_user_whose_programs_change_their_names_has_few_lines(host):
    """And the rest is a number."""
    said = [host.took(n, sight=Sight(n, "cron.service", name=f"x{n}")) for n in range(1, 501)]
    assert sum(map(len, said)) == audit.LINES_PER_UID
    assert host.sum_up() == [
        f"handed out: and_more_processes_not_listed={500 - audit.LINES_PER_UID}"
    ]


def test_it_hides_nobody_of_another_user(host):
    """Each uid has lines of its own."""
    for n in range(1, 501):
        host.took(n, sight=Sight(n, name=f"x{n}"))
    assert len(host.took(7777, sight=PHP, uid=1002)) == 1


def test_the_lines_of_an_interval_are_bounded_for_all_together(host):
    """Whatever many users do."""
    for n in range(1, 2001):
        host.took(n, sight=Sight(n, name=f"x{n}"), uid=n)
    assert len(host.lines) == audit.LINES
    assert len(host.sum_up()) == 1


def test_summaries_are_bounded_and_the_busiest_come_first(host):
    """Those left out are counted."""
    for n in range(audit.SUMMARIES + 6):
        host.took(n, sight=Sight(n, name=f"x{n}"), uid=n)
        for more in range(n + 1):
            host.took(n * 1000 + more + 5000, sight=Sight(more + 1, name=f"x{n}"), uid=n)
    lines = host.sum_up()
    assert len(lines) == audit.SUMMARIES + 1
    assert f"more_processes={audit.SUMMARIES + 6} " in lines[0]
    assert lines[-1] == f"handed out: and_more_processes_not_listed={1 + 2 + 3 + 4 + 5 + 6}"


def test_summaries_of_one_user_hide_none_of_another(host):
    """One has a hundred programs by now, with many processes each; the other started two."""
    for n in range(100):
        host.took(10 * n, sight=Sight(1, name=f"x{n}"))
        host.sum_up()
    for n in range(100):
        for more in range(1, 6):
            host.took(10 * n + more, sight=Sight(1, name=f"x{n}"))
    host.took(7001, sight=PHP, uid=1002)
    host.took(7002, sight=PHP, uid=1002)
    lines = host.sum_up()
    assert len([line for line in lines if " uid=1001 " in line]) == audit.LINES_PER_UID
    assert len([line for line in lines if " uid=1002 more_processes=1 " in line]) == 1
    assert lines[-1].endswith(f"={5 * (100 - audit.LINES_PER_UID)}")


def test_the_next_interval_has_lines_again(host):
    """What was left out is told when it comes again."""
    for n in range(1, 501):
        host.took(n, sight=Sight(n, name=f"x{n}"))
    host.sum_up()
    assert len(host.took(9000, sight=Sight(1, name="x400"))) == 1


def test_memory_is_bounded(host):
    """A hundred thousand processes of as many names, all alive."""
    for n in range(100_000):
        host.took(n, sight=Sight(n, name=f"x{n}"), uid=n % 50)
        if n % 100 == 0:
            host.audit.sum_up()
    assert len(host.audit._processes) <= audit._PROCESSES
    assert len(host.audit._programs) <= audit._PROGRAMS
    assert len(host.audit._lines) <= audit.LINES


def test_a_crowd_that_comes_and_goes_lets_nobody_be_forgotten_who_stays(host):
    """A worker is not counted again because shells came by."""
    host.took(1, sight=PHP)
    for n in range(2, 20_000):
        host.took(n, now=n / 1000, sight=started(CURL, n))
        del host.sights[n]
    assert host.took(1, now=60.0) == []
    assert not [line for line in host.sum_up() if "php" in line]


# Names are anybody's


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("x\nhanded out: y", r'"x\nhanded out: y"'),
        ("x\x1b[2J", r'"x\u001b[2J"'),
        ("x uid=0", '"x uid=0"'),
        ('x" uid=0', r'"x\" uid=0"'),
        ("\u202egpj", r'"\u202egpj"'),
        ("\udcff", r'"\udcff"'),
        ("x\n", r'"x\n"'),
        ("\u0661", r'"\u0661"'),
    ],
)
def test_a_name_cannot_look_like_anything_else(host, name, shown):
    """One value, in ASCII, on the line."""
    [line] = host.took(7, sight=Sight(1, name=name))
    assert line == f"handed out: tokens=default/bearer uid=1001 pid=7 comm={shown}"


def test_a_path_and_a_unit_are_escaped_as_well(host):
    """Whoever may make folders chooses those."""
    [line] = host.took(7, sight=Sight(1, "/a\nb", "/tmp/a b"))
    assert line.endswith(r' unit="/a\nb" exe="/tmp/a b"')
