"""Work beside the serving: one thread, a queue that ends somewhere, and a count of what did not get in."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

_LOG = logging.getLogger("samplerfuzz.guard")


class Background:
    """Do one piece of work after another in a thread of its own."""

    def __init__(self, name: str, *, longest: int, failed: Callable[[], None]) -> None:
        """Begin.

        Args:
          name: of the thread.
          longest: how many pieces may wait.
          failed: called for each piece that raised an exception.
        """
        self._queue: queue.Queue[Callable[[], None] | None] = queue.Queue(longest)
        self._failed = failed
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def do(self, work: Callable[[], None]) -> bool:
        """Have `work` done later; False where too much waits already."""
        try:
            self._queue.put_nowait(work)
        except queue.Full:
            return False
        return True

    def wait(self) -> None:
        """Return when all that waits is done."""
        self._queue.join()

    def end(self, seconds: float) -> None:
        """Finish what waits, for at most so long."""
        try:
            self._queue.put(None, timeout=seconds)
        except queue.Full:
            return
        self._thread.join(seconds)

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            try:
                work()
            except Exception:
                _LOG.exception("work beside the serving failed")
                self._failed()
            finally:
                self._queue.task_done()
        self._queue.task_done()
