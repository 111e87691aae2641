"""One claim a function. A check examines a target on a case and yields violations."""
