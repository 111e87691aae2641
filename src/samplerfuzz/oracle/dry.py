"""DRY: z − m·base^(L − A) for a token that would lengthen a repetition of L >= A tokens (p-e-w, text-generation-webui pull request 5677).

The L newest tokens of the window also stand earlier in it, followed by this token; the largest L counts. A sequence breaker among them
ends the repetition. m = 0 is off. Left out, base is 1.75, A is 2, the window is everything and nothing breaks.

Engines differ. A breaker that follows a repetition is spared (llama.cpp, text-generation-webui) or lowered (koboldcpp). A repetition of
exactly A tokens that reaches back to a breaker has its price (llama.cpp) or none (koboldcpp). The length is cut where float32 ends
(llama.cpp, koboldcpp: a penalty beyond any other), at 50 (text-generation-webui) or at 20 (exllamav2). A window of 0 is off (llama.cpp)
or everything (koboldcpp, text-generation-webui); a negative one is everything, or off where it is held to 0 (llama.cpp since 2026). The
prompt counts in all of them. An id that is no token may be compared like others, end a repetition or be left out: where that makes a
difference nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from samplerfuzz.oracle.belief import Belief
from samplerfuzz.oracle.conventions import Convention, Occasion, conventions
from samplerfuzz.oracle.history import History
from samplerfuzz.oracle.penalties import moved

_SHORT = 16
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

    def log_prices(at: np.ndarray, seen: np.ndarray, ends: bool) -> np.ndarray:
        """Return ln base^(L − A) of some rows [R, V]; −inf where there is no price."""
        since = _since_breaker(seen, breakers[at], ends=ends)
        length = np.minimum(_repetitions(seen, since, size), _CUTS[longest])
        hit = (length > 0) & (length >= allowed[at, None])
        if back_to_breaker == "must be exceeded":
            hit &= (since > allowed[at])[:, None]
        if breaker == "spared":
            hit &= ~breakers[at]
        return np.where(hit, (length - np.where(hit, allowed[at, None], 0)) * np.log(base[at])[:, None], -np.inf)

    open_ = np.zeros((rows, size), bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_price = _in_groups(log_prices, window)
        strange = np.flatnonzero(_is_stranger(window, size).any(-1))
        if len(strange):
            others = (log_prices(strange, _without_strangers(window[strange], size), False), log_prices(strange, window[strange], True))
            open_[strange] = np.logical_or.reduce([log_price[strange] != other for other in others])
    with np.errstate(over="ignore", invalid="ignore"):
        price = np.where(log_price > -np.inf, dry_multiplier[:, None] * np.exp(np.minimum(log_price, 690)), 0.0)
        doubt = belief.arithmetic.unit * np.abs(price) * (8 + 4 * np.abs(np.maximum(log_price, 0)))
    lowered = moved(belief, np.where(belief.possible, belief.z, 0) - price, belief.error + doubt, price != 0)
    return lowered.replaced(error=np.where(open_ & belief.possible, np.inf, lowered.error))


def _in_groups(log_prices: Callable[[np.ndarray, np.ndarray, bool], np.ndarray], window: np.ndarray) -> np.ndarray:
    """Return `log_prices` of all rows, short windows apart from long ones: the cost grows with the square of the length."""
    lengths = (window != _NONE).sum(-1)
    groups = [np.flatnonzero(lengths <= _SHORT), np.flatnonzero(lengths > _SHORT)]
    widths = [int(lengths[at].max(initial=1)) for at in groups]
    parts = [log_prices(at, window[at, window.shape[-1] - width :], False) for at, width in zip(groups, widths, strict=True)]
    return np.concatenate(parts)[np.argsort(np.concatenate(groups))]


_NONE = np.iinfo(np.int64).min


def _newest(history: History, last_n: np.ndarray) -> np.ndarray:
    """Return [R, T] the windows, newest token last, filled up in front with what equals nothing."""
    windows = [ids[len(ids) - int(min(n, len(ids))) :] for ids, n in zip(history.ids, last_n, strict=True)]
    width = max(1, *(len(ids) for ids in windows))
    out = np.full((len(windows), width), _NONE, np.int64)
    for row, ids in enumerate(windows):
        out[row, width - len(ids) :] = ids
    return out


def _is_stranger(window: np.ndarray, size: int) -> np.ndarray:
    return (window >= size) | ((window < 0) & (window != _NONE))


def _without_strangers(window: np.ndarray, size: int) -> np.ndarray:
    """Return the windows with the ids that are no tokens taken out."""
    gone = _is_stranger(window, size)
    order = np.argsort(~gone, -1, kind="stable")
    return np.take_along_axis(np.where(gone, _NONE, window), order, -1)


def _since_breaker(window: np.ndarray, breakers: np.ndarray, *, ends: bool) -> np.ndarray:
    """Return [R] how many of the newest tokens stand after the newest breaker; all of the window where there is none.

    ends: whether an id that is no token is one.
    """
    size = breakers.shape[-1]
    inside = (window >= 0) & (window < size)
    is_breaker = inside & np.take_along_axis(breakers, np.where(inside, window, 0), -1)
    is_breaker |= ends & _is_stranger(window, size)
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
