"""Anonymous memory: the memory of a process without the pages of mapped files."""

import threading
from pathlib import Path


class PeakMemory:
    """The peak anonymous memory (RssAnon, Linux) within a `with` block, in MB."""

    def __enter__(self) -> "PeakMemory":
        self.peak, self.done = 0.0, threading.Event()
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.done.set()
        self.thread.join()

    def _watch(self) -> None:
        while not self.done.wait(0.02):
            status = Path("/proc/self/status").read_text()
            (line,) = (line for line in status.splitlines() if line.startswith("RssAnon"))
            self.peak = max(self.peak, int(line.split()[1]) / 1000)
