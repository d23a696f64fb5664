/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as what QEMU sends.  Whatever comes, hints and commands stay within
 * their bounds, no hint but RESET is repeated, and nothing goes on after an
 * error. */
#include <config.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "matd-qmp-vm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(CONDITION) ((CONDITION) ? (void) 0 : abort())

static void
check(const struct matd_qmp_vm *vm, enum matd_qmp_hint *last)
{
    CHECK(vm->n_hints <= MATD_QMP_OUT_MAX);
    CHECK(vm->n_commands <= MATD_QMP_OUT_MAX);
    CHECK(memchr(vm->runstate, '\0', sizeof vm->runstate));
    for (unsigned int i = 0; i < vm->n_hints; i++) {
        CHECK(vm->hints[i] != MATD_QMP_NONE
              && vm->hints[i] < MATD_QMP_N_HINTS);
        if (vm->hints[i] != MATD_QMP_RESET) {
            CHECK(vm->hints[i] != *last);
            *last = vm->hints[i];
        }
    }
    CHECK(*last == vm->last);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum matd_qmp_hint last = MATD_QMP_NONE;
    struct matd_qmp_vm vm;

    matd_qmp_vm_init(&vm);
    while (size && !vm.error) {
        size_t used = matd_qmp_vm_feed(&vm, (const char *) data, size);

        CHECK(used && used <= size);
        data += used;
        size -= used;
        check(&vm, &last);
        vm.n_hints = vm.n_commands = 0;
        if (matd_qmp_vm_is_waiting(&vm)) {
            CHECK(vm.phase == MATD_QMP_READY);
            matd_qmp_vm_poll(&vm);
            vm.n_commands = 0;
        }
    }
    matd_qmp_vm_lost(&vm);
    check(&vm, &last);
    matd_qmp_vm_destroy(&vm);
    return 0;
}
