# SPDX-License-Identifier: Apache-2.0
"""The short form of "make soak"."""
from agent_harness import test
from soak import soak

SHORT_S = 20


@test(rig="soak")
def sessions_live_through_random_moves_and_faults(rig):
    soak(rig, SHORT_S, 1, lambda line: None)
