#include "call.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/* As in PKCS#11 2.40: CK_ULONG is unsigned long, structures are not packed, and
 * the function list holds a version and then pointers in a fixed order. */
typedef unsigned long ck_ulong;

struct mechanism {
	ck_ulong mechanism;
	void *parameter;
	ck_ulong parameter_len;
};

struct pss_params {
	ck_ulong hash;
	ck_ulong mgf;
	ck_ulong salt;
};

struct function_list {
	unsigned char major, minor;
	void *call[68];
};

enum { C_LOGIN = 18, C_SIGN_INIT = 42, C_SIGN = 43, C_SIGN_FINAL = 45 };

typedef ck_ulong (*login)(ck_ulong, ck_ulong, unsigned char *, ck_ulong);
typedef ck_ulong (*sign_init)(ck_ulong, struct mechanism *, ck_ulong);
typedef ck_ulong (*sign)(ck_ulong, unsigned char *, ck_ulong, unsigned char *, ck_ulong *);
typedef ck_ulong (*sign_final)(ck_ulong, unsigned char *, ck_ulong *);

enum { CKR_FUNCTION_NOT_SUPPORTED = 0x54 };

void *hsmd_load(const char *path, char *why, size_t size)
{
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (library == NULL) {
		snprintf(why, size, "%s", dlerror());
		return NULL;
	}
	if (dlsym(library, "C_GetFunctionList") == NULL) {
		snprintf(why, size, "it is no PKCS#11 library: it has no C_GetFunctionList");
		return NULL; /* loaded it stays: unloading what failed crashes some libraries */
	}
	return library;
}

void *hsmd_functions(void *library, void *ctx)
{
	struct {
		void *handle;
		struct function_list *functions;
	} *c = ctx;
	if (c == NULL || c->handle != library || c->functions == NULL ||
	    c->functions->call[C_SIGN_INIT] == NULL || c->functions->call[C_SIGN] == NULL)
		return NULL;
	return c->functions;
}

unsigned long hsmd_sign(void *functions, unsigned long session, unsigned long key,
    unsigned long mechanism, unsigned long hash, unsigned long mgf, unsigned long salt,
    unsigned char *data, unsigned long data_len,
    unsigned char *out, unsigned long *out_len, int *step)
{
	struct function_list *list = functions;
	struct pss_params pss = {hash, mgf, salt};
	struct mechanism m = {mechanism, NULL, 0};
	if (hash != 0) {
		m.parameter = &pss;
		m.parameter_len = sizeof pss;
	}
	*step = HSMD_SIGN_INIT;
	ck_ulong rv = ((sign_init)list->call[C_SIGN_INIT])(session, &m, key);
	if (rv != 0)
		return rv;
	*step = HSMD_SIGN;
	return ((sign)list->call[C_SIGN])(session, data, data_len, out, out_len);
}

unsigned long hsmd_login(void *functions, unsigned long session, unsigned long user,
    unsigned char *pin, unsigned long pin_len)
{
	struct function_list *list = functions;
	if (list->call[C_LOGIN] == NULL)
		return CKR_FUNCTION_NOT_SUPPORTED;
	return ((login)list->call[C_LOGIN])(session, user, pin, pin_len);
}

unsigned long hsmd_sign_data(void *functions, unsigned long session,
    unsigned char *data, unsigned long data_len,
    unsigned char *out, unsigned long *out_len)
{
	struct function_list *list = functions;
	return ((sign)list->call[C_SIGN])(session, data, data_len, out, out_len);
}

unsigned long hsmd_sign_final(void *functions, unsigned long session,
    unsigned char *out, unsigned long *out_len)
{
	struct function_list *list = functions;
	if (list->call[C_SIGN_FINAL] == NULL)
		return CKR_FUNCTION_NOT_SUPPORTED;
	return ((sign_final)list->call[C_SIGN_FINAL])(session, out, out_len);
}
