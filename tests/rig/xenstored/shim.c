/*
 * shim.c - lets an unmodified C xenstored or oxenstored (Xen 4.17, x86-64) run where there is no Xen.
 *
 * Both daemons reach the hypervisor through three libraries (libxenctrl, libxenevtchn, libxengnttab) and two files
 * (/proc/xen/xsd_kva, /proc/xen/xsd_port), and keep their socket in a folder that is compiled in. LD_PRELOADed, this file
 * answers in the libraries' place from a folder of plain files, and redirects those paths into it:
 *
 *	$XS_RIG_DIR/socket			where the daemon listens
 *	$XS_RIG_DIR/events			FIFO: the event channel. A test writes u32 port numbers (host order): 1 is
 *						VIRQ_DOM_EXC (some domain's state changed), 100 + domid "look at the ring"
 *	$XS_RIG_DIR/domains/<domid>/state	the domain exists; a word: running, shutdown, crashed or dying
 *	$XS_RIG_DIR/domains/<domid>/ring	its xenstore page; whoever opens it speaks as that guest
 *
 * Domain 0 always exists. If $XS_RIG_PARENT names a process, the daemon dies with it.
 * Sources of the layouts: tools/include/xenctrl.h, xen/include/public/domctl.h, xen/include/public/io/xs_wire.h.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { PORT_VIRQ = 1, PORT_RING = 100, PAGE = 4096, DOMID_MAX = 0x7ff0 };
enum state { ABSENT, RUNNING, SHUTDOWN, CRASHED, DYING };

struct path {
	char text[sizeof(((struct sockaddr_un *)0)->sun_path) + 64];
};

static const char *rig_dir;
static int events_fd = -1;
static char handle[64] __attribute__((aligned(64)));	/* what the libraries' opaque handles point to */

static int (*real_open)(const char *, int, ...);
static int (*real_unlink)(const char *);
static int (*real_mkdir)(const char *, mode_t);
static int (*real_chmod)(const char *, mode_t);
static int (*real_bind)(int, const struct sockaddr *, socklen_t);
static int (*real_setrlimit)(__rlimit_resource_t, const struct rlimit *);

static void give_up(const char *why)
{
	fprintf(stderr, "xenstored rig: %s\n", why);
	_exit(97);
}

static void *real(const char *name)
{
	void *f = dlsym(RTLD_NEXT, name);

	if (!f)
		give_up(name);
	return f;
}

static void __attribute__((constructor)) start(void)
{
	const char *parent = getenv("XS_RIG_PARENT");

	rig_dir = getenv("XS_RIG_DIR");
	if (!rig_dir || strlen(rig_dir) >= sizeof(((struct sockaddr_un *)0)->sun_path) - sizeof("/socket"))
		give_up("XS_RIG_DIR must be set to an absolute path of less than 100 characters");
	real_open = real("open");
	real_unlink = real("unlink");
	real_mkdir = real("mkdir");
	real_chmod = real("chmod");
	real_bind = real("bind");
	real_setrlimit = real("setrlimit");
	if (parent) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != atoi(parent))	/* it died before the line above */
			_exit(0);
	}
}

static struct path __attribute__((format(printf, 1, 2))) in_rig(const char *fmt, ...)
{
	struct path p;
	va_list ap;
	int n = snprintf(p.text, sizeof(p.text), "%s/", rig_dir);

	va_start(ap, fmt);
	vsnprintf(p.text + n, sizeof(p.text) - n, fmt, ap);
	va_end(ap);
	return p;
}

/* ---- domains ------------------------------------------------------------------------------------------------ */

static enum state domain_state(uint32_t domid)
{
	static const char *const words[] = { [SHUTDOWN] = "shutdown", [CRASHED] = "crashed", [DYING] = "dying" };
	char word[16] = "";
	int fd;

	if (domid == 0)
		return RUNNING;
	if (domid >= DOMID_MAX)
		return ABSENT;
	fd = real_open(in_rig("domains/%u/state", domid).text, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return ABSENT;
	if (read(fd, word, sizeof(word) - 1) < 0)
		word[0] = 0;
	close(fd);
	for (enum state s = SHUTDOWN; s <= DYING; s++)
		if (!strncmp(word, words[s], strlen(words[s])))
			return s;
	return RUNNING;
}

/* The path of the domain's ring, which is made when it is missing. */
static struct path ring_path(uint32_t domid)
{
	struct path p = in_rig("domains/%u", domid);
	int fd;

	real_mkdir(in_rig("domains").text, 0777);
	real_mkdir(p.text, 0777);
	p = in_rig("domains/%u/ring", domid);
	fd = real_open(p.text, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0 || ftruncate(fd, PAGE))
		give_up("cannot make a domain's ring");
	close(fd);
	return p;
}

static void *map_ring(uint32_t domid)
{
	void *page;
	int fd;

	if (domain_state(domid) == ABSENT) {
		errno = ESRCH;
		return NULL;
	}
	fd = real_open(ring_path(domid).text, O_RDWR | O_CLOEXEC);
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return page == MAP_FAILED ? NULL : page;
}

/* ---- libxenevtchn ------------------------------------------------------------------------------------------- */

void *xenevtchn_fdopen(void *logger, int fd, unsigned flags)
{
	(void)logger, (void)flags;
	events_fd = fd;
	return handle;
}

void *xenevtchn_open(void *logger, unsigned flags)
{
	struct path fifo = in_rig("events");
	int fd;

	if (mkfifo(fifo.text, 0666) && errno != EEXIST)
		return NULL;
	fd = real_open(fifo.text, O_RDWR | O_NONBLOCK);	/* RDWR: no end of file when a test closes its side */
	return fd < 0 ? NULL : xenevtchn_fdopen(logger, fd, flags);
}

int xenevtchn_close(void *h) { (void)h; return close(events_fd); }
int xenevtchn_fd(void *h) { (void)h; return events_fd; }
int xenevtchn_bind_virq(void *h, unsigned virq) { (void)h, (void)virq; return PORT_VIRQ; }
int xenevtchn_unbind(void *h, uint32_t port) { (void)h, (void)port; return 0; }
int xenevtchn_unmask(void *h, uint32_t port) { (void)h, (void)port; return 0; }
int xenevtchn_notify(void *h, uint32_t port) { (void)h, (void)port; return 0; }	/* the rig's guests look by themselves */

int xenevtchn_bind_interdomain(void *h, uint32_t domid, uint32_t remote)
{
	(void)h, (void)remote;
	if (domain_state(domid) != ABSENT)
		return PORT_RING + domid;
	errno = ESRCH;
	return -1;
}

int xenevtchn_pending(void *h)
{
	uint32_t port;

	(void)h;
	return read(events_fd, &port, sizeof(port)) == sizeof(port) ? (int)port : -1;
}

/* ---- libxengnttab ------------------------------------------------------------------------------------------- */

void *xengnttab_open(void *logger, unsigned flags) { (void)logger, (void)flags; return handle; }
int xengnttab_close(void *h) { (void)h; return 0; }
int xengnttab_set_max_grants(void *h, uint32_t n) { (void)h, (void)n; return 0; }
int xengnttab_unmap(void *h, void *page, uint32_t n) { (void)h; return munmap(page, (size_t)n * PAGE); }

void *xengnttab_map_grant_ref(void *h, uint32_t domid, uint32_t ref, int prot)
{
	(void)h, (void)ref, (void)prot;
	return map_ring(domid);
}

/* ---- libxenctrl --------------------------------------------------------------------------------------------- */

struct xc_error { int code; char message[1024]; };

struct xc_dominfo {		/* the head of xc_dominfo_t; C xenstored reads no further */
	uint32_t domid, ssidref;
	unsigned dying:1, crashed:1, shutdown:1, paused:1, blocked:1, running:1;
	unsigned shutdown_reason;
};

union xc_domaininfo {		/* xc_domaininfo_t: oxenstored's binding copies all of it */
	struct { uint16_t domid, pad; uint32_t flags; };
	char all[112];
};
enum { XEN_DOMINF_dying = 1, XEN_DOMINF_shutdown = 4, XEN_DOMINF_running = 32, REASON_SHIFT = 16, REASON_CRASH = 3 };

void *xc_interface_open(void *a, void *b, unsigned flags) { (void)a, (void)b, (void)flags; return handle; }
int xc_interface_close(void *h) { (void)h; return 0; }
const struct xc_error *xc_get_last_error(void *h) { static struct xc_error none; (void)h; return &none; }

void *xc_map_foreign_range(void *h, uint32_t domid, int size, int prot, unsigned long frame)
{
	(void)h, (void)size, (void)prot, (void)frame;
	return map_ring(domid);
}

int xc_domain_getinfo(void *h, uint32_t domid, unsigned max, struct xc_dominfo *info)
{
	enum state s = domain_state(domid);

	(void)h;
	if (s == ABSENT || !max) {
		errno = ESRCH;
		return 0;
	}
	*info = (struct xc_dominfo){
		.domid = domid, .dying = s == DYING, .crashed = s == CRASHED, .running = s == RUNNING,
		.shutdown = s == SHUTDOWN || s == CRASHED, .shutdown_reason = s == CRASHED ? REASON_CRASH : 0,
	};
	return 1;
}

int xc_domain_getinfolist(void *h, uint32_t first, unsigned max, union xc_domaininfo *info)
{
	static const uint32_t flags[] = {
		[RUNNING] = XEN_DOMINF_running, [SHUTDOWN] = XEN_DOMINF_shutdown, [DYING] = XEN_DOMINF_dying,
		[CRASHED] = XEN_DOMINF_shutdown | REASON_CRASH << REASON_SHIFT,
	};
	enum state s = domain_state(first);

	(void)h;
	if (s == ABSENT || !max)
		return 0;
	memset(info, 0, sizeof(*info));
	info->domid = first;
	info->flags = flags[s];
	return 1;
}

/* ---- libc: paths that are compiled in ----------------------------------------------------------------------- */

static struct path redirect(const char *path)
{
	static const char *const folders[] = { "/var/run/xenstored", "/run/xenstored", "/var/run/xen" };
	struct path same;

	if (!strcmp(path, "/proc/xen/xsd_kva"))
		return ring_path(0);
	if (!strcmp(path, "/proc/xen/xsd_port")) {
		struct path p = in_rig("xsd_port");
		int fd = real_open(p.text, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

		if (fd < 0 || write(fd, "1", 1) != 1)	/* no newline: oxenstored takes all of it for the number */
			give_up("cannot write xsd_port");
		close(fd);
		return p;
	}
	for (unsigned i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		size_t n = strlen(folders[i]);

		if (!strncmp(path, folders[i], n) && (path[n] == '/' || !path[n]))
			return in_rig("%s", path[n] ? path + n + 1 : "");
	}
	same.text[0] = 0;	/* not one of ours, and maybe longer than a struct path */
	return same;
}

static int open_redirected(const char *path, int flags, mode_t mode)
{
	struct path p = redirect(path);

	return real_open(p.text[0] ? p.text : path, flags, mode);
}

#define MODE_ARGUMENT(flags) ({ mode_t m_ = 0; if ((flags) & (O_CREAT | O_TMPFILE)) { va_list ap_; \
	va_start(ap_, flags); m_ = va_arg(ap_, mode_t); va_end(ap_); } m_; })

int open(const char *path, int flags, ...) { return open_redirected(path, flags, MODE_ARGUMENT(flags)); }
int open64(const char *path, int flags, ...) { return open_redirected(path, flags, MODE_ARGUMENT(flags)); }

int unlink(const char *path)
{
	struct path p = redirect(path);

	return real_unlink(p.text[0] ? p.text : path);
}

int mkdir(const char *path, mode_t mode)
{
	struct path p = redirect(path);

	return real_mkdir(p.text[0] ? p.text : path, mode);
}

int chmod(const char *path, mode_t mode)
{
	struct path p = redirect(path);

	return real_chmod(p.text[0] ? p.text : path, mode);
}

int bind(int fd, const struct sockaddr *address, socklen_t length)
{
	struct sockaddr_un ours = { .sun_family = AF_UNIX };
	struct path p;

	if (address->sa_family != AF_UNIX)
		return real_bind(fd, address, length);
	p = redirect(((const struct sockaddr_un *)address)->sun_path);
	if (!p.text[0])
		return real_bind(fd, address, length);
	if (strlen(p.text) >= sizeof(ours.sun_path))
		give_up("the socket's path is too long");
	memcpy(ours.sun_path, p.text, strlen(p.text));
	return real_bind(fd, (struct sockaddr *)&ours, sizeof(ours));
}

/* oxenstored insists on RLIMIT_NOFILE = fs.nr_open and gives up when it is not root: grant it what there is. */
int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit)
{
	struct rlimit now;

	if (!real_setrlimit(resource, limit))
		return 0;
	if (resource != RLIMIT_NOFILE || getrlimit(resource, &now))
		return -1;
	now.rlim_cur = now.rlim_max;
	return real_setrlimit(resource, &now);
}
