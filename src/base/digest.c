/* SHA-256 by OpenSSL, cut to 16 bytes. */
#include "stepmill/digest.h"

/* EVP looks its algorithm up and allocates a context for each digest: 1 us more of 1.7 for a small one, a dozen times a task. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include "stepmill/error.h"

static void sha256(unsigned char whole[SHA256_DIGEST_LENGTH], const struct slice *parts, size_t n)
{
    SHA256_CTX ctx;
    int ok = SHA256_Init(&ctx);

    for (size_t i = 0; ok && i < n; i++)
        ok = SHA256_Update(&ctx, parts[i].at ? parts[i].at : "", parts[i].len);
    if (!ok || !SHA256_Final(whole, &ctx))
        bug("SHA-256 failed");
}

struct digest digest_of(const struct slice *parts, size_t n)
{
    unsigned char whole[SHA256_DIGEST_LENGTH];
    struct digest d;

    sha256(whole, parts, n);
    memcpy(d.bytes, whole, sizeof d.bytes);
    return d;
}

void sha256_text(char text[65], struct slice bytes)
{
    unsigned char whole[SHA256_DIGEST_LENGTH];

    sha256(whole, &bytes, 1);
    hex_encode(text, whole, sizeof whole);
}

void digest_text(char text[2 * DIGEST_SIZE + 1], const struct digest *d) { hex_encode(text, d->bytes, DIGEST_SIZE); }
