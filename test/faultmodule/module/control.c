#define _GNU_SOURCE
#include "module.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The state file, shared by all processes that have the module: how often each
 * function was called, and how often each rule was met. */
static struct state {
	unsigned long calls[FUNCTIONS];
	unsigned long met[RULES];
} *state;

static const char *names[] = {
#define CK_PKCS11_FUNCTION_INFO(name) #name,
#include <pkcs11f.h>
#undef CK_PKCS11_FUNCTION_INFO
};

static void fatal(const char *what)
{
	fprintf(stderr, "fault module: %s\n", what);
	_exit(99);
}

void control_open(void)
{
	const char *path = getenv("FAULT_STATE");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	if (fd < 0)
		fatal("FAULT_STATE names no file");
	state = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (state == MAP_FAILED)
		fatal("FAULT_STATE cannot be mapped");
	close(fd);
}

static int function_of(const char *name)
{
	for (int f = 0; f < FUNCTIONS; f++)
		if (strcmp(name, names[f]) == 0)
			return f;
	if (strcmp(name, "*") != 0)
		fatal("a rule is for no function of PKCS#11");
	return -1;
}

static void override(struct control *c, const char *line)
{
	struct override *o = &c->overrides[c->noverrides];
	char value[2 * TEXT + 1] = "";
	if (c->noverrides == 16 || sscanf(line, "attribute %li %li %512s", (long *)&o->type, (long *)&o->class, value) < 2)
		fatal("an attribute line makes no sense");
	o->hidden = strcmp(value, "hide") == 0;
	o->len = 0;
	for (const char *p = value; !o->hidden && p[0] != 0 && p[1] != 0; p += 2)
		sscanf(p, "%2hhx", &o->value[o->len++]);
	c->noverrides++;
}

static void parse(struct control *c, const char *line)
{
	char word[32] = "", name[64];
	struct rule *r = &c->rules[c->nrules];
	int at = 0, n = 0;
	sscanf(line, "%31s%n", word, &at);
	if (strcmp(word, "rule") == 0) {
		r->argument = 0;
		if (c->nrules == MOST || sscanf(line, "rule %d %63s %lu %lu %23s %li", &r->id, name, &r->from, &r->to, r->action, (long *)&r->argument) < 5)
			fatal("a rule makes no sense");
		r->function = function_of(name);
		c->nrules++;
	} else if (strcmp(word, "attribute") == 0) {
		override(c, line);
	} else if (strcmp(word, "mechanisms") == 0) {
		for (c->nmechanisms = 0; c->nmechanisms < MOST && sscanf(line + at, "%li%n", (long *)&c->mechanisms[c->nmechanisms], &n) == 1; at += n)
			c->nmechanisms++;
	} else if (sscanf(line, "sessions %lu", &c->sessions) != 1 && sscanf(line, "max_sessions %lu", &c->max_sessions) != 1 &&
	    sscanf(line, "flags %li %li", (long *)&c->set, (long *)&c->clear) != 2 && sscanf(line, "hide_class %lu", &c->hidden_class) != 1 &&
	    sscanf(line, "ec_point %15s", c->ec_point) != 1 && sscanf(line, "always_authenticate %255s", c->always_authenticate) != 1 &&
	    sscanf(line, "protected_pin %255s", c->protected_pin) != 1 && sscanf(line, "login_as %li", (long *)&c->login_as) != 1) {
		fatal("a line of the control file makes no sense");
	}
}

void control_read(struct control *c)
{
	memset(c, 0, sizeof *c);
	c->sessions = c->max_sessions = c->hidden_class = c->login_as = UNTOLD;
	c->nmechanisms = -1;
	const char *path = getenv("FAULT_CONTROL");
	FILE *file = path ? fopen(path, "re") : NULL;
	if (file == NULL)
		fatal("FAULT_CONTROL names no file");
	char line[4096];
	while (fgets(line, sizeof line, file) != NULL)
		parse(c, line);
	fclose(file);
}

/* What is behind the caller's back is done to the whole process. */
static void each_slot(CK_RV (*act)(CK_SLOT_ID))
{
	CK_SLOT_ID slots[64];
	CK_ULONG n = 64;
	if (real->C_GetSlotList(CK_TRUE, slots, &n) == CKR_OK)
		for (CK_ULONG i = 0; i < n; i++)
			act(slots[i]);
}

static CK_RV close_sessions(CK_SLOT_ID slot)
{
	forget_sessions(slot);
	return real->C_CloseAllSessions(slot);
}

static CK_RV log_out(CK_SLOT_ID slot)
{
	CK_SESSION_HANDLE session;
	CK_RV rv = real->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &session);
	if (rv == CKR_OK) {
		rv = real->C_Logout(session);
		real->C_CloseSession(session);
	}
	return rv;
}

static int told(int id)
{
	struct control now;
	control_read(&now);
	for (int i = 0; i < now.nrules; i++)
		if (now.rules[i].id == id)
			return 1;
	return 0;
}

/* meets counts a call against a rule. */
static int meets(const struct rule *r, enum function f)
{
	if (r->function != -1 && r->function != (int)f)
		return 0;
	unsigned long n = __atomic_add_fetch(&state->met[r->id], 1, __ATOMIC_SEQ_CST);
	return n >= r->from && n <= r->to;
}

static int is_after(const struct rule *r) { return strcmp(r->action, "lose") == 0; }
static int is_flip(const struct rule *r) { return strcmp(r->action, "flip") == 0; }

int before(const struct control *c, enum function f, CK_RV *rv)
{
	__atomic_add_fetch(&state->calls[f], 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < c->nrules; i++) {
		const struct rule *r = &c->rules[i];
		if (is_after(r) || is_flip(r) || !meets(r, f))
			continue;
		if (strcmp(r->action, "return") == 0) {
			*rv = r->argument;
			return 1;
		} else if (strcmp(r->action, "crash") == 0) {
			signal(SIGSEGV, SIG_DFL); /* as where the fault is outside of Go's sight */
			raise(SIGSEGV);
		} else if (strcmp(r->action, "sleep") == 0) {
			usleep(1000 * r->argument);
		} else if (strcmp(r->action, "hang") == 0) {
			while (told(r->id)) /* until the rule is taken back */
				usleep(5000);
		} else if (strcmp(r->action, "close_sessions") == 0) {
			each_slot(close_sessions);
		} else if (strcmp(r->action, "log_out") == 0) {
			each_slot(log_out);
		} else {
			fatal("a rule asks for what is not there");
		}
	}
	return 0;
}

CK_RV after(const struct control *c, enum function f, CK_RV rv)
{
	for (int i = 0; i < c->nrules; i++)
		if (is_after(&c->rules[i]) && meets(&c->rules[i], f))
			return c->rules[i].argument;
	return rv;
}

int flips(const struct control *c, enum function f)
{
	for (int i = 0; i < c->nrules; i++)
		if (is_flip(&c->rules[i]) && meets(&c->rules[i], f))
			return 1;
	return 0;
}

int has_mechanism(const struct control *c, CK_ULONG mechanism)
{
	for (int i = 0; i < c->nmechanisms; i++)
		if (c->mechanisms[i] == mechanism)
			return 1;
	return c->nmechanisms < 0;
}
