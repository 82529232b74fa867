/* The other half of tests/libxl/bench: the same documents through libxl itself. Without Xen: what opens the hypervisor
 * and xenstore is defined here and returns something that is not looked at. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <libxl.h>

static int nothing;
void *xc_interface_open(void *a, void *b, unsigned c) { (void)a; (void)b; (void)c; return &nothing; }
int xc_interface_close(void *x) { (void)x; return 0; }
void *xs_open(unsigned long flags) { (void)flags; return &nothing; }
void xs_close(void *x) { (void)x; }
void *xs_daemon_open(void) { return &nothing; }
void xs_daemon_close(void *x) { (void)x; }

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static char *slurp(const char *name)
{
    FILE *f = fopen(name, "r");
    char *text = calloc(1, 1 << 20);
    if (!f || !text || !fread(text, 1, (1 << 20) - 1, f)) { perror(name); exit(3); }
    fclose(f);
    return text;
}

int main(int argc, char **argv)
{
    libxl_ctx *ctx;
    int rounds = atoi(argv[1]);
    if (libxl_ctx_alloc(&ctx, LIBXL_VERSION, 0, NULL)) return 3;
    for (int i = 2; i < argc; i++) {
        char *text = slurp(argv[i]);
        libxl_domain_config config;
        double start = now();
        for (int n = 0; n < rounds; n++) {
            libxl_domain_config_init(&config);
            if (libxl_domain_config_from_json(ctx, &config, text)) return 4;
            libxl_domain_config_dispose(&config);
        }
        double decode = (now() - start) / rounds;
        libxl_domain_config_init(&config);
        if (libxl_domain_config_from_json(ctx, &config, text)) return 4;
        start = now();
        for (int n = 0; n < rounds; n++) {
            char *out = libxl_domain_config_to_json(ctx, &config);
            if (!out) return 4;
            free(out);
        }
        printf("%.3f %.3f\n", decode, (now() - start) / rounds);
    }
    return 0;
}
