"""What a command line comes to: its exit status, and what it says where."""

import click
import pytest

import samplerfuzz
from samplerfuzz.cli import main as cli
from samplerfuzz.core.errors import NothingTestedError, UsageError


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    printed = capsys.readouterr()
    return ended.value.code, printed.out, printed.err


@pytest.fixture
def verb(monkeypatch):
    """Give the group one verb, `try`, that does what the test says."""

    def install(body, *parameters):
        command = click.Command("try", callback=body, params=list(parameters))
        monkeypatch.setattr(cli.LazyGroup, "get_command", lambda self, ctx, name: command)

    return install


def raising(error):
    def body():
        raise error

    return body


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (UsageError("top_p=2: expected 0 to 1"), 2, "error: top_p=2: expected 0 to 1\n"),
        (NothingTestedError("no verdict"), 3, "error: no verdict\n"),
        (click.UsageError("no such thing"), 2, "error: no such thing\n"),
        (click.FileError("a.txt", "missing"), 2, "error: Could not open file 'a.txt': missing\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_an_error_becomes_a_message_and_a_status(capsys, verb, error, status, message):
    verb(raising(error))
    code, out, err = run(capsys, "try")
    assert (code, out) == (status, "")
    assert err.lstrip("\n") == message


def test_a_bug_of_ours_has_a_status_of_its_own_and_shows_its_traceback(capsys, verb):
    verb(raising(ZeroDivisionError("ours")))
    code, out, err = run(capsys, "try")
    assert (code, out) == (70, "")
    traceback, _, message = err.partition("error: ")
    assert traceback.startswith("Traceback (most recent call last):")
    assert traceback.endswith("ZeroDivisionError: ours\n")
    assert message.startswith("this is a bug of samplerfuzz, not of what it tests (ZeroDivisionError)")


@pytest.mark.parametrize("status", [0, 1, 3, 130])
def test_a_verb_decides_its_status(capsys, verb, status):
    verb(raising(SystemExit(status)))
    assert run(capsys, "try")[0] == status
    verb(lambda: status)
    assert run(capsys, "try")[0] == status


@pytest.mark.parametrize("text", ["-0.001", "-inf", "-1e-45", "-0.0"])
def test_a_negative_number_is_a_value(capsys, verb, text):
    verb(lambda temperature: click.echo(repr(temperature)), click.Option(["--temperature"], type=float))
    assert run(capsys, "try", "--temperature", text) == (0, f"{float(text)!r}\n", "")


def test_an_unknown_verb_names_the_nearest(capsys):
    code, out, err = run(capsys, "fuz")
    assert (code, out) == (2, "")
    assert err.startswith("error: no verb 'fuz'; did you mean 'fuzz'? known: fuzz, ")


def test_no_verb_prints_the_help(capsys):
    code, out, err = run(capsys)
    assert code == 2
    assert "Verbs:" in out + err


def test_the_help_names_every_verb(capsys):
    code, out, _ = run(capsys, "--help")
    assert code == 0
    section = out.partition("Verbs:")[2].partition("Examples:")[0]
    assert [line.split()[0] for line in section.splitlines() if line.strip()] == list(cli.VERBS)


def test_the_version_is_the_package_version(capsys):
    assert run(capsys, "--version") == (0, f"samplerfuzz, version {samplerfuzz.__version__}\n", "")
