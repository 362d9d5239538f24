"""What becomes of a server that does not end."""

import signal
import subprocess
import sys

from automot_client.evaluation.served_model import stop

DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); signal.pause()"


def test_a_server_that_outlives_its_wait_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", DEAF], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        server.stdout.readline()  # it ignores SIGTERM by now
        try:
            stop(server, 0.05)
            assert server.returncode == -signal.SIGKILL
        finally:
            server.kill()
