"""Who may have what: rules, and how identities meet them."""

import pytest
from interface import LABELS, OWN_UID, SHOP, app

from usps_token_broker.app.access import AccessTable
from usps_token_broker.config import AppSettings, SlotSettings
from usps_token_broker.core.values import SlotId
from usps_token_broker.drivers.peers import OVERFLOW_ID
from usps_token_broker.drivers.secret_source import EnvironmentSource

BEARER = SlotId("default", "bearer")
PAYMENT = SlotId("default", "payment")
ALICE_UID = 1001
STRANGER_UID = 1003


def table(*apps, own_uid=OWN_UID):
    return AccessTable(apps or (app(),), own_uid)


def for_users(*users, groups=()):
    slot = SlotSettings("bearer", frozenset(users), frozenset(groups), required=True)
    return AppSettings(
        "default", "https://h", "h", "id", EnvironmentSource("USPS_CLIENT_SECRET"), bearer=slot
    )


@pytest.mark.parametrize("uid", [0, OWN_UID])
def test_root_and_the_daemons_own_user_may_have_everything(uid):
    """Also what no rule opens to anybody."""
    access = table(app(open_to={})).of(uid, ())
    assert access.slots == {BEARER, PAYMENT}
    assert access.administrator


def test_a_stranger_may_have_nothing():
    """Whatever groups it is in."""
    access = table().of(STRANGER_UID, {100, 27, 4})
    assert (access.slots, access.apps, access.administrator) == (frozenset(), (), False)


def test_a_group_opens_its_slots_and_no_others():
    """Per token."""
    assert table().of(ALICE_UID, {100, SHOP}).slots == {BEARER}
    assert table().of(ALICE_UID, {100, LABELS}).slots == {BEARER, PAYMENT}


def test_a_user_is_let_in_by_its_own_name():
    """Without any group."""
    rules = table(for_users(ALICE_UID))
    assert rules.of(ALICE_UID, ()).slots == {BEARER}
    assert rules.of(STRANGER_UID, ()).slots == frozenset()


def test_a_gid_is_no_uid():
    """A user whose number is that of an open group is not in it."""
    assert table().of(SHOP, {100}).slots == frozenset()
    assert table(for_users(ALICE_UID)).of(STRANGER_UID, {ALICE_UID}).slots == frozenset()


def test_who_the_kernel_cannot_name_matches_no_rule():
    """65534 stands for anybody: neither as a user, nor in a group, nor when it is our own."""
    rules = table(for_users(OVERFLOW_ID, groups=(OVERFLOW_ID,)), own_uid=OVERFLOW_ID)
    assert rules.of(OVERFLOW_ID, {OVERFLOW_ID}).slots == frozenset()
    assert not rules.of(OVERFLOW_ID, ()).administrator
    assert rules.of(STRANGER_UID, {OVERFLOW_ID}).slots == frozenset()


def test_who_the_kernel_cannot_name_may_still_be_in_a_group_that_it_can():
    """A mapped group is a word that can be trusted."""
    assert table().of(OVERFLOW_ID, {SHOP}).slots == {BEARER}


def test_one_identity_is_judged_once():
    """A thousand connections of one worker share one record, whatever the order of its groups."""
    rules = table()
    assert rules.of(ALICE_UID, (SHOP, 100)) is rules.of(ALICE_UID, (100, SHOP))
    assert rules.of(ALICE_UID, (SHOP,)) is not rules.of(ALICE_UID, (LABELS,))


def test_identities_are_remembered_within_bounds():
    """A host with more users than that is served all the same."""
    rules = table()
    for uid in range(10_000, 13_000):
        rules.of(uid, {SHOP})
    assert len(rules._known) <= 1024
    assert rules.of(10_000, {SHOP}).slots == {BEARER}


def test_the_app_that_is_meant():
    """That one, the only one, or `default`; none when it is unclear or of others."""
    everybody = {"bearer": (SHOP,)}
    two = table(app("b", open_to=everybody), app("a", open_to=everybody))
    three = table(app("b", open_to=everybody), app("default", open_to=everybody))
    one = table(app("b", open_to=everybody), app("a", open_to={}))
    assert two.of(ALICE_UID, {SHOP}).apps == ("a", "b")
    assert two.of(ALICE_UID, {SHOP}).app(None) is None
    assert two.of(ALICE_UID, {SHOP}).app("a") == "a"
    assert three.of(ALICE_UID, {SHOP}).app(None) == "default"
    assert one.of(ALICE_UID, {SHOP}).app(None) == "b"
    assert one.of(ALICE_UID, {SHOP}).app("a") is None


def test_only_slots_of_that_app_that_are_open_are_named():
    """For the words of a refusal."""
    assert table().of(ALICE_UID, {SHOP}).slot_names("default") == ("bearer",)
    assert table().of(ALICE_UID, {SHOP}).slot_names("other") == ()


def test_an_access_does_not_show_what_was_asked():
    """Its repr may stand in a log."""
    access = table().of(ALICE_UID, {SHOP})
    access.plans[b"/v1/tokens/bearer?scope=private"] = object()
    assert "private" not in repr(access)
