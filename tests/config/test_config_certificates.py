"""`ca_file`: looked at when the configuration is read, since a call would find out by night."""

import os
import ssl

import pytest
import trustme
from configs import app_with
from ordinary_user import as_ordinary_user

from usps_token_broker.config.certificates import CertificatesKind

PEM = trustme.CA().cert_pem.bytes()
DER = ssl.PEM_cert_to_DER_cert(PEM.decode())


@pytest.fixture
def refused(folder):
    """What is said of a ca_file with this content, without the way to it."""

    def refuse(content=None):
        path = folder.path / "ca.pem" if content is None else folder.write(content, "ca.pem")
        [problem] = folder.refusal(app_with(f'ca_file = "{path}"')).problems
        assert (problem.source, problem.key) == (str(folder.file), "apps.default.ca_file")
        assert problem.expected == "a file of CA certificates in PEM form"
        assert problem.fix
        begin = f"{path}: "
        assert problem.found.startswith(begin)
        return problem.found.removeprefix(begin), problem.fix

    return refuse


@pytest.mark.parametrize(
    "content", [PEM, PEM * 3, "Straße 1\n".encode() + PEM, b"\r\n" + PEM.replace(b"\n", b"\r\n")]
)
def test_certificates_in_pem_form_are_taken(folder, content):
    """One or many, with remarks between them, from any editor."""
    path = folder.write(content, "ca.pem")
    assert folder.load(app_with(f'ca_file = "{path}"')).apps[0].ca_file == path


def test_a_missing_file_is_said(refused):
    """Before anybody waits for a token."""
    fix = "check the path, or take ca_file out to trust the system's certificates"
    assert refused() == ("no such file", fix)


@pytest.mark.parametrize(
    ("content", "found", "fix"),
    [
        (b"", "it is empty", "put the CA's certificate there"),
        (b" \n\n", "it is empty", "put the CA's certificate there"),
        (b"hello", "no certificate in it", "openssl x509"),
        (DER, "no certificate in it", "if it is one in DER form: openssl x509 -in "),
        (trustme.CA().private_key_pem.bytes(), "no certificate in it", "openssl x509"),
        (PEM[:200], "a damaged certificate in it", "copy the CA's certificate anew"),
        (PEM + PEM[:200], "a damaged certificate in it", "copy the CA's certificate anew"),
    ],
)
def test_a_file_that_cannot_be_used_is_said(refused, content, found, fix):
    """What is in it is not shown: it may be a key."""
    said, to_do = refused(content)
    assert said == found
    assert to_do.startswith(fix) or fix in to_do
    assert "PRIVATE" not in said + to_do


def test_the_command_for_der_form_works_with_any_path(folder):
    """It can be pasted."""
    path = folder.write(DER, "a b.der")
    error = folder.refusal(app_with(f'ca_file = "{path}"'))
    assert f"openssl x509 -in '{path}' -out CA.pem" in str(error)


def test_a_file_that_everybody_can_write_is_refused(folder):
    """They could have the client secret sent anywhere."""
    path = folder.write(PEM, "ca.pem")
    path.chmod(0o666)
    error = folder.refusal(app_with(f'ca_file = "{path}"'))
    assert f"chmod o-w {path}" in str(error)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_said_and_not_waited_for(folder, refused, make):
    """Nobody will ever write into that FIFO."""
    make(folder.path / "ca.pem")
    assert refused()[0] in {"a directory", "something else"}


def test_a_file_that_may_not_be_read_says_by_whom(folder):
    """The broker's own user, not the administrator who looks."""
    path = folder.write(PEM, "ca.pem")
    path.chmod(0)

    def look():
        [fault] = CertificatesKind().read(str(path)).faults
        me = f"let uid {os.geteuid()}, whom the broker runs as"
        return f"{fault.found} {fault.fix.startswith(me)}"

    assert as_ordinary_user(look) == f"{path}: permission denied True"
