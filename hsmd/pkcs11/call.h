/*
 * The two calls of the hot path in one crossing from Go: C_SignInit and C_Sign
 * on a session that is this call's alone, with a buffer that the caller sized.
 * (miekg/pkcs11 asks C_Sign for the length first, which some libraries refuse
 * and all take time for.) The calls of the slower ways are beside them: a login
 * without a copy of the PIN, or with none at all, and the second half of a
 * signature whose first half has been made.
 */
#ifndef HSMD_PKCS11_CALL_H
#define HSMD_PKCS11_CALL_H

#include <stddef.h>

/* hsmd_load opens a PKCS#11 library. On failure it returns NULL and puts a text
 * into why. */
void *hsmd_load(const char *path, char *why, size_t size);

/* hsmd_functions gives the function list that miekg/pkcs11 calls through, out of
 * its struct ctx. Another list will not do: p11-kit's has a state of its own. It
 * is NULL where C_GetFunctionList failed, or the struct is not as it was. */
void *hsmd_functions(void *library, void *ctx);

/* The steps of hsmd_sign, for its failures. */
enum { HSMD_SIGN_INIT = 1, HSMD_SIGN = 2 };

/* hsmd_sign signs data. For RSA-PSS, hash, mgf and salt make the mechanism's
 * parameter; otherwise hash is 0. It returns the CKR code, in step which call
 * gave it, and in *out_len the length of the signature. */
unsigned long hsmd_sign(void *functions, unsigned long session, unsigned long key,
    unsigned long mechanism, unsigned long hash, unsigned long mgf, unsigned long salt,
    unsigned char *data, unsigned long data_len,
    unsigned char *out, unsigned long *out_len, int *step);

/* hsmd_login shows a PIN; NULL has a token with a PIN pad ask for it. */
unsigned long hsmd_login(void *functions, unsigned long session, unsigned long user,
    unsigned char *pin, unsigned long pin_len);

/* hsmd_sign_data is C_Sign, hsmd_sign_final C_SignFinal. */
unsigned long hsmd_sign_data(void *functions, unsigned long session,
    unsigned char *data, unsigned long data_len,
    unsigned char *out, unsigned long *out_len);
unsigned long hsmd_sign_final(void *functions, unsigned long session,
    unsigned char *out, unsigned long *out_len);

#endif
