"""openpi-server, unmodified, around a policy that does nothing for a given time."""

from __future__ import annotations

import argparse
import time

import numpy as np
from openpi_client.base_policy import BasePolicy
from openpi_server import WebsocketPolicyServer


class NullPolicy(BasePolicy):
    """Answers 20 route points and 6 waypoints after `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._answer = np.zeros((26, 2), np.float64)

    def infer(self, obs: dict) -> dict:
        """One inference; `obs` has been decoded."""
        if self._seconds > 0:
            time.sleep(self._seconds)
        return {"actions": self._answer}

    def reset(self) -> None:
        """Nothing is kept."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--policy-ms", type=float, default=0.0)
    arguments = parser.parse_args()
    WebsocketPolicyServer(
        NullPolicy(arguments.policy_ms / 1e3), host="127.0.0.1", port=arguments.port
    ).serve_forever()
