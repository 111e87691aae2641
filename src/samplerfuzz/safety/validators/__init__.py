"""Validators: one a file. Each notices one kind of thing and says it with severity and evidence."""
