"""Run a command and write what it took: ``measured.py REPORT COMMAND…``.

A process of its own and a small one, since Linux counts the memory of the process that starts a command as the
command's, up to the moment it takes over.
"""

import os
import sys
import time

if __name__ == "__main__":
    report, *command = sys.argv[1:]
    began = time.perf_counter()
    child = os.fork()
    if child == 0:
        os.execvp(command[0], command)
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - began
    with open(report, "w") as file:
        print(seconds, usage.ru_maxrss * 1024, usage.ru_utime + usage.ru_stime, file=file)
    sys.exit(os.waitstatus_to_exitcode(status) % 256)
