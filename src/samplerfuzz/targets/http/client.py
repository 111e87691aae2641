"""A client that a failing server cannot confuse: what becomes of every request is data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx
from pyrate_limiter import Duration, Limiter, Rate
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_random_exponential

from samplerfuzz.targets.http.exchange import Reply, Request


class Client:
    """Send requests to one server, a bounded number at a time.

    Args:
      url: of the server.
      seconds: within which a reply must be complete.
      at_once: most requests under way at a time.
      per_second: most requests begun in a second, or None.
      back: seconds that the server has to come back before it counts as gone.
    """

    def __init__(self, url: str, *, seconds: float, at_once: int = 1, per_second: int | None = None, back: float = 5.0) -> None:
        self.url, self.seconds, self.at_once, self.sent, self._back = url, seconds, at_once, 0, back
        self._limiter = None if per_second is None else Limiter(Rate(per_second, Duration.SECOND))
        self._http = httpx.Client(
            base_url=url,
            timeout=httpx.Timeout(seconds, connect=min(seconds, 5.0)),
            # a connection for each request: what one of them breaks is not the next one's fault
            limits=httpx.Limits(max_connections=at_once, max_keepalive_connections=0),
            trust_env=False,
        )

    def send(self, request: Request) -> Reply:
        """Send one request; a server that does not listen is tried again for a while, one that broke off is not."""
        again = Retrying(
            retry=retry_if_result(lambda reply: reply.kind == "gone"),
            wait=wait_random_exponential(multiplier=0.1, max=1.0),
            stop=stop_after_delay(self._back),
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )
        reply: Reply = again(self._once, request)
        return reply

    def send_all(self, requests: Sequence[Request]) -> Iterator[tuple[Request, Reply]]:
        """Send requests side by side and yield each with its reply, in their order."""
        with ThreadPoolExecutor(max_workers=self.at_once) as pool:
            yield from zip(requests, pool.map(self.send, requests), strict=True)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _once(self, request: Request) -> Reply:
        if self._limiter is not None:
            self._limiter.try_acquire(self.url)
        self.sent += 1
        try:
            if request.body is None:
                answer = self._http.get(request.path)
            else:
                answer = self._http.post(request.path, content=request.body.encode(), headers={"Content-Type": "application/json"})
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            return Reply(kind="gone", text=_words(error))
        except httpx.TimeoutException:
            return Reply(kind="hang", text=f"no answer within {self.seconds:g} s")
        except httpx.HTTPError as error:
            return Reply(kind="dropped", text=_words(error))
        return Reply(kind="answered", status=answer.status_code, text=answer.text)


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
