# SPDX-License-Identifier: Apache-2.0

script_tests += tests/system/check-demo.py
dist_doc_DATA += docs/demo.svg
EXTRA_DIST += \
	tests/system/README \
	tests/system/agent_harness.py \
	tests/system/agent_rig.py \
	tests/system/apps.py \
	tests/system/capture.py \
	tests/system/clock-step.c \
	tests/system/demo \
	tests/system/demo_picture.py \
	tests/system/demo_report.py \
	tests/system/demo_result.py \
	tests/system/demo_sites.py \
	tests/system/demo_story.py \
	tests/system/demo_traffic.py \
	tests/system/frames.py \
	tests/system/guest.py \
	tests/system/guest_rig.py \
	tests/system/harness.py \
	tests/system/keep-fragments.c \
	tests/system/mappings.py \
	tests/system/netns.py \
	tests/system/relay.py \
	tests/system/rig.py \
	tests/system/run \
	tests/system/run-agent \
	tests/system/switch.py \
	tests/system/soak \
	tests/system/soak.py \
	tests/system/soak_move.py \
	tests/system/test_agent.py \
	tests/system/test_agent_crowd.py \
	tests/system/test_agent_lacp.py \
	tests/system/test_agent_matctl.py \
	tests/system/test_agent_addresses.py \
	tests/system/test_agent_pools.py \
	tests/system/test_agent_moves.py \
	tests/system/test_agent_robust.py \
	tests/system/test_agent_safety.py \
	tests/system/test_agent_soak.py \
	tests/system/test_agent_uplinks.py \
	tests/system/test_agent_wan.py \
	tests/system/test_applications.py \
	tests/system/test_guest_migrate.py \
	tests/system/test_guests.py \
	tests/system/test_guests_full.py \
	tests/system/test_icmp.py \
	tests/system/test_moves.py \
	tests/system/test_ports.py \
	tests/system/test_relay.py \
	tests/system/test_safety.py \
	tests/system/test_soak_move.py \
	tests/system/test_switch.py \
	tests/system/test_traffic.py \
	tests/system/traffic.py \
	tests/system/update.py

# As root.  WORDS='move arp' runs only tests with one of these in their names,
# MODE=kernel those ports that need neither DPDK nor hugepages.
# DEMO='--wan --keep' passes options to the demonstration.
SYSTEM_RUN = $(PYTHON3) -B $(srcdir)/tests/system/run \
	$(if $(MODE),--mode=$(MODE))

# SOAK_SECONDS=60 SEED=7 make soak
# MOVES=10 SEED=7 make soak-move
SOAK_SECONDS = 600
MOVES = 100
SOAK_RUN = $(PYTHON3) -B $(srcdir)/tests/system/soak --seed=$(SEED)
AGENT_RUN = $(PYTHON3) -B $(srcdir)/tests/system/run-agent
AGENT_NEEDS = tests/relay/relay tests/vm/vmload tests/vm/vmapp

.PHONY: check-system check-system-asan check-agent check-agent-full \
	check-agent-asan check-agent-tsan soak soak-move demo
check-system: all
	$(SYSTEM_RUN) --ovs-build=ovs $(WORDS)
check-system-asan: ovs-asan
	$(SYSTEM_RUN) --ovs-build=ovs-asan $(WORDS)
check-agent: all $(AGENT_NEEDS)
	$(AGENT_RUN) $(WORDS)
check-agent-full: all $(AGENT_NEEDS)
	$(AGENT_RUN) --full $(WORDS)

# Agents with sanitizers, from the folders of check-asan and check-tsan.
CHECK_AGENT = $(top_srcdir)/build-aux/check-lib $(abs_top_srcdir)
check-agent-asan: ovs ovs-asan tests/relay/relay tests/vm/vmload
	+@$(CHECK_AGENT) check-asan.d 'ctl/matd ctl/matctl' \
		--enable-sanitizers=address,undefined
	$(AGENT_RUN) --ovs-build=ovs-asan --ctl-build=check-asan.d/ctl $(WORDS)
check-agent-tsan: ovs tests/relay/relay tests/vm/vmload
	+@$(CHECK_AGENT) check-tsan.d 'ctl/matd ctl/matctl' \
		--enable-sanitizers=thread
	$(AGENT_RUN) --ctl-build=check-tsan.d/ctl $(WORDS)
soak: all tests/relay/relay
	$(SOAK_RUN) --seconds=$(SOAK_SECONDS)
soak-move: all $(AGENT_NEEDS)
	$(SOAK_RUN) --moves=$(MOVES)
demo: all tests/relay/relay tests/vm/vmload
	@$(PYTHON3) -B $(srcdir)/tests/system/demo $(DEMO)

mostlyclean-local:
	rm -rf system-evidence applications.txt
