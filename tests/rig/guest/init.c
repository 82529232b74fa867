/*
 * init.c: PID 1 of the test guest. It counts in RAM and on every writable virtio disk, and tells on the serial
 * console whether they still agree. That is the whole proof that a VM snapshot is of one instant: after a revert
 * RAM (the counter, the ring it believes, the pattern) and each disk must show the same moment.
 *
 *     check disks against RAM -> print -> count++ -> write each disk -> heartbeat -> verify, dirty RAM -> sleep
 *          ^                                                                                           |
 *          +-------------------------------------------------------------------------------------------+
 *
 * Each disk carries a ring of 64 sectors at RING_OFFSET; count N goes to sector N % 64, and every round reads all
 * of it back (O_DIRECT). A single sector would not do: a guest restored just before its write would paint over a
 * disk that is too new, and nobody would notice. With the ring, a disk that is older or newer than RAM by one
 * round or more shows in a sector that is not about to be written.
 *
 * Lines (each ends with " #" and a 16-bit Fletcher sum, since a line may be torn where a QEMU was killed and its
 * successor appends to the same log):
 *     boot vda=N vdb=N               what the disks held at boot (after a disks-only revert they must agree,
 *                                    give or take the one round in flight)
 *     filled mb=N                    the RAM pattern is in place
 *     count ram=N vda=N vdb=N gap_us=G passes=P    read back from the disks; G: longest round since the last
 *                                    such line, by the guest's clock; P: times the whole pattern was verified
 *     MISMATCH ram=N vda=N vdb=N     a disk does not hold what RAM believes (then RAM and disks are made equal)
 *     RAMBAD page=P word=W           a page of the pattern is wrong
 *     IOERR disk=vda op=write errno=E
 *
 * Kernel command line: fill_mb=0 seed=1 print_ms=50 loop_us=1000 verify_mb_s=4 dirty_mb_s=0 sync=1 heartbeat=0
 * heartbeat=1: one byte a round to I/O port 0xe9 (isa-debugcon), so that the host can time the rounds: the
 * guest's own clock stands still while QEMU is stopped, so a pause cannot be seen from in here.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SECTOR 512u
#define SLOTS 64u
#define RING_BYTES (SECTOR * SLOTS)
#define RING_OFFSET (1u << 20)
#define DISKS_MAX 8
#define PAGE 4096u
#define PAGE_WORDS (PAGE / 8u)
#define CHUNK_PAGES 256u
#define MAGIC 0x78656e736e617031ull

struct disk {
    int fd;
    char name[24];
    uint64_t salt;
    uint64_t seen; /* newest count read back at the last check */
    unsigned char *ring;
};

static struct disk disks[DISKS_MAX];
static int disks_n;
static uint64_t count, believed[SLOTS];
static unsigned char *sector;
static uint64_t *fill;
static uint32_t *generation; /* how often each page of the pattern was rewritten */
static uint64_t fill_pages, verify_at, dirty_at, passes;
static uint64_t seed;
static int console = -1;

static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15ull;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000ull + (uint64_t)t.tv_nsec / 1000ull;
}

static void line(const char *format, ...)
{
    char text[512];
    unsigned a = 0, b = 0;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text - 16, format, args);
    va_end(args);
    if (n > (int)sizeof text - 17)
        n = (int)sizeof text - 17;
    for (int i = 0; i < n; i++) {
        a = (a + (unsigned char)text[i]) % 255;
        b = (b + a) % 255;
    }
    n += sprintf(text + n, " #%02x%02x\n", b, a);
    for (int at = 0; at < n;) {
        ssize_t w = write(console, text + at, (size_t)(n - at));
        if (w <= 0)
            return;
        at += (int)w;
    }
}

static uint64_t parameter(const char *cmdline, const char *name, uint64_t otherwise)
{
    size_t n = strlen(name);
    for (const char *p = cmdline; (p = strstr(p, name)); p += n)
        if ((p == cmdline || p[-1] == ' ') && p[n] == '=')
            return strtoull(p + n + 1, NULL, 0);
    return otherwise;
}

static void read_text(const char *path, char *text, size_t size)
{
    text[0] = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t n = read(fd, text, size - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    text[strcspn(text, "\n")] = 0;
}

static void load_modules(void)
{
    for (int i = 0; i < 32; i++) {
        char path[32];
        snprintf(path, sizeof path, "/m/%02d.ko", i);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return;
        if (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST)
            line("MODULE path=%s errno=%d", path, errno);
        close(fd);
    }
}

static void make_sector(unsigned char *to, uint64_t salt, uint64_t n)
{
    uint64_t *w = (uint64_t *)to;
    w[0] = MAGIC;
    w[1] = n;
    w[2] = salt;
    for (unsigned i = 3; i < SECTOR / 8; i++)
        w[i] = mix(n * 131 + salt + i);
}

/* The count that a sector holds, or 0 when it is none of ours or torn. */
static uint64_t sector_count(const unsigned char *from, uint64_t salt)
{
    const uint64_t *w = (const uint64_t *)from;
    if (w[0] != MAGIC || w[2] != salt)
        return 0;
    for (unsigned i = 3; i < SECTOR / 8; i++)
        if (w[i] != mix(w[1] * 131 + salt + i))
            return 0;
    return w[1];
}

static void open_disks(int sync)
{
    for (char c = 'a'; c < 'a' + DISKS_MAX; c++) {
        char path[64];
        struct disk *d = &disks[disks_n];
        int read_only = 0;
        snprintf(path, sizeof path, "/dev/vd%c", c);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        ioctl(fd, BLKROGET, &read_only);
        close(fd);
        snprintf(path, sizeof path, "/sys/block/vd%c/serial", c);
        read_text(path, d->name, sizeof d->name);
        if (!d->name[0])
            snprintf(d->name, sizeof d->name, "vd%c", c);
        if (read_only) {
            line("readonly disk=%s", d->name);
            continue;
        }
        snprintf(path, sizeof path, "/dev/vd%c", c);
        d->fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC | (sync ? O_SYNC : 0));
        if (d->fd < 0 || posix_memalign((void **)&d->ring, PAGE, RING_BYTES)) {
            line("IOERR disk=%s op=open errno=%d", d->name, errno);
            continue;
        }
        for (const char *p = d->name; *p; p++)
            d->salt = mix(d->salt + (unsigned char)*p);
        disks_n++;
    }
}

static void disk_error(const struct disk *d, const char *op)
{
    line("IOERR disk=%s op=%s errno=%d", d->name, op, errno);
    usleep(100000);
}

static int read_ring(struct disk *d)
{
    if (pread(d->fd, d->ring, RING_BYTES, RING_OFFSET) == (ssize_t)RING_BYTES)
        return 1;
    disk_error(d, "read");
    return 0;
}

static void write_count(struct disk *d, uint64_t n)
{
    make_sector(sector, d->salt, n);
    while (pwrite(d->fd, sector, SECTOR, RING_OFFSET + (n % SLOTS) * SECTOR) != (ssize_t)SECTOR)
        disk_error(d, "write");
}

/* Writes the last SLOTS counts to every disk, so that all hold what RAM believes. */
static void make_equal(void)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        uint64_t n = count - (SLOTS - 1) + i;
        for (int k = 0; k < disks_n; k++)
            write_count(&disks[k], n);
        believed[n % SLOTS] = n;
    }
}

static void print_counts(const char *what, uint64_t gap_us)
{
    char text[400];
    int n = snprintf(text, sizeof text, "%s ram=%llu", what, (unsigned long long)count);
    for (int k = 0; k < disks_n; k++)
        n += snprintf(text + n, sizeof text - (size_t)n, " %s=%llu", disks[k].name,
                      (unsigned long long)disks[k].seen);
    line("%s gap_us=%llu passes=%llu", text, (unsigned long long)gap_us, (unsigned long long)passes);
}

static int disks_agree(void)
{
    int agree = 1;
    for (int k = 0; k < disks_n; k++) {
        struct disk *d = &disks[k];
        if (!read_ring(d))
            continue;
        d->seen = 0;
        for (unsigned i = 0; i < SLOTS; i++) {
            uint64_t n = sector_count(d->ring + i * SECTOR, d->salt);
            if (n > d->seen)
                d->seen = n;
            if (n != believed[i])
                agree = 0;
        }
    }
    return agree;
}

static void start_counting(void)
{
    char text[300] = "boot";
    int n = 4;
    count = SLOTS;
    disks_agree();
    for (int k = 0; k < disks_n; k++) {
        n += snprintf(text + n, sizeof text - (size_t)n, " %s=%llu", disks[k].name,
                      (unsigned long long)disks[k].seen);
        if (disks[k].seen > count)
            count = disks[k].seen;
    }
    line("%s", text);
    make_equal();
}

static void fill_page(uint64_t page)
{
    uint64_t base = mix(seed ^ (page << 20)) + generation[page];
    for (unsigned w = 0; w < PAGE_WORDS; w++)
        fill[page * PAGE_WORDS + w] = mix(base + w);
}

static void verify_page(uint64_t page)
{
    uint64_t base = mix(seed ^ (page << 20)) + generation[page];
    for (unsigned w = 0; w < PAGE_WORDS; w++)
        if (fill[page * PAGE_WORDS + w] != mix(base + w)) {
            line("RAMBAD page=%llu word=%u", (unsigned long long)page, w);
            fill_page(page);
            return;
        }
}

static void fill_ram(uint64_t mb)
{
    fill_pages = mb * (1048576u / PAGE);
    if (!fill_pages)
        return;
    fill = mmap(NULL, fill_pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    generation = calloc(fill_pages, sizeof *generation);
    if (fill == MAP_FAILED || !generation) {
        line("NOFILL mb=%llu errno=%d", (unsigned long long)mb, errno);
        fill_pages = 0;
        return;
    }
    for (uint64_t p = 0; p < fill_pages; p++)
        fill_page(p);
    line("filled mb=%llu", (unsigned long long)mb);
}

/* How many pages are due at this rate since `last_us`: a small chunk, so that no round gets long. */
static uint64_t pages_due(uint64_t now, uint64_t *last_us, uint64_t mb_s)
{
    uint64_t pages = (now - *last_us) * mb_s * (1048576 / PAGE) / 1000000;
    if (pages)
        *last_us = now;
    return pages > CHUNK_PAGES ? CHUNK_PAGES : pages;
}

/* Verifies and rewrites the pattern, each at its rate and round robin. */
static void tend_ram(uint64_t now, uint64_t verify_mb_s, uint64_t dirty_mb_s)
{
    static uint64_t verified_us, dirtied_us;
    if (!fill_pages)
        return;
    for (uint64_t n = pages_due(now, &verified_us, verify_mb_s); n; n--) {
        verify_page(verify_at);
        if (++verify_at == fill_pages) {
            verify_at = 0;
            passes++;
        }
    }
    for (uint64_t n = pages_due(now, &dirtied_us, dirty_mb_s); n; n--) {
        generation[dirty_at]++;
        fill_page(dirty_at);
        dirty_at = (dirty_at + 1) % fill_pages;
    }
}

int main(void)
{
    static char cmdline[2048];
    mkdir("/dev", 0755);
    mkdir("/proc", 0755);
    mkdir("/sys", 0755);
    mount("dev", "/dev", "devtmpfs", 0, "");
    mount("proc", "/proc", "proc", 0, "");
    mount("sys", "/sys", "sysfs", 0, "");
    console = open("/dev/ttyS0", O_RDWR | O_NOCTTY | O_CLOEXEC);
    read_text("/proc/cmdline", cmdline, sizeof cmdline);
    uint64_t print_us = parameter(cmdline, "print_ms", 50) * 1000;
    uint64_t loop_us = parameter(cmdline, "loop_us", 1000);
    uint64_t verify_mb_s = parameter(cmdline, "verify_mb_s", 4);
    uint64_t dirty_mb_s = parameter(cmdline, "dirty_mb_s", 0);
    int heartbeat = parameter(cmdline, "heartbeat", 0) && !ioperm(0xe9, 1, 1);
    seed = parameter(cmdline, "seed", 1);
    load_modules();
    if (posix_memalign((void **)&sector, PAGE, SECTOR))
        return 1;
    open_disks((int)parameter(cmdline, "sync", 1));
    start_counting();
    fill_ram(parameter(cmdline, "fill_mb", 0));

    uint64_t round_us = now_us(), printed_us = 0, gap_us = 0;
    for (;;) {
        uint64_t now = now_us();
        if (now - round_us > gap_us)
            gap_us = now - round_us;
        round_us = now;
        if (!disks_agree()) {
            print_counts("MISMATCH", gap_us);
            for (int k = 0; k < disks_n; k++)
                if (disks[k].seen > count)
                    count = disks[k].seen;
            make_equal();
        } else if (now - printed_us >= print_us) {
            print_counts("count", gap_us);
            printed_us = now;
            gap_us = 0;
        }
        count++;
        for (int k = 0; k < disks_n; k++)
            write_count(&disks[k], count);
        believed[count % SLOTS] = count;
        if (heartbeat)
            outb('.', 0xe9);
        tend_ram(now, verify_mb_s, dirty_mb_s);
        if (loop_us)
            usleep((useconds_t)loop_us);
    }
}
