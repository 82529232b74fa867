// The lab guest's program: counts in RAM, writes the count to both disks, looks whether RAM and disks still agree, measures its own pauses, and answers
// commands that dom0 puts into this domain's folder of xenstore.
//
//   each tick:  n in RAM  ->  block n to disk a  ->  block n to disk b  ->  some blocks of both are read back
//
// On each disk block n is in slot n % SLOTS of a ring, so an instant of a disk shows in the highest number found in it, and a disk that is older or newer than
// RAM shows as a slot that holds a number it should not yet, or no longer, hold. With coherent snapshots a <= n, b <= a, n - b <= 1 at any instant, and `bad`
// stays empty for good. Writes under way when the guest is suspended are asked for again when it goes on; slots of earlier numbers show what that would hide.
//
// `state` looks at all slots first.
//
//   data/lab-cmd "ID COMMAND"  ->  data/lab-out "ID CODE\nOUTPUT"      COMMAND: state, mark TEXT, load on|off, gap-reset; all else is the shell's
//   guest write|read|rm|ls PATH [VALUE]                                xenstore by hand, from the shell
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "xs.h"

enum { BLOCK = 4096, SLOTS = 1024, RING = 1 << 20, MARK = 64 << 10, LOAD_AT = 8 << 20, LOAD_SIZE = 40 << 20, LOAD_BLOCK = 64 << 10, GAPS = 8 };
#define MAGIC 0x78656e736e617021ull

static struct {
  pthread_mutex_t lock;
  volatile uint64_t n, acked[2], base, boot[2], checks, bad_count, resumes, load;
  volatile int full_check;
  int fd[2];
  char mark[64], bad[256];
} s = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = {-1, -1}};

static struct {
  volatile uint64_t max_ns, log_n[GAPS], log_ns[GAPS], count;
} gap;

// --- disks ---------------------------------------------------------------------------------------------------------------------------------------------

static uint64_t *block_of(void *at, uint64_t n, int disk) {
  uint64_t *w = at;
  w[0] = MAGIC, w[1] = n, w[2] = (uint64_t)disk;
  for (int i = 3; i < BLOCK / 8; i++) w[i] = (n + 1) * 0x9e3779b97f4a7c15ull + (uint64_t)i;
  return w;
}

static off_t slot_at(uint64_t n) { return RING + (off_t)(n % SLOTS) * BLOCK; }
static uint64_t number_in(const uint64_t *w, int disk) { return w[0] == MAGIC && w[2] == (uint64_t)disk ? w[1] : 0; }

static void bad(const char *format, ...) {
  pthread_mutex_lock(&s.lock);
  if (s.bad_count++ == 0) {
    va_list args;
    va_start(args, format);
    vsnprintf(s.bad, sizeof s.bad, format, args);
    va_end(args);
    printf("lab guest: bad: %s\n", s.bad);
    fflush(stdout);
  }
  pthread_mutex_unlock(&s.lock);
}

// What slot k % SLOTS of a disk holds, as RAM knows that it must be: block k if it was written in this life, nothing above n if it was not written yet.
static void check_block(int disk, uint64_t k, const uint64_t *found) {
  static _Thread_local uint64_t expected[BLOCK / 8];
  unsigned long long number = number_in(found, disk), n = s.n;
  s.checks++;
  if (k > n) {
    if (number > n) bad("disk %c is newer than RAM: it holds %llu when RAM counts %llu", 'a' + disk, number, n);
  } else if (k >= s.base && memcmp(found, block_of(expected, k, disk), BLOCK)) {
    bad("disk %c is older than RAM, or torn: the slot of %llu holds %llu when RAM counts %llu", 'a' + disk, (unsigned long long)k, number, n);
  }
}

static void check(int disk, uint64_t k, uint64_t *buf) {
  if (pread(s.fd[disk], buf, BLOCK, slot_at(k)) != BLOCK) return bad("disk %c cannot be read: %s", 'a' + disk, strerror(errno));
  check_block(disk, k, buf);
}

// The whole ring: the last SLOTS - 1 numbers and the next one.
static void check_all(int disk, char *ring) {
  if (pread(s.fd[disk], ring, SLOTS * BLOCK, RING) != SLOTS * BLOCK) return bad("disk %c cannot be read: %s", 'a' + disk, strerror(errno));
  uint64_t n = s.n, first = n >= SLOTS - 1 ? n - (SLOTS - 2) : 1;
  for (uint64_t k = first; k < first + SLOTS; k++) check_block(disk, k, (uint64_t *)(ring + k % SLOTS * BLOCK));
}

static void *buffer(size_t size) {
  void *p;
  if (posix_memalign(&p, BLOCK, size)) abort();
  memset(p, 0, size);
  return p;
}

// The highest number that each disk holds: where the life before this one ended.
static void scan(void) {
  char *ring = buffer(SLOTS * BLOCK);
  for (int d = 0; d < 2; d++) {
    if (s.fd[d] < 0 || pread(s.fd[d], ring, SLOTS * BLOCK, RING) != SLOTS * BLOCK) continue;
    for (int i = 0; i < SLOTS; i++) {
      uint64_t n = number_in((uint64_t *)(ring + i * BLOCK), d);
      if (n > s.boot[d]) s.boot[d] = n;
    }
  }
  free(ring);
  s.n = s.boot[0] > s.boot[1] ? s.boot[0] : s.boot[1];
  s.base = s.n + 1;
}

static void *ticker(void *unused) {
  (void)unused;
  char *big = buffer(LOAD_BLOCK), *ring = buffer(SLOTS * BLOCK);
  uint64_t *buf = buffer(BLOCK);
  unsigned seed = (unsigned)time(NULL);
  for (;;) {
    uint64_t n = ++s.n;
    for (int d = 0; d < 2; d++) {
      if (s.fd[d] < 0) continue;
      if (pwrite(s.fd[d], block_of(buf, n, d), BLOCK, slot_at(n)) != BLOCK) bad("disk %c cannot be written: %s", 'a' + d, strerror(errno));
      s.acked[d] = n;
    }
    int full = s.full_check;
    for (int d = 0; d < 2; d++) {
      if (s.fd[d] < 0) continue;
      if (full) check_all(d, ring);
      uint64_t back = (uint64_t)rand_r(&seed) % 64;
      if (n > back) check(d, n - back, buf);
      check(d, n + 1 + (uint64_t)rand_r(&seed) % 64, buf);
      if (s.load) {
        memset(big, (int)n, LOAD_BLOCK);
        off_t at = LOAD_AT + (off_t)((unsigned)rand_r(&seed) % (LOAD_SIZE / LOAD_BLOCK)) * LOAD_BLOCK;
        if (pwrite(s.fd[d], big, LOAD_BLOCK, at) != LOAD_BLOCK) bad("disk %c cannot be written: %s", 'a' + d, strerror(errno));
      }
      if (n % 64 == 0) fdatasync(s.fd[d]);
    }
    if (full) __sync_fetch_and_sub(&s.full_check, full);
    usleep(s.load ? 500 : 50000);
  }
  return NULL;
}

// --- pauses --------------------------------------------------------------------------------------------------------------------------------------------

// Not CLOCK_MONOTONIC: it stands still while Linux is suspended. (Xen's suspend is one to Linux; a mere pause is not.)
static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_BOOTTIME, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void *meter(void *unused) {
  (void)unused;
  struct sched_param p = {.sched_priority = 50};
  sched_setscheduler(0, SCHED_FIFO, &p);
  for (uint64_t last = now();;) {
    usleep(5000);
    uint64_t t = now(), d = t - last;
    last = t;
    if (d > gap.max_ns) gap.max_ns = d;
    if (d < 1000000000u) continue; // shorter ones come from a busy machine
    gap.log_n[gap.count % GAPS] = s.n;
    gap.log_ns[gap.count++ % GAPS] = d;
    __sync_fetch_and_add(&s.full_check, 1);
  }
  return NULL;
}

// --- xenstore ------------------------------------------------------------------------------------------------------------------------------------------

static int by_hand(int argc, char **argv) {
  char out[4096];
  const char *verb = argv[1], *value = NULL;
  uint32_t type = !strcmp(verb, "write") ? XS_WRITE : !strcmp(verb, "read") ? XS_READ : !strcmp(verb, "rm") ? XS_RM : XS_DIRECTORY;
  if (type == XS_WRITE) value = argc > 3 ? argv[3] : "";
  if (argc < 3) return 2;
  ssize_t n = xs(type, argv[2], value, out, sizeof out);
  if (n < 0) return fprintf(stderr, "guest: xenstore refuses %s %s\n", verb, argv[2]), 1;
  for (ssize_t i = 0; type == XS_DIRECTORY && i < n; i++) if (!out[i]) out[i] = '\n';
  if (type == XS_READ || type == XS_DIRECTORY) fwrite(out, 1, (size_t)n, stdout);
  return 0;
}

// --- commands ------------------------------------------------------------------------------------------------------------------------------------------

static void mark_of(int disk, char *out) {
  static char *buf;
  if (!buf) buf = buffer(BLOCK);
  snprintf(out, 64, "%s", s.fd[disk] >= 0 && pread(s.fd[disk], buf, BLOCK, MARK) == BLOCK ? buf : "");
}

static void set_mark(const char *text) {
  char *buf = buffer(BLOCK);
  snprintf(buf, 64, "%s", text);
  snprintf(s.mark, sizeof s.mark, "%s", text);
  for (int d = 0; d < 2; d++)
    if (s.fd[d] >= 0 && (pwrite(s.fd[d], buf, BLOCK, MARK) != BLOCK || fdatasync(s.fd[d]))) bad("the mark cannot be written to disk %c", 'a' + d);
  free(buf);
}

static int state(char *out, size_t size) {
  char a[64], b[64];
  __sync_fetch_and_add(&s.full_check, 1);
  for (int i = 0; s.full_check && i < 1000; i++) usleep(10000);
  mark_of(0, a), mark_of(1, b);
  pthread_mutex_lock(&s.lock);
  int at = snprintf(out, size,
    "{\"n\":%llu,\"a\":%llu,\"b\":%llu,\"base\":%llu,\"boot_a\":%llu,\"boot_b\":%llu,\"checks\":%llu,\"bad_count\":%llu,\"bad\":\"%s\",\"load\":%llu,"
    "\"mark\":\"%s\",\"mark_a\":\"%s\",\"mark_b\":\"%s\",\"gap_max_ms\":%llu,\"gaps\":[",
    (unsigned long long)s.n, (unsigned long long)s.acked[0], (unsigned long long)s.acked[1], (unsigned long long)s.base, (unsigned long long)s.boot[0],
    (unsigned long long)s.boot[1], (unsigned long long)s.checks, (unsigned long long)s.bad_count, s.bad, (unsigned long long)s.load, s.mark, a, b,
    (unsigned long long)(gap.max_ns / 1000000));
  pthread_mutex_unlock(&s.lock);
  uint64_t count = gap.count, from = count > GAPS ? count - GAPS : 0;
  for (uint64_t i = from; i < count; i++)
    at += snprintf(out + at, size - (size_t)at, "%s{\"n\":%llu,\"ms\":%llu}", i > from ? "," : "", (unsigned long long)gap.log_n[i % GAPS],
                   (unsigned long long)(gap.log_ns[i % GAPS] / 1000000));
  snprintf(out + at, size - (size_t)at, "]}");
  return 0;
}

static int shell(const char *command, char *out, size_t size) {
  FILE *p = popen(command, "r");
  if (!p) return 127;
  size_t n = fread(out, 1, size - 1, p);
  out[n] = 0;
  char rest[512];
  while (fread(rest, 1, sizeof rest, p) > 0) {}
  int status = pclose(p);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static int run(const char *command, char *out, size_t size) {
  out[0] = 0;
  if (!strcmp(command, "state")) return state(out, size);
  if (!strncmp(command, "mark ", 5)) return set_mark(command + 5), 0;
  if (!strcmp(command, "load on")) return s.load = 1, 0;
  if (!strcmp(command, "load off")) return s.load = 0, 0;
  if (!strcmp(command, "gap-reset")) return gap.max_ns = 0, gap.count = 0, 0;
  char line[4096];
  snprintf(line, sizeof line, "{ %s\n} 2>&1", command);
  return shell(line, out, size);
}

enum { LAST = 80 };
static void answer(char last[LAST]) {
  char cmd[4096], out[1900], reply[2000];
  if (xs(XS_READ, "data/lab-cmd", NULL, cmd, sizeof cmd) < 0) return;
  char *space = strchr(cmd, ' ');
  if (!space || space - cmd >= LAST) return;
  *space = 0;
  if (!strcmp(cmd, last)) return;
  strcpy(last, cmd);
  int code = run(space + 1, out, sizeof out);
  if (snprintf(reply, sizeof reply, "%s %d\n%s", last, code, out) >= (int)sizeof reply) reply[sizeof reply - 1] = 0;
  xs(XS_WRITE, "data/lab-out", reply, cmd, sizeof cmd);
}

int main(int argc, char **argv) {
  xs_fd = open("/dev/xen/xenbus", O_RDWR | O_CLOEXEC);
  if (argc > 1) return by_hand(argc, argv);
  char out[64], last[LAST] = "";
  for (int d = 0; d < 2; d++) s.fd[d] = open(d ? "/dev/xvdb" : "/dev/xvda", O_RDWR | O_DIRECT | O_CLOEXEC);
  scan();
  pthread_t t;
  if (pthread_create(&t, NULL, ticker, NULL) || pthread_create(&t, NULL, meter, NULL)) return 1;
  xs(XS_WATCH, "data/lab-cmd", "t", out, sizeof out);
  xs(XS_WRITE, "data/lab-state", "up", out, sizeof out);
  printf("lab guest: up, disks %s%s, counting from %llu\n", s.fd[0] < 0 ? "" : "a", s.fd[1] < 0 ? "" : "b", (unsigned long long)s.base);
  fflush(stdout);
  for (;;) {
    answer(last);
    struct pollfd p = {.fd = xs_fd, .events = POLLIN};
    struct xs h;
    char event[4096];
    if (poll(&p, 1, 2000) > 0 && (take(&h, 16) || h.len > sizeof event || take(event, h.len))) return 1;
  }
}
