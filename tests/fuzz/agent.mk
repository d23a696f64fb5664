# SPDX-License-Identifier: Apache-2.0

fuzz_targets += tests/fuzz/fuzz-mat-agent
