"""Saves without end in a child process, kills it at a random moment, and looks at what is left; many times over.

Run by `test_files.py` in a process of its own, which has no threads, so that it may fork.

    python kill_while_saving.py FOLDER TIMES

It prints how many kills came while a file was being written, which is when they could do harm.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np

from minigen.training import load_state, save_state
from minigen.training.files import ASIDE


class Counter:
    """A state that is consistent only as a whole: a number, and a large array filled with it."""

    def __init__(self):
        self.count, self.values = 0, np.zeros(200_000, np.float32)

    def state(self):
        return {"count": self.count, "values": self.values}

    def load_state(self, state):
        self.count, self.values = state["count"], state["values"]


def save_without_end(path, counter, acknowledge):
    while True:
        counter.count += 1
        counter.values[...] = counter.count
        save_state(path, counter=counter)
        os.write(acknowledge, counter.count.to_bytes(8, "little"))  # from here on this count must never be lost


def main(folder, times):
    path = Path(folder) / "checkpoint.safetensors"
    moments = random.Random(0)
    counter, while_writing = Counter(), 0
    for _ in range(times):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            save_without_end(path, counter, write)
        os.close(write)
        os.read(read, 8)  # its first save is done
        acknowledged = counter.count + 1
        time.sleep(moments.uniform(0, 0.01))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        while more := os.read(read, 8):
            acknowledged = int.from_bytes(more, "little")
        os.close(read)

        while_writing += any(name.endswith(ASIDE) for name in os.listdir(folder))
        before = counter.count
        load_state(path, counter=counter)  # the next child goes on from what is left
        assert before < acknowledged <= counter.count <= acknowledged + 1, (before, acknowledged, counter.count)
        assert (counter.values == counter.count).all()
    save_state(path, counter=counter)
    assert os.listdir(folder) == [path.name], os.listdir(folder)
    print(while_writing)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
