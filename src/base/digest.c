/* SHA-256 by OpenSSL, cut to 16 bytes. */
#include "stepmill/digest.h"

/* EVP looks its algorithm up and allocates a context for each digest: 1 us more of 1.7 for a small one, a dozen times a task. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <assert.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "stepmill/error.h"

/* The state is copied in and out: its bytes are opaque to everybody else. */
static_assert(sizeof(SHA256_CTX) <= sizeof(struct digest_state), "a digest state holds OpenSSL's");

void digest_begin(struct digest_state *s)
{
    SHA256_CTX ctx;

    if (!SHA256_Init(&ctx))
        bug("SHA-256 failed");
    memcpy(s, &ctx, sizeof ctx);
}

void digest_add(struct digest_state *s, struct slice piece)
{
    SHA256_CTX ctx;

    memcpy(&ctx, s, sizeof ctx);
    if (!SHA256_Update(&ctx, piece.at ? piece.at : "", piece.len))
        bug("SHA-256 failed");
    memcpy(s, &ctx, sizeof ctx);
}

static void end(struct digest_state *s, unsigned char whole[SHA256_DIGEST_LENGTH])
{
    SHA256_CTX ctx;

    memcpy(&ctx, s, sizeof ctx);
    if (!SHA256_Final(whole, &ctx))
        bug("SHA-256 failed");
}

struct digest digest_end(struct digest_state *s)
{
    unsigned char whole[SHA256_DIGEST_LENGTH];
    struct digest d;

    end(s, whole);
    memcpy(d.bytes, whole, sizeof d.bytes);
    return d;
}

struct digest digest_of(const struct slice *parts, size_t n)
{
    struct digest_state s;

    digest_begin(&s);
    for (size_t i = 0; i < n; i++)
        digest_add(&s, parts[i]);
    return digest_end(&s);
}

void sha256_text(char text[65], struct slice bytes)
{
    unsigned char whole[SHA256_DIGEST_LENGTH];
    struct digest_state s;

    digest_begin(&s);
    digest_add(&s, bytes);
    end(&s, whole);
    hex_encode(text, whole, sizeof whole);
}

void digest_text(char text[2 * DIGEST_SIZE + 1], const struct digest *d) { hex_encode(text, d->bytes, DIGEST_SIZE); }

void hmac_sha256_text(char text[65], struct slice key, struct slice bytes)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned int n = 0;

    if (!HMAC(EVP_sha256(), key.at, (int)key.len, (const unsigned char *)bytes.at, bytes.len, mac, &n) || n != 32)
        bug("no HMAC");
    hex_encode(text, mac, n);
}
