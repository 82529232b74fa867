/*
 * The harness of the matrix: each line `UNIT TYPE JSON` of stdin is answered by `ok JSON` (read into the typed value, written
 * again) or `no MESSAGE`. What is written is a copy of what was read, so that copying is tested too.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include CONTRACT_HEADER
#include LIBXL_HEADER
#include "xenidl_types.h"

static char *recode(const xenidl_type *type, const char *json, size_t length, xenidl_error *error)
{
    size_t size = type->size ? type->size : 1;
    void *value = calloc(2, size);
    void *copy = (char *)value + size;
    char *text = NULL;

    if (value && xenidl_from_json(type, value, json, length, error) == 0) {
        if (xenidl_copy(type, copy, value) < 0)
            abort();
        xenidl_dispose(type, value);
        text = xenidl_to_json(type, copy, error);
        xenidl_dispose(type, copy);
    }
    free(value);
    return text;
}

/* libxl's layout has line ends, all of them between tokens. */
static void print_line(const char *prefix, const char *text)
{
    fputs(prefix, stdout);
    for (; *text; text++)
        if (*text != '\n')
            putchar(*text);
    putchar('\n');
}

int main(void)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t length;

    while ((length = getline(&line, &room, stdin)) > 0) {
        char *name, *json, *text, message[1024];
        const xenidl_type *type = NULL;
        xenidl_error error;

        if (line[length - 1] == '\n')
            line[--length] = '\0';
        name = strchr(line, ' ');
        json = name ? strchr(name + 1, ' ') : NULL;
        if (!json) {
            fprintf(stderr, "not UNIT TYPE JSON: %s\n", line);
            return 1;
        }
        *name++ = '\0';
        *json++ = '\0';
        if (strcmp(line, "contract") == 0)
            type = CONTRACT_FIND(name);
        else if (strcmp(line, "libxl") == 0)
            type = LIBXL_FIND(name);
        if (!type) {
            puts("no unknown type");
            continue;
        }
        text = recode(type, json, (size_t)(length - (json - line)), &error);
        if (text) {
            print_line("ok ", text);
        } else {
            char *end;

            xenidl_error_text(&error, message, sizeof(message));
            while ((end = strpbrk(message, "\r\n")))
                *end = ' ';
            print_line("no ", message);
        }
        free(text);
    }
    free(line);
    return 0;
}
