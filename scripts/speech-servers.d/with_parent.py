"""Runs a server and ends it as soon as the process that started this one is gone, however that process ended.

usage: with_parent.py COMMAND...
"""

import os
import signal
import subprocess
import sys
import time

parent = os.getppid()
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)
stopped = []
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: stopped.append(True))
while child.poll() is None and not stopped and os.getppid() == parent:
    time.sleep(0.2)
if child.poll() is None:
    # Its whole group: some of these servers start workers.
    os.killpg(child.pid, signal.SIGKILL)
sys.exit(child.wait())
