#include "module.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/*
 * ML-DSA (PKCS#11 3.2) on a token that has none. An ML-DSA key pair is one of
 * EC on the token, of which only the id, the label and the attributes that are
 * the same for all keys are true: whose id it is, is the test's to say, over the
 * socket FAULT_MLDSA, and so are its public key and signatures.
 */

#define CKM_ML_DSA_KEY_PAIR_GEN 0x1CUL
#define CKM_ML_DSA 0x1DUL
#define CKK_ML_DSA 0x4AUL
#define CKA_PARAMETER_SET 0x61DUL

enum { LARGEST = 5120 }; /* of a public key or signature */

static int all(int fd, unsigned char *at, size_t len, int out)
{
	while (len > 0) {
		ssize_t n = out ? send(fd, at, len, MSG_NOSIGNAL) : recv(fd, at, len, 0);
		if (n <= 0)
			return 0;
		at += n;
		len -= n;
	}
	return 1;
}

/* ask says an operation, an id and data to the test; the answer's length is in
 * *len. It is 0 where there is no such key. */
static int ask(char operation, const struct mldsa_id *id, const void *data, CK_ULONG size, unsigned char *answer, CK_ULONG *len)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	const char *path = getenv("FAULT_MLDSA");
	if (path == NULL || id->len == 0 || strlen(path) >= sizeof to.sun_path)
		return 0;
	strcpy(to.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), ok = 0;
	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0) {
		uint32_t head[3] = {(uint32_t)operation, id->len, size}, n = 0;
		ok = all(fd, (unsigned char *)head, sizeof head, 1) && all(fd, (unsigned char *)id->octets, id->len, 1) &&
		    all(fd, (unsigned char *)data, size, 1) && all(fd, (unsigned char *)&n, sizeof n, 0) && n > 0 && n <= LARGEST && all(fd, answer, n, 0);
		*len = n;
	}
	if (fd >= 0)
		close(fd);
	return ok;
}

/* public_key gives that of an object; 0 where it is of no ML-DSA key pair. */
static CK_ULONG public_key(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, struct mldsa_id *id, unsigned char *value)
{
	CK_ULONG len = 0;
	id->len = sizeof id->octets;
	CK_ATTRIBUTE a = {CKA_ID, id->octets, id->len};
	if (getenv("FAULT_MLDSA") == NULL || real->C_GetAttributeValue(session, object, &a, 1) != CKR_OK)
		return 0;
	id->len = a.ulValueLen;
	return ask('p', id, NULL, 0, value, &len) ? len : 0;
}

CK_ULONG mldsa_mechanisms(CK_MECHANISM_TYPE *list, CK_ULONG n)
{
	if (getenv("FAULT_MLDSA") != NULL) {
		list[n++] = CKM_ML_DSA_KEY_PAIR_GEN;
		list[n++] = CKM_ML_DSA;
	}
	return n;
}

int mldsa_info(CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info)
{
	if (getenv("FAULT_MLDSA") == NULL || (type != CKM_ML_DSA && type != CKM_ML_DSA_KEY_PAIR_GEN))
		return 0;
	*info = (CK_MECHANISM_INFO){1, 3, type == CKM_ML_DSA ? CKF_SIGN | CKF_VERIFY : CKF_GENERATE_KEY_PAIR};
	return 1;
}

CK_RV mldsa_attribute(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ULONG class, CK_ATTRIBUTE *a, CK_ULONG room, CK_RV rv)
{
	unsigned char value[LARGEST];
	struct mldsa_id id;
	CK_ULONG number = CKK_ML_DSA, len;
	if ((class != CKO_PUBLIC_KEY && class != CKO_PRIVATE_KEY) || (len = public_key(session, object, &id, value)) == 0)
		return rv;
	switch (a->type) {
	case CKA_PARAMETER_SET:
		number = len == 1312 ? 1 : len == 1952 ? 2 : 3;
		/* fall through */
	case CKA_KEY_TYPE:
		return put(a, room, (unsigned char *)&number, sizeof number);
	case CKA_VALUE:
		if (class == CKO_PUBLIC_KEY)
			return put(a, room, value, len);
		a->ulValueLen = CK_UNAVAILABLE_INFORMATION;
		return CKR_ATTRIBUTE_SENSITIVE;
	case CKA_EC_PARAMS:
	case CKA_EC_POINT:
	case CKA_PUBLIC_KEY_INFO:
		a->ulValueLen = CK_UNAVAILABLE_INFORMATION;
		return CKR_ATTRIBUTE_TYPE_INVALID;
	}
	return rv;
}

CK_RV mldsa_generate(CK_SESSION_HANDLE session, CK_ATTRIBUTE *public, CK_ULONG npublic, CK_ATTRIBUTE *private, CK_ULONG nprivate,
    CK_OBJECT_HANDLE *publickey, CK_OBJECT_HANDLE *privatekey)
{
	static unsigned char p256[] = {6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7};
	CK_MECHANISM ec = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
	CK_ATTRIBUTE asked[64];
	CK_ULONG set = 0, len;
	unsigned char value[LARGEST];
	struct mldsa_id id;
	if (npublic > 64)
		return CKR_TEMPLATE_INCONSISTENT;
	for (CK_ULONG i = 0; i < npublic; i++) {
		asked[i] = public[i];
		if (public[i].type == CKA_PARAMETER_SET && public[i].ulValueLen == sizeof set) {
			memcpy(&set, public[i].pValue, sizeof set);
			asked[i] = (CK_ATTRIBUTE){CKA_EC_PARAMS, p256, sizeof p256};
		}
	}
	if (set < 1 || set > 3)
		return set == 0 ? CKR_TEMPLATE_INCOMPLETE : 0x209 /* CKR_PARAMETER_SET_NOT_SUPPORTED */;
	CK_RV rv = real->C_GenerateKeyPair(session, &ec, asked, npublic, private, nprivate, publickey, privatekey);
	if (rv != CKR_OK)
		return rv;
	id.len = sizeof id.octets;
	CK_ATTRIBUTE a = {CKA_ID, id.octets, id.len};
	rv = real->C_GetAttributeValue(session, *privatekey, &a, 1);
	id.len = a.ulValueLen;
	if (rv == CKR_OK && !ask('g', &id, &set, sizeof set, value, &len))
		rv = CKR_DEVICE_ERROR;
	return rv;
}

int mldsa_makes(CK_MECHANISM_TYPE type) { return getenv("FAULT_MLDSA") != NULL && type == CKM_ML_DSA_KEY_PAIR_GEN; }

CK_RV mldsa_sign_init(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, struct mldsa_id *id)
{
	unsigned char value[LARGEST];
	id->len = 0;
	if (getenv("FAULT_MLDSA") == NULL)
		return real->C_SignInit(session, mechanism, key);
	struct mldsa_id found;
	int is = public_key(session, key, &found, value) > 0;
	if (is != (mechanism->mechanism == CKM_ML_DSA))
		return CKR_KEY_TYPE_INCONSISTENT;
	if (!is)
		return real->C_SignInit(session, mechanism, key);
	if (mechanism->ulParameterLen != 0)
		return CKR_MECHANISM_PARAM_INVALID;
	*id = found;
	return CKR_OK;
}

CK_RV mldsa_sign(const struct mldsa_id *id, CK_BYTE *data, CK_ULONG len, CK_BYTE *signature, CK_ULONG *size)
{
	unsigned char value[LARGEST];
	CK_ULONG n = 0;
	if (!ask('s', id, data, len, value, &n))
		return CKR_DEVICE_ERROR;
	CK_RV rv = signature != NULL && *size < n ? CKR_BUFFER_TOO_SMALL : CKR_OK;
	if (signature != NULL && rv == CKR_OK)
		memcpy(signature, value, n);
	*size = n;
	return rv;
}
