"""A nursery of services: has everything imported, and on `serve` forks a child that runs `jinji serve` in a session of its own.

What is spared is the start of the interpreter and its imports, so that many deaths fit into little time; on `begin` it
starts one as users do. One line in, one line out: the child's id; on `gone`, when the last child has ended. When nobody
speaks to it any more the nursery ends with its child.
"""

import gc
import os
import signal
import sys

from service import app, cli, sample, serving  # noqa: F401 all that a start imports


def _alone(log: str) -> None:
    """Lead a session of its own, and write into the file `log`."""
    os.setsid()
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, here in ((0, nothing), (1, file), (2, file)):
        os.dup2(here, number)


def _serve(log: str) -> None:
    _alone(log)
    cli.main(["serve"])


def _begin(log: str) -> None:
    """Become a new interpreter that runs `jinji serve`."""
    _alone(log)
    os.execv(sys.executable, [sys.executable, "-m", "service.cli", "serve"])


def main(log: str) -> None:
    """Do what the lines say until there are no more."""
    gc.freeze()
    child = 0
    for line in sys.stdin:
        if line.strip() == "gone":
            os.waitpid(child, 0)
            answer, child = "gone", 0
        else:
            child = os.fork()
            if child == 0:
                try:
                    (_begin if line.strip() == "begin" else _serve)(log)
                finally:
                    os._exit(1)
            answer = str(child)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()
    if child:
        os.kill(child, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1])
