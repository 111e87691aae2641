"""Settings of every test: Hypothesis measures no time here, since a loaded machine is no finding."""

import os
import shutil
import signal
import tempfile

import hypothesis

hypothesis.settings.register_profile("samplerfuzz", deadline=None, print_blob=True, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("samplerfuzz")

# a shell starts its background jobs with Ctrl-C ignored, and the tests of interrupts would inherit that
signal.signal(signal.SIGINT, signal.default_int_handler)

# The user's cache is none of the tests' business: what one process compiles the others of this run find, and it goes with the run.
os.environ["SAMPLERFUZZ_NO_COMPILATION_CACHE"] = "1"
_COMPILED = None
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    _COMPILED = tempfile.mkdtemp(prefix="compiled-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _COMPILED
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.2"


def pytest_unconfigure():
    if _COMPILED is not None:
        shutil.rmtree(_COMPILED, ignore_errors=True)
