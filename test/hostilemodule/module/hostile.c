// A PKCS#11 module that turns against the process it is loaded into. It reads
// what to try from the file that HOSTILE_ORDERS names, one line for each thing:
// a word, and mostly an object; and it writes into HOSTILE_REPORT, for each
// line, the word, the object, and "done" or the error. It does so in a
// constructor, which runs before any function of PKCS#11 is called, and again in
// C_Initialize. Nothing that it does needs a token: it has none.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static int opened(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
	return fd;
}

static int try_read(const char *path)
{
	char octet;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int n = fd < 0 ? -1 : (int)read(fd, &octet, 1);
	if (fd >= 0)
		close(fd);
	return n;
}

static int try_write(const char *path) { return opened(path, O_WRONLY | O_APPEND); }

static int try_truncate(const char *path) { return truncate(path, 0); }

static int try_create(const char *path) { return opened(path, O_WRONLY | O_CREAT | O_EXCL); }

static int try_list(const char *path) { return opened(path, O_RDONLY | O_DIRECTORY); }

static int try_remove(const char *path) { return unlink(path); }

static int try_chmod(const char *path) { return chmod(path, 0666); }

static int try_chown(const char *path) { return chown(path, 65534, 65534); }

static int try_acl(const char *path) { return setxattr(path, "user.hostile", "x", 1, 0); }

// try_link reads a file through a symbolic link in the folder of the report,
// which may be written.
static int try_link(const char *path)
{
	char link[4096];
	snprintf(link, sizeof link, "%s.link", getenv("HOSTILE_REPORT"));
	if (symlink(path, link) < 0)
		return -1;
	int n = try_read(link), why = errno;
	unlink(link);
	errno = why;
	return n;
}

static int try_hardlink(const char *path)
{
	char name[4096];
	snprintf(name, sizeof name, "%s.hard", getenv("HOSTILE_REPORT"));
	if (link(path, name) < 0)
		return -1;
	unlink(name);
	return 0;
}

static socklen_t address(struct sockaddr_un *to, const char *path)
{
	memset(to, 0, sizeof *to);
	to->sun_family = AF_UNIX;
	strncpy(to->sun_path, path, sizeof to->sun_path - 1);
	if (path[0] != '@')
		return sizeof *to;
	to->sun_path[0] = 0;
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
}

// try_connect counts as done if the other side is there for a question: hsmd
// cuts off without an octet whom it does not want.
static int try_connect(const char *path)
{
	struct sockaddr_un to;
	socklen_t size = address(&to, path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&to, size) < 0) {
		int why = errno;
		close(fd);
		errno = why;
		return -1;
	}
	char octet;
	struct timeval wait = {.tv_sec = 2};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
	ssize_t n = recv(fd, &octet, 1, 0);
	int why = errno;
	close(fd);
	if (n == 0 || (n < 0 && why == ECONNRESET)) {
		errno = ECONNRESET;
		return -1;
	}
	return 0;
}

// try_orphan connects from a process whose parents are gone, in a session of
// its own.
static int try_orphan(const char *path)
{
	int pipefd[2], answer = EIO;
	if (pipe2(pipefd, O_CLOEXEC) < 0)
		return -1;
	pid_t child = fork();
	if (child == 0) {
		setsid();
		if (fork() == 0) {
			while (getppid() == child)
				sched_yield();
			int why = try_connect(path) < 0 ? errno : 0;
			if (write(pipefd[1], &why, sizeof why) < 0)
				_exit(1);
		}
		_exit(0);
	}
	close(pipefd[1]);
	waitpid(child, NULL, 0);
	if (read(pipefd[0], &answer, sizeof answer) != sizeof answer)
		answer = EIO;
	close(pipefd[0]);
	errno = answer;
	return answer ? -1 : 0;
}

static int try_datagram(const char *path)
{
	struct sockaddr_un to;
	socklen_t size = address(&to, path);
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	int n = connect(pair[0], (struct sockaddr *)&to, size), why = errno;
	close(pair[0]);
	close(pair[1]);
	errno = why;
	return n;
}

static int try_signal(const char *pid) { return kill(atoi(pid), 0); }

static int try_trace(const char *pid)
{
	if (ptrace(PTRACE_SEIZE, atoi(pid), 0, 0) < 0)
		return -1;
	return (int)ptrace(PTRACE_DETACH, atoi(pid), 0, 0);
}

static int try_memory(const char *pid)
{
	char octet;
	struct iovec here = {&octet, 1}, there = {(void *)(size_t)0x400000, 1};
	return (int)process_vm_readv(atoi(pid), &here, 1, &there, 1, 0);
}

static int try_limit(const char *pid)
{
	struct rlimit is;
	return prlimit(atoi(pid), RLIMIT_FSIZE, NULL, &is);
}

static int try_execute(const char *path)
{
	pid_t child = fork();
	if (child == 0) {
		execl(path, path, "-c", ":", NULL);
		_exit(errno);
	}
	int status = 0;
	waitpid(child, &status, 0);
	errno = WEXITSTATUS(status);
	return errno ? -1 : 0;
}

static int try_root(const char *none)
{
	(void)none;
	return setresuid((uid_t)-1, geteuid() ? 0 : 65534, (uid_t)-1);
}

static int try_uring(const char *none)
{
	char parameters[256] = {0};
	(void)none;
	int fd = (int)syscall(SYS_io_uring_setup, 1, parameters);
	if (fd >= 0)
		close(fd);
	return fd;
}

static int try_unlimited(const char *none)
{
	struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
	(void)none;
	return setrlimit(RLIMIT_LOCKS, &all);
}

static int try_environment(const char *name)
{
	errno = ENOENT;
	return getenv(name) ? 0 : -1;
}

static const struct {
	const char *word;
	int (*does)(const char *object);
} attempts[] = {
	{"read", try_read},         {"write", try_write},         {"truncate", try_truncate},     {"create", try_create},
	{"list", try_list},         {"remove", try_remove},       {"chmod", try_chmod},           {"chown", try_chown},
	{"xattr", try_acl},         {"link", try_link},           {"hardlink", try_hardlink},     {"connect", try_connect},
	{"orphan", try_orphan},     {"datagram", try_datagram},   {"signal", try_signal},         {"trace", try_trace},
	{"memory", try_memory},     {"limit", try_limit},         {"execute", try_execute},       {"setuid", try_root},
	{"io_uring", try_uring},    {"unlimited", try_unlimited}, {"environment", try_environment},
};

static void carry_out(const char *when)
{
	const char *orders = getenv("HOSTILE_ORDERS"), *report = getenv("HOSTILE_REPORT");
	char line[4096];
	FILE *in = orders ? fopen(orders, "re") : NULL, *out = report ? fopen(report, "ae") : NULL;
	if (!in || !out)
		abort(); // the test would take silence for a refusal
	while (fgets(line, sizeof line, in)) {
		line[strcspn(line, "\n")] = 0;
		char *object = strchr(line, ' ');
		if (object)
			*object++ = 0;
		for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
			if (strcmp(attempts[i].word, line))
				continue;
			int n = attempts[i].does(object ? object : "");
			fprintf(out, "%s %s %s: %s\n", when, line, object ? object : "-", n < 0 ? strerror(errno) : "done");
		}
	}
	fclose(in);
	fclose(out);
}

__attribute__((constructor)) static void loaded(void) { carry_out("loading"); }

typedef unsigned long CK_RV;

static CK_RV initialize(void *args)
{
	(void)args;
	carry_out("initializing");
	return 0;
}

static CK_RV no_slots(unsigned char present, unsigned long *slots, unsigned long *count)
{
	(void)present;
	(void)slots;
	*count = 0;
	return 0;
}

static CK_RV info(void *out)
{
	memset(out, 0, 88); // CK_INFO
	*(unsigned char *)out = 2;
	return 0;
}

static CK_RV fine(void *reserved)
{
	(void)reserved;
	return 0;
}

static CK_RV unsupported(void) { return 0x54; /* CKR_FUNCTION_NOT_SUPPORTED */ }

// CK_FUNCTION_LIST of PKCS#11 2.40.
static struct {
	unsigned char major, minor;
	void *function[68];
} list = {2, 40, {0}};

__attribute__((visibility("default"))) CK_RV C_GetFunctionList(void **out)
{
	for (size_t i = 0; i < sizeof list.function / sizeof list.function[0]; i++)
		list.function[i] = unsupported;
	list.function[0] = initialize;
	list.function[1] = fine;
	list.function[2] = info;
	list.function[3] = C_GetFunctionList;
	list.function[4] = no_slots;
	*out = &list;
	return 0;
}
