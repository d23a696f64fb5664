# SPDX-License-Identifier: Apache-2.0
"""The short form of "make soak-move"."""
from agent_harness import test
from soak_move import soak_move

SHORT_MOVES, SEED = 5, 16        # Of each kind, and two to the same host.


@test(capture=False)
def sessions_live_through_random_moves_of_real_vms(rig):
    soak_move(rig, SHORT_MOVES, SEED, lambda line: None)
