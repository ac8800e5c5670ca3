"""Payment roles that USPS would refuse are told when the configuration is read."""

from pathlib import Path

import pytest
from configs import ROLES, Folder, app_with

from usps_token_broker.config import load


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def payment(roles: str) -> str:
    return app_with(f"[apps.default.payments.default]\nroles = [{roles}]")


def test_roles_that_usps_would_grant_are_not_remarked_upon(folder):
    """No warning at all."""
    assert folder.load(app_with(f"[apps.default.payments.default]\n{ROLES}")).warnings == ()


def test_a_missing_role_is_told_with_the_number_of_usps_and_what_to_write(folder):
    """As a warning: PC Postage providers have none."""
    [warning] = folder.load(
        payment('{ roleName = "LABEL_OWNER", CRID = "12", MID = "123456", manifestMID = "123456" }')
    ).warnings
    assert warning == (
        "app default, payment: PAYER is required: USPS would refuse it with 160228, unless it has "
        "set this account up so; add the role PAYER to the configuration; then "
        "`usps-token-broker reload`"
    )


def test_a_field_is_told_by_the_place_of_its_role_and_without_its_value(folder):
    """It may be an account number in the wrong place."""
    told = "\n".join(
        folder.load(
            payment('{ roleName = "PAYER", CRID = "1", MID = "77001122334455", accountType = "X" }')
        ).warnings
    )
    assert "roles[0]: MID must be 6 or 9 digits: USPS would refuse it; write it as" in told
    assert "with 160390" in told
    assert "77001122334455" not in told


@pytest.mark.parametrize(
    ("role", "said"),
    [
        ('roleName = "PAYER", crid = "12"', 'roles[0]: USPS knows no "crid"; write CRID'),
        ('roleName = "PAYER", permitZIPCode = "1"', '"permitZIPCode"; write permitZIP'),
        ('roleName = "PAYER", account_number = "1"', '"account_number"; write accountNumber'),
        ('roleName = "payer"', 'roles[0]: roleName is nearly right; write roleName = "PAYER"'),
        ('roleName = "LABEL OWNER"', 'write roleName = "LABEL_OWNER"'),
        ('roleName = "PAYER", CRID = " 12345678"', "roles[0]: CRID has blanks in it"),
    ],
)
def test_what_is_nearly_right_is_told_with_what_was_meant(folder, role, said):
    """`requires CRID` alone sends people looking for what they have written."""
    assert said in "\n".join(folder.load(payment(f"{{ {role} }}")).warnings)


def test_what_usps_may_know_and_we_do_not_is_no_slip(folder):
    """Roles are passed on unchanged."""
    role = ROLES.replace('roleName = "PAYER"', 'roleName = "PAYER", accountZIP = "20260"')
    assert role != ROLES
    assert folder.load(app_with(f"[apps.default.payments.default]\n{role}")).warnings == ()


def test_a_role_that_is_not_known_is_looked_at_all_the_same(folder):
    """All that is wrong is told at once."""
    told = "\n".join(folder.load(payment('{ roleName = "NEW_ROLE", MID = "1" }')).warnings)
    assert "MID must be 6 or 9 digits" in told


def test_roles_of_the_environment_are_judged_too(folder):
    """As those of a file."""

    environ = {
        "USPS_CLIENT_ID": "the-id",
        "USPS_CLIENT_SECRET": "x" * 20,
        "USPS_PAYMENT_ROLES": '[{"roleName": "PAYER", "CRID": "12"}]',
        "XDG_RUNTIME_DIR": "/run/user/1000",
    }
    settings = load(None, environ, uid=1000, default_path=folder.path / "none.toml")
    assert any("160229" in warning for warning in settings.warnings)


def test_hundreds_of_the_same_faults_are_told_together(folder):
    """Twenty by themselves, and how many more."""
    for n in range(30):
        folder.write('roles = [{ roleName = "SHIPPER", CRID = "12" }]', f"payments.d/m{n}.toml")
    warnings = folder.load(app_with("")).warnings
    assert len(warnings) == 21
    assert warnings[-1] == "app default: 40 more such faults of payment roles"
