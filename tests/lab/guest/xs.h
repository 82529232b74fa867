// xenstore through the kernel, for the guest's program and for dom0's guestcmd.
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { XS_DIRECTORY = 1, XS_READ = 2, XS_WATCH = 4, XS_WRITE = 11, XS_RM = 13, XS_WATCH_EVENT = 15, XS_ERROR = 16 };
struct xs { uint32_t type, id, tx, len; };
static int xs_fd = -1;

static int take(void *to, size_t n) {
  for (size_t got = 0; got < n;) {
    ssize_t r = read(xs_fd, (char *)to + got, n - got);
    if (r <= 0 && errno != EINTR) return -1;
    if (r > 0) got += (size_t)r;
  }
  return 0;
}

// One request and its answer's length, or -1. Watch events that come in between are dropped: the caller looks again anyway.
static ssize_t xs(uint32_t type, const char *path, const char *value, char *out, size_t size) {
  char msg[4096 + 16];
  size_t path_len = strlen(path) + 1, value_len = value ? strlen(value) : 0;
  if (type == XS_WATCH) value_len++;
  if (path_len + value_len > 4000) return -1;
  struct xs h = {type, 1, 0, (uint32_t)(path_len + value_len)};
  memcpy(msg, &h, 16), memcpy(msg + 16, path, path_len);
  if (value) memcpy(msg + 16 + path_len, value, value_len);
  if (write(xs_fd, msg, 16 + path_len + value_len) < 0) return -1;
  for (;;) {
    if (take(&h, 16) || h.len > 4096 || take(msg, h.len)) return -1;
    if (h.type == XS_WATCH_EVENT) continue;
    if (h.type == XS_ERROR) return -1;
    size_t n = h.len < size - 1 ? h.len : size - 1;
    memcpy(out, msg, n);
    out[n] = 0;
    return (ssize_t)n;
  }
}

