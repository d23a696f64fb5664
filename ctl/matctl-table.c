/* SPDX-License-Identifier: Apache-2.0 */
#include "matctl-table.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS_MAX = 32 };

struct matctl_table {
    size_t n_columns;
    char *titles[COLUMNS_MAX];
    bool is_right[COLUMNS_MAX];
    size_t widths[COLUMNS_MAX];
    size_t n_cells, allocated;
    char **cells;
};

static void *
need(void *p)
{
    if (!p) {
        fputs("matctl: out of memory\n", stderr);
        exit(1);
    }
    return p;
}

/* A copy that a terminal shows as it is. */
static char *
clean_copy(const char *text)
{
    char *copy = need(strdup(text && *text ? text : "-"));

    for (char *p = copy; *p; p++) {
        if ((unsigned char) *p < ' ' || *p == 0x7f) {
            *p = '?';
        }
    }
    return copy;
}

/* In characters: a UTF-8 continuation byte takes no room. */
static size_t
width_of(const char *text)
{
    size_t width = 0;

    for (; *text; text++) {
        width += ((unsigned char) *text & 0xc0) != 0x80;
    }
    return width;
}

static void
add_column(struct matctl_table *table, const char *title)
{
    size_t i = table->n_columns++;

    assert(i < COLUMNS_MAX);
    table->is_right[i] = *title == '>';
    table->titles[i] = clean_copy(title + table->is_right[i]);
    table->widths[i] = width_of(table->titles[i]);
}

struct matctl_table *
matctl_table_create(const char *title, ...)
{
    struct matctl_table *table = need(calloc(1, sizeof *table));
    va_list args;

    va_start(args, title);
    for (; title; title = va_arg(args, const char *)) {
        add_column(table, title);
    }
    va_end(args);
    return table;
}

void
matctl_table_destroy(struct matctl_table *table)
{
    for (size_t i = 0; i < table->n_cells; i++) {
        free(table->cells[i]);
    }
    for (size_t i = 0; i < table->n_columns; i++) {
        free(table->titles[i]);
    }
    free(table->cells);
    free(table);
}

void
matctl_table_cell(struct matctl_table *table, const char *text)
{
    size_t column = table->n_cells % table->n_columns, width;

    if (table->n_cells == table->allocated) {
        table->allocated = table->allocated ? 2 * table->allocated : 64;
        table->cells = need(realloc(table->cells, table->allocated
                                    * sizeof *table->cells));
    }
    table->cells[table->n_cells] = clean_copy(text);
    width = width_of(table->cells[table->n_cells++]);
    if (width > table->widths[column]) {
        table->widths[column] = width;
    }
}

size_t
matctl_table_n_rows(const struct matctl_table *table)
{
    return table->n_cells / table->n_columns;
}

static void
put_spaces(size_t n, FILE *stream)
{
    while (n--) {
        putc(' ', stream);
    }
}

/* Without spaces at the end of the line. */
static void
print_row(const struct matctl_table *table, char *const cells[], FILE *stream)
{
    for (size_t i = 0; i < table->n_columns; i++) {
        size_t pad = table->widths[i] - width_of(cells[i]);

        put_spaces(i ? 2 : 0, stream);
        put_spaces(table->is_right[i] ? pad : 0, stream);
        fputs(cells[i], stream);
        if (!table->is_right[i] && i + 1 < table->n_columns) {
            put_spaces(pad, stream);
        }
    }
    putc('\n', stream);
}

void
matctl_table_print(const struct matctl_table *table, FILE *stream)
{
    size_t n = matctl_table_n_rows(table);

    if (n) {
        print_row(table, table->titles, stream);
    }
    for (size_t i = 0; i < n; i++) {
        print_row(table, table->cells + i * table->n_columns, stream);
    }
}

const char *
matctl_duration(int64_t us, char buf[static MATCTL_DURATION_MAX])
{
    int64_t s = us / 1000000;

    if (us < 0) {
        snprintf(buf, MATCTL_DURATION_MAX, "-");
    } else if (us < 1000) {
        snprintf(buf, MATCTL_DURATION_MAX, "%"PRId64" us", us);
    } else if (us < 100000) {
        snprintf(buf, MATCTL_DURATION_MAX, "%.1f ms", (double) us / 1e3);
    } else if (us < 1000000) {
        snprintf(buf, MATCTL_DURATION_MAX, "%"PRId64" ms", us / 1000);
    } else if (s < 60) {
        snprintf(buf, MATCTL_DURATION_MAX, "%.2f s", (double) us / 1e6);
    } else if (s < 3600) {
        snprintf(buf, MATCTL_DURATION_MAX, "%"PRId64"m%02"PRId64"s", s / 60,
                 s % 60);
    } else if (s < 48 * 3600) {
        snprintf(buf, MATCTL_DURATION_MAX, "%"PRId64"h%02"PRId64"m",
                 s / 3600, s / 60 % 60);
    } else {
        snprintf(buf, MATCTL_DURATION_MAX, "%"PRId64"d", s / 86400);
    }
    return buf;
}
