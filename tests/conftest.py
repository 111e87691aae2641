"""Settings of every test: Hypothesis measures no time here, since a loaded machine is no finding."""

import os
import signal

import hypothesis

hypothesis.settings.register_profile("samplerfuzz", deadline=None, print_blob=True, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("samplerfuzz")

# a shell starts its background jobs with Ctrl-C ignored, and the tests of interrupts would inherit that
signal.signal(signal.SIGINT, signal.default_int_handler)

# the user's cache is none of the tests' business
os.environ["SAMPLERFUZZ_NO_COMPILATION_CACHE"] = "1"
