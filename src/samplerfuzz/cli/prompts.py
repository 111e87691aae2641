"""The prompts that a probe begins with where none is given."""

PROMPTS = (
    "Temperature is a concept",
    "Once there was a",
    "The price is 42",
    "def main():",
    '"Where is',
    "In the end",
    "1, 2, 3, 4,",
    "The capital of France is",
)
