"""Which libraries samplerfuzz drives, the versions it was tried with, and how pip installs them."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from samplerfuzz.core.errors import UsageError

# named first and by itself: everything that asks for torch later is content with this build
_TORCH = ("torch==2.13.0",)
_JAX = ("jax==0.10.2",)
# what the sampling methods of gemma import; all that gemma asks for would bring tensorflow
_OF_GEMMA = (
    "kauldron==1.4.2",
    "etils==1.15.0",
    "clu==0.0.12",
    "jaxtyping==0.3.11",
    "absl-py==2.5.1",
    "wadler-lindig",
    "typing_extensions",
    "lark",
    "typeguard",
    "einops",
)


@dataclass(frozen=True, kw_only=True)
class Library:
    """A library whose samplers can be tested.

    Attributes:
      name: on the command line.
      version: what the adapter was tried with.
      steps: arguments of pip, in order; `{version}` stands for the version wanted.
      size: of the environment, in megabytes, about.
      every_push: whether this project's own CI tests it at every push, or a person before a release.
      minutes: how long installing takes on 2 cores, where it is more than the download.
    """

    name: str
    version: str
    steps: tuple[tuple[str, ...], ...]
    size: int
    every_push: bool = False
    minutes: int = 0


# fmt: off
LIBRARIES: dict[str, Library] = {library.name: library for library in (
    Library(name="numpy", version="2.4.6", steps=(("numpy=={version}",),), size=60, every_push=True),
    Library(name="transformers", version="5.23.0", steps=(_TORCH, ("transformers=={version}",)), size=1000, every_push=True),
    Library(name="x-transformers", version="2.31.10", steps=(_TORCH, ("x-transformers=={version}",)), size=800, every_push=True),
    Library(name="torch", version="2.13.0", steps=(("torch=={version}", "numpy"),), size=800),
    Library(name="jax", version="0.10.2", steps=(("jax=={version}",),), size=600),
    Library(name="keras-hub", version="0.32.0", steps=(_JAX, ("keras==3.15.1",), ("--no-deps", "keras-hub=={version}")), size=700),
    Library(name="gemma", version="3.3.0", steps=(_JAX, ("--no-deps", "gemma=={version}", *_OF_GEMMA)), size=650),
    Library(name="llama.cpp", version="0.3.36", steps=(("llama-cpp-python=={version}",),), size=120, minutes=11),
    Library(name="mlx-lm", version="0.32.2", steps=(("mlx[cpu]==0.32.4", "numpy==2.4.6"), ("--no-deps", "mlx-lm=={version}")), size=320, every_push=True),
    Library(name="onnxruntime-genai", version="0.18.0", steps=(("onnxruntime-genai=={version}", "onnx", "onnxruntime"),), size=400),
    Library(name="ctranslate2", version="4.8.5", steps=(("ctranslate2=={version}",),), size=250),
)}
# fmt: on


def find_library(name: str) -> Library:
    """Return the library `name`.

    Raises:
      UsageError: there is none; the message lists those there are.
    """
    if name in LIBRARIES:
        return LIBRARIES[name]
    close = difflib.get_close_matches(name, LIBRARIES, n=1)
    raise UsageError(f"unknown library {name!r}; {f'did you mean {close[0]!r}? ' if close else ''}known: {', '.join(LIBRARIES)}")
