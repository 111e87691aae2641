"""The command `samplerfuzz`: a table of verbs, and what an error becomes.

A verb is a module with an attribute `command`; it is imported when it is called, so that `samplerfuzz --help` loads none.
"""

from __future__ import annotations

import difflib
import importlib
import sys
import traceback
from collections.abc import Sequence

import click

import samplerfuzz
from samplerfuzz.core.errors import NothingTestedError, SamplerFuzzError

USAGE, NOTHING_TESTED, OUR_BUG, INTERRUPTED = 2, 3, 70, 130

VERBS: dict[str, tuple[str, str]] = {
    "fuzz": ("samplerfuzz.cli.fuzz", "Look for bugs in a sampler: yours, or the built-in ones."),
    "replay": ("samplerfuzz.cli.replay", "Run recorded findings again: fixed, or not."),
    "compare": ("samplerfuzz.cli.compare", "Throw the same cases at two samplers: where they differ, and why."),
    "targets": ("samplerfuzz.cli.targets", "Install, try or remove released libraries as targets."),
    "report": ("samplerfuzz.cli.report", "Write a finding as a bug report, or all there is as one page."),
    "baseline": ("samplerfuzz.cli.baseline", "Accept known findings, so that CI fails only on new ones."),
    "corpus": ("samplerfuzz.cli.corpus", "Merge, minimise or list the cases that runs keep."),
    "init": ("samplerfuzz.cli.init", "Put samplerfuzz into a project: settings and a CI workflow."),
    "doctor": ("samplerfuzz.cli.doctor", "Try everything that a run needs, and say what does not work."),
    "generate": ("samplerfuzz.cli.generate", "Continue a prompt, at any real temperature."),
    "probe": ("samplerfuzz.cli.probe", "Ask a model what it does at the limits, and what it cannot say."),
    "policy": ("samplerfuzz.cli.policy", "Write, check or show what a deployment may be asked for."),
    "guard": ("samplerfuzz.cli.guard", "Hold a server's requests to a policy, and watch its answers."),
    "models": ("samplerfuzz.cli.models", "List, get or describe the models."),
    "zoo": ("samplerfuzz.cli.zoo", "Fuzz the documented bugs of the zoo: the kill matrix."),
    "bench": ("samplerfuzz.cli.bench", "Measure samplers, fuzzing, models and the guard beside others."),
    "ls": ("samplerfuzz.cli.ls", "List techniques, dialects, checks, targets, models or the zoo."),
    "explain": ("samplerfuzz.cli.explain", "Explain a check, a sampling technique or a dialect."),
}

EXAMPLES = """\
\b
Examples:
  samplerfuzz fuzz                                  the built-in samplers
  samplerfuzz fuzz my_sampler.py:top_p              a function of yours
  samplerfuzz explain kept_token_has_probability    what a finding means
  samplerfuzz generate tiny "Once upon a time" --temperature -0.001

\b
Exit status: 0 nothing found, 1 findings, 2 usage error,
3 nothing could be tested, 70 a bug of samplerfuzz itself, 130 interrupted.
"""


class LazyGroup(click.Group):
    """A group whose commands are the table VERBS."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs, in the order of the table."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the verb's module and return its `command`; an unknown verb is a usage error that names the nearest."""
        if cmd_name not in VERBS:
            close = difflib.get_close_matches(cmd_name, VERBS, n=1)
            ctx.fail(f"no verb {cmd_name!r}; {f'did you mean {close[0]!r}? ' if close else ''}known: {', '.join(VERBS)}")
        command: click.Command = importlib.import_module(VERBS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the one-line helps of the table, importing no verb."""
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, line) for verb, (_, line) in VERBS.items()])


@click.group(cls=LazyGroup, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(samplerfuzz.__version__, prog_name="samplerfuzz")
def group() -> None:
    """Find the bugs between a language model's logits and the token it emits."""
    from samplerfuzz.cli.compiled import keep_compiled

    keep_compiled()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command line and exit with its status; an unexpected exception is a bug of ours, and its traceback is printed."""
    sys.exit(_status(arguments))


def _status(arguments: Sequence[str] | None) -> int:
    try:
        value = group.main(args=None if arguments is None else list(arguments), prog_name="samplerfuzz", standalone_mode=False)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return USAGE
    except click.ClickException as error:
        _say(error.format_message())
        return USAGE
    except NothingTestedError as error:
        _say(str(error))
        return NOTHING_TESTED
    except SamplerFuzzError as error:
        _say(str(error))
        return USAGE
    except Exception as error:
        traceback.print_exc()
        _say(
            f"this is a bug of samplerfuzz, not of what it tests ({type(error).__name__}); please report it with the traceback above. "
            "What a run had recorded is in its report directory."
        )
        return OUR_BUG
    return value if isinstance(value, int) else 0


def _say(message: str) -> None:
    click.echo(f"error: {message}", err=True)
