"""Workers that are killed, run out of memory or are stopped by Ctrl-C in the middle of a task."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Timer

import pytest
from reference.interruptions import is_gone

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not Path("/proc/self/statm").exists(), reason="signals, process groups and Linux's /proc"
    ),
]

SCRIPT = Path(__file__).parents[1] / "reference" / "doomed_workers.py"
# Who gets SIGINT where a worker waits for it, and the calls in which workers meet their fates.
CALLS = {
    "layer": (os.kill, "fit:killed", "transform:exhausted", "partial_fit:waiting"),
    "net": (os.killpg, "partial_fit:killed", "encode:waiting"),
    "adaptive": (os.killpg, "fit:failing", "transform:waiting"),
}


@pytest.mark.parametrize("kind", CALLS)
def test_the_error_arrives_and_the_next_call_works(kind, tmp_path):
    send, *calls = CALLS[kind]
    (scratch := tmp_path / "scratch").mkdir()
    path = os.pathsep.join(filter(None, sys.path))
    folders = {"TMPDIR": str(scratch), "JOBLIB_TEMP_FOLDER": str(scratch)}
    with subprocess.Popen(
        [sys.executable, SCRIPT, kind, tmp_path, *calls],
        env=os.environ | folders | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        timer = Timer(100, os.killpg, (process.pid, signal.SIGKILL))
        timer.start()
        met = []
        # Not to the end of the file, which a process that is left behind would hold open.
        while met[-1:] not in (["done"], [""]):
            met.append(process.stdout.readline().rstrip())
            if met[-1] == "waiting":
                send(process.pid, signal.SIGINT)
        returned = process.wait()
        timer.cancel()
    assert is_gone(process.pid)
    assert [line for line in met if line != "waiting"] == [*calls, "done"]
    assert returned == 0
    assert not os.listdir(scratch)
