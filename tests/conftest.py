"""Settings of every test: Hypothesis measures no time here, since a loaded machine is no finding."""

import hypothesis

hypothesis.settings.register_profile("samplerfuzz", deadline=None, print_blob=True, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("samplerfuzz")
