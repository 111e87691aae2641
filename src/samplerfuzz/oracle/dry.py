"""DRY: z − m·base^(L − A) for a token that would lengthen a repetition of L >= A tokens (p-e-w, text-generation-webui pull request 5677).

The L newest tokens of the window also stand earlier in it, followed by this token; the largest L counts. A sequence breaker among them
ends the repetition. m = 0 is off. Left out, base is 1.75, A is 2, the window is everything and nothing breaks.

Engines differ. A breaker that follows a repetition is spared (llama.cpp, text-generation-webui) or lowered (koboldcpp). A repetition of
exactly A tokens that reaches back to a breaker has its price (llama.cpp) or none (koboldcpp). The length is cut where float32 ends
(llama.cpp, koboldcpp: a penalty beyond any other), at 50 (text-generation-webui) or at 20 (exllamav2). A window of 0 is off (llama.cpp)
or everything (koboldcpp, text-generation-webui); a negative one is everything, or off where it is held to 0 (llama.cpp since 2026). The
prompt counts in all of them.
"""

from __future__ import annotations

import numpy as np

from samplerfuzz.oracle.belief import Belief
from samplerfuzz.oracle.conventions import Convention, Occasion, conventions
from samplerfuzz.oracle.history import History
from samplerfuzz.oracle.penalties import moved

_CUTS = {"none": np.inf, "fifty": 50, "twenty": 20}


def _longest(at: Occasion) -> int:
    return max((len(ids) for ids in at.history.ids), default=0)


def _window(at: Occasion) -> np.ndarray:
    return at.parameters.get("dry_penalty_last_n", np.ones(1))


def _breaks(at: Occasion) -> bool:
    return bool(at.parameters.get("dry_sequence_breakers", np.zeros(1)).any())


@conventions(
    Convention(name="breaker", values=("spared", "lowered"), matters=_breaks),
    Convention(name="back_to_breaker", values=("counts", "must be exceeded"), matters=_breaks),
    Convention(name="longest", values=tuple(_CUTS), matters=lambda at: _longest(at) > 20),
    Convention(name="zero", values=("off", "all"), matters=lambda at: bool((_window(at) == 0).any())),
    Convention(name="negative", values=("all", "off"), matters=lambda at: bool((_window(at) < 0).any())),
)
def dry(
    belief: Belief,
    *,
    dry_multiplier: np.ndarray,
    history: History,
    breaker: str,
    back_to_breaker: str,
    longest: str,
    zero: str,
    negative: str,
    dry_base: np.ndarray | None = None,
    dry_allowed_length: np.ndarray | None = None,
    dry_penalty_last_n: np.ndarray | None = None,
    dry_sequence_breakers: np.ndarray | None = None,
) -> Belief:
    """Lower what would lengthen a repetition."""
    rows, size = belief.z.shape
    base = np.full(rows, 1.75) if dry_base is None else dry_base
    allowed = np.full(rows, 2.0) if dry_allowed_length is None else dry_allowed_length
    last_n = np.full(rows, np.inf) if dry_penalty_last_n is None else dry_penalty_last_n.copy()
    if dry_penalty_last_n is not None:
        last_n[dry_penalty_last_n == 0] = 0 if zero == "off" else np.inf
        last_n[dry_penalty_last_n < 0] = np.inf if negative == "all" else 0
    breakers = np.zeros((rows, size), bool) if dry_sequence_breakers is None else dry_sequence_breakers > 0
    window = _newest(history, last_n)
    since = _since_breaker(window, breakers)
    length = np.minimum(_repetitions(window, since, size), _CUTS[longest])
    hit = (length > 0) & (length >= allowed[:, None])
    if back_to_breaker == "must be exceeded":
        hit &= (since > allowed)[:, None]
    if breaker == "spared":
        hit &= ~breakers
    exponent = np.where(hit, length - allowed[:, None], 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        log_price = exponent * np.log(base)[:, None]
        price = np.where(hit, dry_multiplier[:, None] * np.exp(np.minimum(log_price, 690)), 0.0)
        doubt = belief.arithmetic.unit * np.abs(price) * (8 + 4 * np.abs(log_price))
    lowered = moved(belief, np.where(belief.possible, belief.z, 0) - price, belief.error + doubt, price != 0)
    # an id that is no token: it may end a repetition, be compared like others, or be left out
    strange = ((window >= size) | ((window < 0) & (window != _NONE))).any(-1)
    follows = np.zeros((rows, size), bool)
    for row in np.flatnonzero(strange):
        follows[row, window[row][(window[row] >= 0) & (window[row] < size)]] = True
    return lowered.replaced(error=np.where(follows & belief.possible, np.inf, lowered.error))


_NONE = np.iinfo(np.int64).min


def _newest(history: History, last_n: np.ndarray) -> np.ndarray:
    """Return [R, T] the windows, newest token last, filled up in front with what equals nothing."""
    windows = [ids[len(ids) - int(min(n, len(ids))) :] for ids, n in zip(history.ids, last_n, strict=True)]
    width = max(1, *(len(ids) for ids in windows))
    out = np.full((len(windows), width), _NONE, np.int64)
    for row, ids in enumerate(windows):
        out[row, width - len(ids) :] = ids
    return out


def _since_breaker(window: np.ndarray, breakers: np.ndarray) -> np.ndarray:
    """Return [R] how many of the newest tokens stand after the newest breaker; all of the window where there is none."""
    size = breakers.shape[-1]
    inside = (window >= 0) & (window < size)
    is_breaker = inside & np.take_along_axis(breakers, np.where(inside, window, 0), -1)
    width = window.shape[-1]
    return width - 1 - np.where(is_breaker, np.arange(width), -1).max(-1)


def _repetitions(window: np.ndarray, since: np.ndarray, size: int) -> np.ndarray:
    """Return [R, V] the longest repetition that each token would lengthen.

    run[i] is the length of the common end of the window up to i and the window up to j, from run[i − 1] for j − 1, with j the last place in the end.
    """
    rows, width = window.shape
    run = np.zeros((rows, width))
    for j in range(width):
        before = np.concatenate([np.zeros((rows, 1)), run[:, :-1]], -1)
        same = (window == window[:, j : j + 1]) & (window[:, j : j + 1] != _NONE)
        run = np.where(same, before + 1, 0.0)
    length = np.minimum(run, since[:, None])
    longest = np.zeros((rows, size))
    for i in range(width - 1):
        follower = window[:, i + 1]
        at = np.flatnonzero((follower >= 0) & (follower < size) & (length[:, i] > 0))
        longest[at, follower[at]] = np.maximum(longest[at, follower[at]], length[at, i])
    return longest
