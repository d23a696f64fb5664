# SPDX-License-Identifier: Apache-2.0
"""The short form of "make soak-move"."""
from agent_harness import test
from soak_move import soak_move

SHORT_MOVES = 5


@test(capture=False)
def sessions_live_through_random_moves_of_real_vms(rig):
    soak_move(rig, SHORT_MOVES, 1, lambda line: None)
