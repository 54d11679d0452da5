/* Base64url without padding. */
#include "stepmill/base64url.h"

#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

size_t base64url_encode(char *text, const uint8_t *bytes, size_t n)
{
    size_t len = 0, bits = 0;
    uint32_t held = 0;

    for (size_t i = 0; i < n; i++) {
        held = held << 8 | bytes[i];
        for (bits += 8; bits >= 6; bits -= 6)
            text[len++] = alphabet[held >> (bits - 6) & 63];
    }
    if (bits)
        text[len++] = alphabet[held << (6 - bits) & 63];
    text[len] = '\0';
    return len;
}

bool base64url_decode(uint8_t *bytes, size_t *n, const char *text, size_t len)
{
    size_t bits = 0;
    uint32_t held = 0;

    *n = 0;
    for (size_t i = 0; i < len; i++) {
        const char *c = text[i] ? strchr(alphabet, text[i]) : NULL;

        if (!c)
            return false;
        held = held << 6 | (uint32_t)(c - alphabet);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            bytes[(*n)++] = (uint8_t)(held >> bits);
        }
    }
    return len % 4 != 1 && (held & ((1u << bits) - 1)) == 0;
}
