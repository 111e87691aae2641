"""Profiles of the properties: a quarter of the current profile's examples each, deadlines aside, since a loaded machine is no finding."""

import hypothesis

hypothesis.settings.register_profile("nightly", max_examples=10_000, deadline=None, print_blob=True)
