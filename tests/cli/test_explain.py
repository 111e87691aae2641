"""`explain` and `ls`: everything in a table can be listed and explained."""

import pytest

from samplerfuzz.checks.http.claims import own_claims
from samplerfuzz.checks.registry import load_all
from samplerfuzz.cli.main import main
from samplerfuzz.core.dialects import DIALECTS
from samplerfuzz.core.registry import TECHNIQUES
from samplerfuzz.llama.models import known
from samplerfuzz.targets import builtin
from samplerfuzz.zoo import DEFECTS, UNEXPRESSED


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    printed = capsys.readouterr()
    return ended.value.code, printed.out, printed.err


@pytest.mark.parametrize("name", sorted({**load_all(), **own_claims()}))
def test_every_check_is_explained(capsys, name):
    check = {**load_all(), **own_claims()}[name]
    code, out, err = run(capsys, "explain", name)
    assert (code, err) == (0, "")
    head, _, body = out.partition("\n\n")
    assert head == f"{name}\n  severity {check.severity}, kind {check.kind}"
    assert len(body.split()) >= 10, "an explanation is a paragraph"


@pytest.mark.parametrize("name", TECHNIQUES)
def test_every_technique_is_explained(capsys, name):
    code, out, err = run(capsys, "explain", name)
    assert (code, err) == (0, "")
    assert out.startswith(f"{name}\n  {TECHNIQUES[name].summary}\n")
    assert all(parameter.name in out.partition("Parameters:")[2] for parameter in TECHNIQUES[name].parameters)


def test_explain_lists_everything(capsys):
    listed = {line.split()[0] for line in run(capsys, "explain")[1].splitlines() if line.startswith("  ")}
    assert listed == {*load_all(), *own_claims(), *TECHNIQUES, *DIALECTS}


@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_is_explained(capsys, name):
    code, out, err = run(capsys, "explain", "dialect", name)
    assert (code, err) == (0, "")
    assert out == run(capsys, "explain", name)[1]
    assert out.startswith(f"{name} ({DIALECTS[name].version})\n  {DIALECTS[name].source}\n")
    assert all(parameter in out.partition("Parameters:")[2] for parameter in DIALECTS[name].known())
    assert all(convention in out.partition("Conventions:")[2] for convention in DIALECTS[name].behaviour)


def test_two_words_that_are_no_kind_and_name_are_refused(capsys):
    code, _, err = run(capsys, "explain", "top_p", "top_k")
    assert code == 2
    assert "explain dialect NAME" in err


def test_an_unknown_name_names_the_nearest(capsys):
    code, out, err = run(capsys, "explain", "top_q")
    assert (code, out) == (2, "")
    assert err.startswith("error: nothing called 'top_q' to explain; did you mean 'top_p'? known: ")


LISTED = {
    "techniques": TECHNIQUES,
    "dialects": DIALECTS,
    "checks": {**load_all(), **own_claims()},
    "targets": builtin.names(),
    "models": known(),
    "zoo": [*DEFECTS, *UNEXPRESSED],
}


@pytest.mark.parametrize("kind", LISTED)
def test_ls_prints_one_line_each(capsys, kind):
    code, out, err = run(capsys, "ls", kind)
    assert (code, err) == (0, "")
    assert sorted(line.split()[0] for line in out.splitlines()) == sorted(LISTED[kind])


def test_ls_of_something_else_is_refused(capsys):
    code, out, err = run(capsys, "ls", "planets")
    assert (code, out) == (2, "")
    assert "'planets'" in err
    assert "techniques" in err
