/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "matx.h"

#include <errno.h>
#include <string.h>

#include "mat-word.h"
#include "netlink.h"
#include "openvswitch/dynamic-string.h"

void
matx_odp_format(uint32_t word, struct ds *ds)
{
    char text[MAT_WORD_TEXT_SIZE];

    if (mat_word_is_valid(word)) {
        ds_put_format(ds, "mat(%s)", mat_word_format(word, text));
    } else {
        ds_put_format(ds, "mat(bad word 0x%08x)", word);
    }
}

int
matx_odp_parse(const char *s, uint16_t attr, struct ofpbuf *actions)
{
    static const char prefix[] = "mat(";
    size_t prefix_len = strlen(prefix);
    const char *end;
    uint32_t word;

    if (strncmp(s, prefix, prefix_len)) {
        return 0;
    }
    end = strchr(s, ')');
    if (!end || mat_word_parse(s + prefix_len, end - s - prefix_len, &word)) {
        return -EINVAL;
    }
    nl_msg_put_u32(actions, attr, word);
    return end + 1 - s;
}
