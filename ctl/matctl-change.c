/* SPDX-License-Identifier: Apache-2.0 */

/* Commands that change something. */

#include <config.h>
#include "matctl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "matd-keys.h"
#include "openvswitch/json.h"
#include "util.h"

static enum matctl_status
finish(const struct matctl *ctl, enum matctl_status status,
       struct json *reply)
{
    if (status == MATCTL_OK && ctl->json) {
        matctl_print_json(reply);
    } else if (status == MATCTL_OK) {
        puts(matctl_string(reply, "text"));
    }
    json_destroy(reply);
    return status;
}

/* freeze, unfreeze, activate, deactivate. */
enum matctl_status
matctl_change(struct matctl *ctl, int argc, char *argv[])
{
    char *command = xasprintf("mat/%s", argv[0]);
    struct json *reply;
    enum matctl_status status = (
        argc > 1 ? matctl_ask(ctl, &reply, command, argv[1], ctl->zone, NULL)
        : matctl_ask(ctl, &reply, command, NULL));

    free(command);
    return finish(ctl, status, reply);
}

/* At most six words: the table of commands says so. */
enum matctl_status
matctl_hint(struct matctl *ctl, int argc, char *argv[])
{
    const char *words[7] = { NULL };
    struct json *reply;
    enum matctl_status status;
    int n = 0;

    for (int i = 1; i < argc && n < 6; i++) {
        words[n++] = argv[i];
    }
    if (ctl->zone && n < 6) {
        words[n++] = ctl->zone;
    }
    status = matctl_ask(ctl, &reply, "mat/hint", words[0], words[1], words[2],
                        words[3], words[4], words[5], NULL);
    return finish(ctl, status, reply);
}

/* Sends the file as it is: matd may not be able to read the operator's
 * files. */
enum matctl_status
matctl_revoke(struct matctl *ctl, int argc OVS_UNUSED, char *argv[])
{
    uint8_t data[MATD_ARMOUR_DATA_MAX];
    enum matd_armour kind = MATD_ARMOUR_REVOCATION;
    char error[MATD_ERROR_MAX], text[MATD_ARMOUR_TEXT_MAX];
    enum matctl_status status;
    struct json *reply;
    size_t n;

    if (!matd_armour_read(argv[1], &kind, data, &n, error)) {
        return matctl_error("%s", error);
    }
    matd_armour_encode(kind, NULL, data, n, text);
    status = matctl_ask(ctl, &reply, "mat/revoke", text, NULL);
    return finish(ctl, status, reply);
}
