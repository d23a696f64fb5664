/* SPDX-License-Identifier: Apache-2.0 */

/* Checks of the host: links, keys, clock. */

#include <config.h>
#include "matctl-check.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "mat-cert.h"
#include "matd-keys.h"
#include "openvswitch/json.h"
#include "util.h"

enum { EXPIRY_WARNING_S = 14 * 86400 };

/* Links. */

/* Asks the driver of 'name' for an on/off feature. */
static bool
has_feature(const char *name, uint32_t command, uint32_t mask)
{
    struct ethtool_value value = { .cmd = command };
    struct ifreq ifr = { .ifr_data = (void *) &value };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool has = false;

    if (fd >= 0 && strlen(name) < sizeof ifr.ifr_name) {
        memcpy(ifr.ifr_name, name, strlen(name) + 1);
        has = !ioctl(fd, SIOCETHTOOL, &ifr) && value.data & mask;
    }
    if (fd >= 0) {
        close(fd);
    }
    return has;
}

/* A device of the kernel that is read by a raw socket must not merge what it
 * receives: the merged packets are larger than any MTU. */
static void
check_offload(struct matctl_check *check, const char *name)
{
    bool gro = has_feature(name, ETHTOOL_GGRO, UINT32_MAX);
    bool lro = has_feature(name, ETHTOOL_GFLAGS, ETH_FLAG_LRO);

    if (gro || lro) {
        char *fix = xasprintf("ethtool -K %s gro off lro off, also after a "
                              "reboot (for example by \"post-up\" in "
                              "interfaces(5))", name);

        matctl_found(check, MATCTL_WARNING, "offload", fix,
                     "%s merges received packets (%s), which are then too big "
                     "for VMs", name, gro ? "GRO" : "LRO");
        free(fix);
    } else {
        matctl_found(check, MATCTL_GOOD, "offload", NULL,
                     "%s does not merge received packets", name);
    }
}

static int64_t
mtu_of(const struct matctl_check *check, const char *name)
{
    const struct json *row = matctl_find_row(check->interfaces, name);

    return row ? matctl_integer(row, "mtu") : 0;
}

/* VMs must not send what the uplink cannot carry. */
static void
check_mtus(struct matctl_check *check, const char *uplink)
{
    int64_t limit = mtu_of(check, uplink);
    unsigned int n = 0;

    for (size_t i = 0; limit && i < matctl_count(check->interfaces, "");
         i++) {
        const struct json *row = matctl_item(check->interfaces, "", i);
        int64_t mtu = matctl_integer(row, "mtu");

        if (matctl_map_get(row, "external_ids", "attached-mac")
            && mtu > limit) {
            matctl_found(check, MATCTL_WARNING, "mtu",
                         "set the VM's MTU to that of the uplink, or raise "
                         "the uplink's (mtu_request)",
                         "port %s has MTU %"PRId64", uplink %s only %"PRId64,
                         matctl_string(row, "name"), mtu, uplink, limit);
            n++;
        }
    }
    if (limit && !n) {
        matctl_found(check, MATCTL_GOOD, "mtu", NULL,
                     "no VM has a larger MTU than %s (%"PRId64")", uplink,
                     limit);
    }
}

static void
check_link(struct matctl_check *check, const char *name)
{
    const struct json *row = matctl_find_row(check->interfaces, name);
    const char *state = row ? matctl_string(row, "link_state") : "";
    const char *error = row ? matctl_string(row, "error") : "";
    char *fix = xasprintf("ip link set %s up; look at cable and switch", name);

    if (*error) {
        matctl_found(check, MATCTL_ERROR, "link", "see "
                     "/var/log/openvswitch/ovs-vswitchd.log", "%s", error);
    } else if (!strcmp(state, "down")) {
        matctl_found(check, MATCTL_ERROR, "link", fix, "the link of %s is "
                     "down", name);
    } else if (!strcmp(state, "up")) {
        matctl_found(check, MATCTL_GOOD, "link", NULL, "the link of %s is up",
                     name);
    }
    free(fix);
    if (row && (!strcmp(matctl_string(row, "type"), "")
                || !strcmp(matctl_string(row, "type"), "system"))) {
        check_offload(check, name);
    }
    check_mtus(check, name);
}

void
matctl_check_links(struct matctl_check *check)
{
    if (check->interfaces) {
        matctl_each_uplink(check, check_link);
    }
}

/* Keys. */

static void
check_expiry(struct matctl_check *check, int64_t not_after_s)
{
    static const char *const fix = "matctl key issue, where the cluster's key "
                                   "is, and copy the new host.cert here";
    int64_t left_s = not_after_s - time(NULL);

    if (left_s <= 0) {
        matctl_found(check, MATCTL_ERROR, "certificate", fix,
                     "it ended %"PRId64" days ago: peers refuse this host",
                     -left_s / 86400);
    } else if (left_s < EXPIRY_WARNING_S) {
        matctl_found(check, MATCTL_WARNING, "certificate", fix,
                     "it ends in %"PRId64" days", left_s / 86400);
    } else {
        matctl_found(check, MATCTL_GOOD, "certificate", NULL,
                     "good for %"PRId64" days", left_s / 86400);
    }
}

/* Loads the keys as the user to whom they belong: root would refuse those of
 * another, as matd would. */
static struct matd_keys *
load_as_owner(const char *dir, char error[MATD_ERROR_MAX])
{
    char *path = xasprintf("%s/host.key", dir);
    bool switched = false;
    struct matd_keys *keys;
    struct stat s;

    if (!geteuid() && !stat(path, &s) && s.st_uid) {
        switched = !setegid(s.st_gid) && !seteuid(s.st_uid);
    }
    keys = matd_keys_load(dir, error);
    if (switched && (seteuid(0) || setegid(0))) {
        matctl_error("cannot be root again: %s", ovs_strerror(errno));
        exit(MATCTL_FAILED);
    }
    free(path);
    return keys;
}

void
matctl_check_keys(struct matctl_check *check)
{
    const char *dir = check->ctl->keys ? check->ctl->keys : MATD_KEYS_DIR;
    char error[MATD_ERROR_MAX];
    struct matd_keys *keys = load_as_owner(dir, error);

    if (!keys) {
        matctl_found(check, MATCTL_ERROR, "keys", "\"matctl key\" makes them: "
                     "see \"On real hypervisors\" in the README", "%s",
                     error);
        return;
    }
    matctl_found(check, MATCTL_GOOD, "keys", NULL, "this is host 0x%"PRIx64
                 " by the keys in %s", keys->cert.host, dir);
    check_expiry(check, keys->cert.not_after_s);
    matd_keys_destroy(keys);
}

/* Clock. */

void
matctl_check_clock(struct matctl_check *check)
{
    struct timex timex = { .modes = 0 };

    if (adjtimex(&timex) == TIME_ERROR || timex.status & STA_UNSYNC) {
        matctl_found(check, MATCTL_WARNING, "clock", "run systemd-timesyncd "
                     "or chrony", "it is not set by any time server: only "
                     "the ends of certificates need it, but when it is years "
                     "off peers count as expired");
    } else {
        matctl_found(check, MATCTL_GOOD, "clock", NULL,
                     "it is set by a time server");
    }
}
