/*
 * A PKCS#11 module that hands every call on to a real one, and fails as it is
 * told. The parts: control.c reads what it is told and counts; forward.c has the
 * functions that are only handed on; tamper.c those whose answers it changes;
 * mldsa.c adds keys that the real one has not.
 */
#ifndef FAULTMODULE_MODULE_H
#define FAULTMODULE_MODULE_H

#define CK_PTR *
#define NULL_PTR 0
#define CK_DEFINE_FUNCTION(type, name) type name
#define CK_DECLARE_FUNCTION(type, name) type name
#define CK_DECLARE_FUNCTION_POINTER(type, name) type(*name)
#define CK_CALLBACK_FUNCTION(type, name) type(*name)
#include <pkcs11.h>

/* The functions' numbers, in the order of CK_FUNCTION_LIST. */
enum function {
#define CK_PKCS11_FUNCTION_INFO(name) F_##name,
#include <pkcs11f.h>
#undef CK_PKCS11_FUNCTION_INFO
	FUNCTIONS
};

enum { RULES = 256, MOST = 64, TEXT = 256 };

struct override {
	CK_ULONG type, class; /* class: ~0 is any */
	int hidden;
	CK_ULONG len;
	unsigned char value[TEXT];
};

/* What the control file says, read at each call. */
struct control {
	struct rule {
		int id, function; /* -1: any */
		unsigned long from, to;
		char action[24];
		unsigned long argument;
	} rules[MOST];
	int nrules;
	CK_ULONG sessions, max_sessions; /* ~0 - 2: not told */
	CK_FLAGS set, clear;
	CK_ULONG mechanisms[MOST];
	int nmechanisms; /* -1: as they are */
	CK_ULONG hidden_class;
	struct override overrides[16];
	int noverrides;
	char ec_point[16], always_authenticate[TEXT], protected_pin[TEXT];
	CK_ULONG login_as;
};
#define UNTOLD (~0UL - 2)

extern CK_FUNCTION_LIST *real;

void control_open(void);
void control_read(struct control *c);

/* before counts a call and does what the rules say. It is 1 where the call is
 * not to be made, and *rv is its answer then. */
int before(const struct control *c, enum function f, CK_RV *rv);

/* after is a call's answer: another than the real one's where a rule says that
 * the answer is lost. flips tells whether a signature is to be broken. */
CK_RV after(const struct control *c, enum function f, CK_RV rv);
int flips(const struct control *c, enum function f);

int has_mechanism(const struct control *c, CK_ULONG mechanism);
void forget_sessions(CK_SLOT_ID slot);

/* put answers an attribute with other octets than the real ones. */
CK_RV put(CK_ATTRIBUTE *a, CK_ULONG room, const unsigned char *value, CK_ULONG len);

/* ML-DSA, where FAULT_MLDSA is set. mldsa_attribute gives rv, the real answer,
 * for what is of no ML-DSA key; mldsa_sign_init leaves the id without length for
 * a signature that is the real module's. */
struct mldsa_id {
	CK_ULONG len;
	unsigned char octets[256];
};
CK_ULONG mldsa_mechanisms(CK_MECHANISM_TYPE *list, CK_ULONG n);
int mldsa_info(CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info);
CK_RV mldsa_attribute(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ULONG class, CK_ATTRIBUTE *a, CK_ULONG room, CK_RV rv);
int mldsa_makes(CK_MECHANISM_TYPE type);
CK_RV mldsa_generate(CK_SESSION_HANDLE session, CK_ATTRIBUTE *public, CK_ULONG npublic, CK_ATTRIBUTE *private, CK_ULONG nprivate,
    CK_OBJECT_HANDLE *publickey, CK_OBJECT_HANDLE *privatekey);
CK_RV mldsa_sign_init(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, struct mldsa_id *id);
CK_RV mldsa_sign(const struct mldsa_id *id, CK_BYTE *data, CK_ULONG len, CK_BYTE *signature, CK_ULONG *size);

#define DECLARE(name) CK_RV f_##name
#define CK_PKCS11_FUNCTION_INFO(name) DECLARE(name)
#define CK_NEED_ARG_LIST 1
#include <pkcs11f.h>
#undef CK_NEED_ARG_LIST
#undef CK_PKCS11_FUNCTION_INFO

#endif
