/* The library's half of tests/libxl/against: lines `TYPE JSON` in, a corpus out (tests/libxl/corpus says its form). The list of
 * types is made by that script. Without Xen: what opens the hypervisor and xenstore is defined here and returns something that is
 * not looked at. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <libxl.h>
#include <xentoollog.h>

static int nothing;
void *xc_interface_open(void *a, void *b, unsigned c) { (void)a; (void)b; (void)c; return &nothing; }
int xc_interface_close(void *x) { (void)x; return 0; }
void *xs_open(unsigned long flags) { (void)flags; return &nothing; }
void xs_close(void *x) { (void)x; }

/* Length of the UTF-8 character at the place, 0 when there is none: no overlong form, no surrogate, none beyond U+10FFFF. */
static int character(const unsigned char *s)
{
    int more = s[0] < 0x80 ? 0 : s[0] >= 0xc2 && s[0] < 0xe0 ? 1 : s[0] >= 0xe0 && s[0] < 0xf0 ? 2 : s[0] >= 0xf0 && s[0] < 0xf5 ? 3 : -1;
    if (more < 0) return 0;
    for (int i = 1; i <= more; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return more + 1;
}

/* A byte that is no text becomes half of a surrogate pair. */
static void print_string(const char *text)
{
    putchar('"');
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        int len = character(s);
        if (!len) printf("\\udc%02x", *s++);
        else if (*s == '"' || *s == '\\') printf("\\%c", *s++);
        else if (*s < 0x20) printf("\\u%04x", *s++);
        else { fwrite(s, 1, len, stdout); s += len; }
    }
    putchar('"');
}

/* Reads the text as the type and writes it again; what libxl says of it goes into rc. */
static char *convert(libxl_ctx *ctx, const char *type, const char *text, int *rc)
{
    char *out = NULL;
#define STRUCT(T) if (!strcmp(type, #T)) { libxl_##T v; libxl_##T##_init(&v); *rc = libxl_##T##_from_json(ctx, &v, text); \
                                           if (!*rc) out = libxl_##T##_to_json(ctx, &v); return out; }
#define ENUM(T) if (!strcmp(type, #T)) { libxl_##T v = 0; *rc = libxl_##T##_from_json(ctx, &v, text); \
                                         if (!*rc) out = libxl_##T##_to_json(ctx, v); return out; }
#include "types.h"
    fprintf(stderr, "no type %s\n", type);
    exit(3);
}

int main(void)
{
    libxl_ctx *ctx;
    FILE *nul = fopen("/dev/null", "w");
    char *line = NULL;
    size_t room = 0;
    ssize_t len;
    if (libxl_ctx_alloc(&ctx, LIBXL_VERSION, 0, (xentoollog_logger *)xtl_createlogger_stdiostream(nul, XTL_ERROR, 0))) return 3;
    while ((len = getline(&line, &room, stdin)) > 0) {
        if (line[len - 1] == '\n') line[--len] = 0;
        char *text = strchr(line, ' ');
        if (!text) return 3;
        *text++ = 0;
        printf("{\"type\":\"libxl_%s\",\"input_hex\":\"", line);
        for (char *c = text; c < line + len; c++) printf("%02x", (unsigned char)*c);
        printf("\",");
        fflush(stdout);
        pid_t pid = fork();
        if (pid < 0) { perror("fork"); return 3; }
        if (!pid) {
            int rc = 0;
            if (!freopen("/dev/null", "w", stderr)) _exit(3);
            errno = 0;
            char *out = convert(ctx, line, text, &rc);
            printf("\"rc\":\"%d\",\"output\":", rc);
            if (out) print_string(out); else printf("null");
            printf("}\n");
            fflush(stdout);
            _exit(0);
        }
        int status;
        waitpid(pid, &status, 0);
        if (WIFSIGNALED(status)) printf("\"rc\":\"sig%d\",\"output\":null}\n", WTERMSIG(status));
        else if (WEXITSTATUS(status) == 3) return 3;
        /* Out of memory: libxl ends the process. */
        else if (WEXITSTATUS(status)) printf("\"rc\":\"sigexit\",\"output\":null}\n");
    }
    return 0;
}
