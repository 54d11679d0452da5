/* SHA-256 by OpenSSL, cut to 16 bytes. */
#include "stepmill/digest.h"

#include <openssl/evp.h>

#include "stepmill/error.h"

static void sha256(unsigned char whole[EVP_MAX_MD_SIZE], const struct slice *parts, size_t n)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned len = 0;
    int ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);

    for (size_t i = 0; ok && i < n; i++)
        ok = EVP_DigestUpdate(ctx, parts[i].at ? parts[i].at : "", parts[i].len);
    if (!ok || !EVP_DigestFinal_ex(ctx, whole, &len) || len != 32)
        bug("SHA-256 failed: out of memory, or OpenSSL without its default provider");
    EVP_MD_CTX_free(ctx);
}

struct digest digest_of(const struct slice *parts, size_t n)
{
    unsigned char whole[EVP_MAX_MD_SIZE];
    struct digest d;

    sha256(whole, parts, n);
    memcpy(d.bytes, whole, sizeof d.bytes);
    return d;
}

void sha256_text(char text[65], struct slice bytes)
{
    unsigned char whole[EVP_MAX_MD_SIZE];

    sha256(whole, &bytes, 1);
    hex_encode(text, whole, 32);
}

void digest_text(char text[2 * DIGEST_SIZE + 1], const struct digest *d) { hex_encode(text, d->bytes, DIGEST_SIZE); }
