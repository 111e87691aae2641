"""The one exception family. A message shows the offending value, the allowed range and the next step."""


class SamplerFuzzError(Exception):
    """Base of every error that samplerfuzz raises on purpose."""


class UsageError(SamplerFuzzError):
    """A command line, decorator or configuration that cannot be carried out (exit status 2)."""


class ModelError(SamplerFuzzError):
    """A model file that is missing, damaged or of an unsupported kind; names the file, the tensor, what was expected."""


class ParameterError(SamplerFuzzError, ValueError):
    """A sampling parameter outside its domain."""


class NothingTestedError(SamplerFuzzError):
    """A run in which no case reached a verdict (exit status 3)."""
