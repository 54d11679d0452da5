/* Idempotency keys. */
#include "stepmill/idempotency.h"

#include "stepmill/error.h"
#include "stepmill/rule.h"

enum { PARTS_MAX = 8, TASK_ID_MAX = 128 };

/* 8 bytes, highest first. */
static struct slice length_bytes(uint8_t at[8], uint64_t length)
{
    for (int i = 7; i >= 0; i--, length >>= 8)
        at[i] = (uint8_t)length;
    return (struct slice){(const char *)at, 8};
}

static size_t write_key(char text[IDEMPOTENCY_KEY_MAX], struct slice task_id, int32_t seq, const struct digest *d)
{
    struct buf key = {.at = text, .room = IDEMPOTENCY_KEY_MAX - 1, .max = IDEMPOTENCY_KEY_MAX - 1};

    if (task_id.len > TASK_ID_MAX)
        bug("an idempotency key for a task id of %zu bytes", task_id.len);
    buf_put_slice(&key, task_id);
    buf_put_byte(&key, '/');
    buf_put_int(&key, seq);
    buf_put_byte(&key, '/');
    hex_encode(text + key.len, RULE(key_names_call) ? d->bytes : (const uint8_t[4]){0}, 4);
    return key.len + 8;
}

struct slice idempotency_header(char text[IDEMPOTENCY_HEADER_MAX], struct slice key)
{
    size_t n = 0;

    if (key.len >= IDEMPOTENCY_KEY_MAX)
        bug("an idempotency key of %zu bytes", key.len);
    text[n++] = '"';
    for (size_t i = 0; i < key.len; i++) {
        if (key.at[i] == '\\' || key.at[i] == '"')
            text[n++] = '\\';
        text[n++] = key.at[i];
    }
    text[n++] = '"';
    return (struct slice){text, n};
}

void idempotency_begin(struct digest_state *s, struct slice called)
{
    uint8_t length[8];

    digest_begin(s);
    digest_add(s, length_bytes(length, called.len));
    digest_add(s, called);
}

size_t idempotency_end(char text[IDEMPOTENCY_KEY_MAX], struct slice task_id, int32_t seq, const struct digest_state *s)
{
    struct digest_state copy = *s;
    struct digest d = digest_end(&copy);

    return write_key(text, task_id, seq, &d);
}

size_t idempotency_key(char text[IDEMPOTENCY_KEY_MAX], struct slice task_id, int32_t seq, const struct slice *parts,
                       size_t nparts, size_t nbody)
{
    struct slice hashed[2 * PARTS_MAX];
    uint8_t lengths[PARTS_MAX][8];
    size_t n = 0, body_len = 0;
    struct digest d;

    if (nparts > PARTS_MAX || nbody > nparts)
        bug("an idempotency key of %zu parts, %zu of them the body", nparts, nbody);
    for (size_t i = nparts - nbody; i < nparts; i++)
        body_len += parts[i].len;
    /* With the lengths, ("ab", "c") and ("a", "bc") are different calls. */
    for (size_t i = 0; i < nparts; i++) {
        if (i + nbody < nparts)
            hashed[n++] = length_bytes(lengths[i], parts[i].len);
        else if (i + nbody == nparts)
            hashed[n++] = length_bytes(lengths[i], body_len);
        hashed[n++] = parts[i];
    }
    d = digest_of(hashed, n);
    return write_key(text, task_id, seq, &d);
}
