#include "module.h"

#include <pthread.h>
#include <string.h>

#define ENTER(f)             \
	struct control c;    \
	CK_RV rv;            \
	control_read(&c);    \
	if (before(&c, f, &rv)) \
		return rv

/* Sessions that are open, to hold to a number of them, and what is under way in
 * one whose key wants its PIN again. */
static struct session {
	CK_SESSION_HANDLE handle;
	CK_SLOT_ID slot;
	int signing, shown;
	struct mldsa_id mldsa; /* whose signature is under way */
} sessions[4096];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* find gives a session's place, or a free one for handle 0; the lock is held. */
static struct session *find(CK_SESSION_HANDLE handle)
{
	for (unsigned i = 0; i < sizeof sessions / sizeof sessions[0]; i++)
		if (sessions[i].handle == handle)
			return &sessions[i];
	return NULL;
}

void forget_sessions(CK_SLOT_ID slot)
{
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < sizeof sessions / sizeof sessions[0]; i++)
		if (sessions[i].handle != 0 && sessions[i].slot == slot)
			sessions[i].handle = 0;
	pthread_mutex_unlock(&lock);
}

CK_RV f_C_OpenSession(CK_SLOT_ID slot, CK_FLAGS flags, CK_VOID_PTR app, CK_NOTIFY notify, CK_SESSION_HANDLE *session)
{
	ENTER(F_C_OpenSession);
	pthread_mutex_lock(&lock);
	CK_ULONG open = 0;
	for (unsigned i = 0; i < sizeof sessions / sizeof sessions[0]; i++)
		open += sessions[i].handle != 0 && sessions[i].slot == slot;
	if (c.sessions != UNTOLD && open >= c.sessions)
		rv = CKR_SESSION_COUNT;
	else
		rv = real->C_OpenSession(slot, flags, app, notify, session);
	struct session *free = rv == CKR_OK ? find(0) : NULL;
	if (free != NULL)
		*free = (struct session){*session, slot, 0, 0, {0}};
	pthread_mutex_unlock(&lock);
	return after(&c, F_C_OpenSession, rv);
}

CK_RV f_C_CloseSession(CK_SESSION_HANDLE session)
{
	ENTER(F_C_CloseSession);
	pthread_mutex_lock(&lock);
	rv = real->C_CloseSession(session);
	struct session *s = find(session);
	if (s != NULL)
		s->handle = 0;
	pthread_mutex_unlock(&lock);
	return after(&c, F_C_CloseSession, rv);
}

CK_RV f_C_CloseAllSessions(CK_SLOT_ID slot)
{
	ENTER(F_C_CloseAllSessions);
	forget_sessions(slot);
	return after(&c, F_C_CloseAllSessions, real->C_CloseAllSessions(slot));
}

CK_RV f_C_GetTokenInfo(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
	ENTER(F_C_GetTokenInfo);
	rv = real->C_GetTokenInfo(slot, info);
	if (rv == CKR_OK) {
		info->flags = (info->flags | c.set) & ~c.clear;
		if (c.max_sessions != UNTOLD)
			info->ulMaxSessionCount = c.max_sessions;
	}
	return after(&c, F_C_GetTokenInfo, rv);
}

CK_RV f_C_GetMechanismList(CK_SLOT_ID slot, CK_MECHANISM_TYPE *list, CK_ULONG *count)
{
	ENTER(F_C_GetMechanismList);
	CK_MECHANISM_TYPE all[1024];
	CK_ULONG n = 1000, kept = 0;
	rv = real->C_GetMechanismList(slot, all, &n);
	if (rv != CKR_OK)
		return rv;
	n = mldsa_mechanisms(all, n);
	for (CK_ULONG i = 0; i < n; i++)
		if (has_mechanism(&c, all[i]))
			all[kept++] = all[i];
	if (list != NULL && *count < kept)
		rv = CKR_BUFFER_TOO_SMALL;
	else if (list != NULL)
		memcpy(list, all, kept * sizeof all[0]);
	*count = kept;
	return after(&c, F_C_GetMechanismList, rv);
}

CK_RV f_C_GetMechanismInfo(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info)
{
	ENTER(F_C_GetMechanismInfo);
	if (!has_mechanism(&c, type))
		return CKR_MECHANISM_INVALID;
	if (mldsa_info(type, info))
		return after(&c, F_C_GetMechanismInfo, CKR_OK);
	return after(&c, F_C_GetMechanismInfo, real->C_GetMechanismInfo(slot, type, info));
}

static CK_ULONG class_of(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object)
{
	CK_ULONG class = UNTOLD;
	CK_ATTRIBUTE a = {CKA_CLASS, &class, sizeof class};
	real->C_GetAttributeValue(session, object, &a, 1);
	return class;
}

CK_RV put(CK_ATTRIBUTE *a, CK_ULONG room, const unsigned char *value, CK_ULONG len)
{
	a->ulValueLen = len;
	if (a->pValue == NULL)
		return CKR_OK;
	if (room < len) {
		a->ulValueLen = CK_UNAVAILABLE_INFORMATION;
		return CKR_BUFFER_TOO_SMALL;
	}
	memcpy(a->pValue, value, len);
	return CKR_OK;
}

/* ec_point writes a point as some tokens do. The real one is in a DER OCTET
 * STRING. */
static CK_RV ec_point(const struct control *c, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *a, CK_ULONG room)
{
	unsigned char value[256] = {0}, out[256] = {0};
	CK_ATTRIBUTE whole = {CKA_EC_POINT, value, sizeof value};
	CK_RV rv = real->C_GetAttributeValue(session, object, &whole, 1);
	if (rv != CKR_OK)
		return rv;
	CK_ULONG head = value[1] == 0x81 ? 3 : 2, len = whole.ulValueLen - head;
	if (strcmp(c->ec_point, "raw") == 0)
		return put(a, room, value + head, len);
	CK_ULONG at = 0;
	if (strcmp(c->ec_point, "bits") == 0) { /* BIT STRING, no unused bits */
		out[at++] = 0x03;
		if (len + 1 > 127)
			out[at++] = 0x81;
		out[at++] = (unsigned char)(len + 1);
		out[at++] = 0;
	} else { /* "short": the length in one octet, though it needs the long form */
		out[at++] = 0x04;
		out[at++] = (unsigned char)len;
	}
	memcpy(out + at, value + head, len);
	return put(a, room, out, at + len);
}

CK_RV f_C_GetAttributeValue(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *template, CK_ULONG count)
{
	ENTER(F_C_GetAttributeValue);
	CK_ULONG room[64];
	for (CK_ULONG i = 0; i < count && i < 64; i++)
		room[i] = template[i].ulValueLen;
	rv = real->C_GetAttributeValue(session, object, template, count);
	CK_ULONG class = class_of(session, object);
	for (CK_ULONG i = 0; i < count && i < 64; i++) {
		CK_ATTRIBUTE *a = &template[i];
		/* The caller's room is for the other form, which may be shorter. */
		if (a->type == CKA_EC_POINT && c.ec_point[0] != 0 && (rv == CKR_OK || rv == CKR_BUFFER_TOO_SMALL))
			rv = ec_point(&c, session, object, a, room[i]);
		rv = mldsa_attribute(session, object, class, a, room[i], rv);
		if (a->type == CKA_ALWAYS_AUTHENTICATE && c.always_authenticate[0] != 0 && class == CKO_PRIVATE_KEY)
			rv = put(a, room[i], (const unsigned char *)"\1", 1);
		for (int n = 0; n < c.noverrides; n++) {
			const struct override *o = &c.overrides[n];
			if (o->type != a->type || (o->class != ~0UL && o->class != class))
				continue;
			if (o->hidden) {
				a->ulValueLen = CK_UNAVAILABLE_INFORMATION;
				rv = CKR_ATTRIBUTE_TYPE_INVALID;
			} else {
				rv = put(a, room[i], o->value, o->len);
			}
		}
	}
	return after(&c, F_C_GetAttributeValue, rv);
}

CK_RV f_C_FindObjects(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *objects, CK_ULONG max, CK_ULONG *count)
{
	ENTER(F_C_FindObjects);
	CK_ULONG kept;
	do { /* none at all would mean the end of the search */
		rv = real->C_FindObjects(session, objects, max, count);
		if (rv != CKR_OK || *count == 0 || c.hidden_class == UNTOLD)
			break;
		kept = 0;
		for (CK_ULONG i = 0; i < *count; i++)
			if (class_of(session, objects[i]) != c.hidden_class)
				objects[kept++] = objects[i];
		*count = kept;
	} while (kept == 0);
	return after(&c, F_C_FindObjects, rv);
}

static void signing(CK_SESSION_HANDLE session, int on, struct mldsa_id mldsa)
{
	pthread_mutex_lock(&lock);
	struct session *s = find(session);
	if (s != NULL)
		s->signing = on, s->shown = 0, s->mldsa = mldsa;
	pthread_mutex_unlock(&lock);
}

/* shown takes note that the PIN was shown to the signature under way; asked
 * with 0 it tells whether it was. */
static int shown(CK_SESSION_HANDLE session, int now)
{
	pthread_mutex_lock(&lock);
	struct session *s = find(session);
	int was = s != NULL && s->signing && (s->shown || now);
	if (was)
		s->shown = 1;
	pthread_mutex_unlock(&lock);
	return was;
}

static struct mldsa_id mldsa_of(CK_SESSION_HANDLE session)
{
	pthread_mutex_lock(&lock);
	struct session *s = find(session);
	struct mldsa_id id = s != NULL ? s->mldsa : (struct mldsa_id){0};
	pthread_mutex_unlock(&lock);
	return id;
}

CK_RV f_C_SignInit(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	ENTER(F_C_SignInit);
	struct mldsa_id mldsa = {0};
	rv = has_mechanism(&c, mechanism->mechanism) ? mldsa_sign_init(session, mechanism, key, &mldsa) : CKR_MECHANISM_INVALID;
	signing(session, rv == CKR_OK, mldsa);
	return after(&c, F_C_SignInit, rv);
}

CK_RV f_C_Sign(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG len, CK_BYTE *signature, CK_ULONG *size)
{
	ENTER(F_C_Sign);
	if (c.always_authenticate[0] != 0 && !shown(session, 0))
		return CKR_USER_NOT_LOGGED_IN;
	struct mldsa_id mldsa = mldsa_of(session);
	rv = mldsa.len > 0 ? mldsa_sign(&mldsa, data, len, signature, size) : real->C_Sign(session, data, len, signature, size);
	if (rv == CKR_OK && signature != NULL) {
		signing(session, 0, (struct mldsa_id){0});
		if (flips(&c, F_C_Sign))
			signature[*size - 1] ^= 1;
	}
	return after(&c, F_C_Sign, rv);
}

CK_RV f_C_SignFinal(CK_SESSION_HANDLE session, CK_BYTE *signature, CK_ULONG *size)
{
	ENTER(F_C_SignFinal);
	if (c.always_authenticate[0] != 0 && !shown(session, 0))
		return CKR_USER_NOT_LOGGED_IN;
	rv = real->C_SignFinal(session, signature, size);
	if (rv == CKR_OK && signature != NULL) {
		signing(session, 0, (struct mldsa_id){0});
		if (flips(&c, F_C_SignFinal))
			signature[*size - 1] ^= 1;
	}
	return after(&c, F_C_SignFinal, rv);
}

CK_RV f_C_GenerateKeyPair(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_ATTRIBUTE *public, CK_ULONG npublic,
    CK_ATTRIBUTE *private, CK_ULONG nprivate, CK_OBJECT_HANDLE *publickey, CK_OBJECT_HANDLE *privatekey)
{
	ENTER(F_C_GenerateKeyPair);
	if (!has_mechanism(&c, mechanism->mechanism))
		return CKR_MECHANISM_INVALID;
	if (mldsa_makes(mechanism->mechanism))
		return after(&c, F_C_GenerateKeyPair, mldsa_generate(session, public, npublic, private, nprivate, publickey, privatekey));
	rv = real->C_GenerateKeyPair(session, mechanism, public, npublic, private, nprivate, publickey, privatekey);
	return after(&c, F_C_GenerateKeyPair, rv);
}

CK_RV f_C_Login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG len)
{
	ENTER(F_C_Login);
	if (user == CKU_CONTEXT_SPECIFIC && c.always_authenticate[0] != 0) {
		if (len != strlen(c.always_authenticate) || memcmp(pin, c.always_authenticate, len) != 0)
			rv = CKR_PIN_INCORRECT;
		else
			rv = shown(session, 1) ? CKR_OK : CKR_OPERATION_NOT_INITIALIZED;
		return after(&c, F_C_Login, rv);
	}
	if (c.protected_pin[0] != 0) {
		if (pin != NULL)
			return CKR_ARGUMENTS_BAD;
		pin = (CK_UTF8CHAR *)c.protected_pin;
		len = strlen(c.protected_pin);
	}
	if (c.login_as != UNTOLD) {
		if (user != c.login_as)
			return CKR_USER_TYPE_INVALID;
		user = CKU_USER;
	}
	return after(&c, F_C_Login, real->C_Login(session, user, pin, len));
}
