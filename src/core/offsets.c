/* Which offsets of one partition are finished: a bitmap that slides with the watermark, and its text form. */
#include "stepmill/offsets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stepmill/base64url.h"
#include "stepmill/crc32c.h"

/* Bits start at the watermark rounded down to a word, so that sliding moves whole words. */
struct offsets {
    int64_t watermark;
    uint64_t *words; /* finished */
    uint64_t *gaps;  /* of these: no record, so nothing is lost if nobody is told */
    size_t nwords;
};

enum {
    WORD_BITS = 64,
    WINDOW_MAX = 1 << 24, /* offsets above the watermark: more are not told, and not believed of a damaged text */
    FORMAT = 1,
    HEADER = 1 + 8 + 4, /* format, watermark, CRC-32C of what follows */
    RUN_MIN = 32,       /* a shorter run costs more as a run than as bits */
    BYTES_MAX = OFFSETS_TEXT_MAX / 4 * 3,
};

static int64_t first_bit(const struct offsets *o) { return o->watermark - o->watermark % WORD_BITS; }

static bool bit(const struct offsets *o, size_t i)
{
    return i / WORD_BITS < o->nwords && (o->words[i / WORD_BITS] >> i % WORD_BITS & 1);
}

struct offsets *offsets_new(int64_t watermark)
{
    struct offsets *o = calloc(1, sizeof *o);

    if (o)
        o->watermark = watermark;
    return o;
}

void offsets_free(struct offsets *o)
{
    if (!o)
        return;
    free(o->words);
    free(o->gaps);
    free(o);
}

int64_t offsets_watermark(const struct offsets *o) { return o->watermark; }

bool offsets_is_finished(const struct offsets *o, int64_t offset)
{
    return offset < o->watermark || bit(o, (size_t)(offset - first_bit(o)));
}

static bool grow(uint64_t **words, size_t from, size_t to)
{
    uint64_t *more = realloc(*words, to * sizeof *more);

    if (!more)
        return false;
    memset(more + from, 0, (to - from) * sizeof *more);
    *words = more;
    return true;
}

static bool reserve_exactly(struct offsets *o, size_t nwords)
{
    if (nwords <= o->nwords)
        return true;
    if (!grow(&o->words, o->nwords, nwords) || !grow(&o->gaps, o->nwords, nwords))
        return false;
    o->nwords = nwords;
    return true;
}

static bool reserve(struct offsets *o, size_t nwords) { return nwords <= o->nwords || reserve_exactly(o, nwords + nwords / 2); }

struct offsets *offsets_copy(const struct offsets *o)
{
    struct offsets *copy = offsets_new(o->watermark);

    if (copy && !reserve_exactly(copy, o->nwords)) {
        offsets_free(copy);
        return NULL;
    }
    if (copy && o->nwords) {
        memcpy(copy->words, o->words, o->nwords * sizeof *o->words);
        memcpy(copy->gaps, o->gaps, o->nwords * sizeof *o->gaps);
    }
    return copy;
}

static void drop_first(uint64_t *words, size_t n, size_t gone)
{
    memmove(words, words + gone, (n - gone) * sizeof *words);
    memset(words + n - gone, 0, gone * sizeof *words);
}

/* Move the watermark and drop the words that lie wholly below. */
static void move_to(struct offsets *o, int64_t watermark)
{
    size_t gone = (size_t)(watermark - first_bit(o)) / WORD_BITS;

    o->watermark = watermark;
    if (gone > o->nwords)
        gone = o->nwords;
    if (gone) {
        drop_first(o->words, o->nwords, gone);
        drop_first(o->gaps, o->nwords, gone);
    }
}

/* Advance over finished offsets. */
static void slide(struct offsets *o)
{
    size_t i = (size_t)(o->watermark - first_bit(o));

    while (bit(o, i))
        i = i % WORD_BITS == 0 && o->words[i / WORD_BITS] == UINT64_MAX ? i + WORD_BITS : i + 1;
    move_to(o, first_bit(o) + (int64_t)i);
}

static void set(struct offsets *o, size_t word, uint64_t bits, bool gap)
{
    if (gap)
        o->gaps[word] |= bits & ~o->words[word]; /* a record that is finished stays one */
    o->words[word] |= bits;
}

static bool finish(struct offsets *o, int64_t from, int64_t to, bool gap)
{
    int64_t base = first_bit(o);

    if (from < o->watermark)
        from = o->watermark;
    if (from >= to)
        return true;
    if (from == o->watermark) { /* no bits needed: the first record of an old topic may lie behind a gap of billions */
        move_to(o, to);
        slide(o);
        return true;
    }
    if (!reserve(o, (size_t)(to - base + WORD_BITS - 1) / WORD_BITS))
        return false;
    for (int64_t i = from - base; i < to - base;) {
        bool whole = i % WORD_BITS == 0 && to - base - i >= WORD_BITS;

        set(o, (size_t)i / WORD_BITS, whole ? UINT64_MAX : UINT64_C(1) << i % WORD_BITS, gap);
        i += whole ? WORD_BITS : 1;
    }
    slide(o);
    return true;
}

bool offsets_finish(struct offsets *o, int64_t offset)
{
    if (offsets_is_finished(o, offset)) {
        fprintf(stderr, "BUG: offset %lld finished twice\n", (long long)offset);
        abort();
    }
    return finish(o, offset, offset + 1, false);
}

bool offsets_finish_gap(struct offsets *o, int64_t from, int64_t to) { return finish(o, from, to, true); }

/* The text is base64url of: format, watermark (8 bytes, little endian), CRC-32C (4), then tokens that describe the bits
 * from the watermark up. A token is a varint: value << 2 | bit << 1 | 1 = a run of `value` equal bits;
 * value << 1 = `value` bytes of plain bits follow, lowest first. Bits after the last token are not finished. */

struct bytes {
    uint8_t at[BYTES_MAX];
    size_t len;
    bool full;
};

static void put_byte(struct bytes *b, uint8_t byte)
{
    if (b->len == sizeof b->at)
        b->full = true;
    else
        b->at[b->len++] = byte;
}

static void put_varint(struct bytes *b, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        put_byte(b, (uint8_t)(v | 0x80));
    put_byte(b, (uint8_t)v);
}

static void put_little_endian(uint8_t *at, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++, v >>= 8)
        at[i] = (uint8_t)v;
}

/* Number of bits equal to bit `i`, up to `end`: whole words at a time, for each commit counts what lies behind a stuck task. */
static size_t run_length(const struct offsets *o, size_t i, size_t end)
{
    bool value = bit(o, i);
    uint64_t all = value ? UINT64_MAX : 0;
    size_t j = i + 1;

    while (j < end && bit(o, j) == value)
        j += j % WORD_BITS == 0 && end - j >= WORD_BITS && o->words[j / WORD_BITS] == all ? WORD_BITS : 1;
    return j - i;
}

static void put_plain(struct bytes *b, const struct offsets *o, size_t from, size_t nbytes)
{
    put_varint(b, (uint64_t)nbytes << 1);
    for (size_t n = 0; n < nbytes; n++) {
        uint8_t byte = 0;

        for (size_t k = 0; k < 8; k++)
            byte |= (uint8_t)(bit(o, from + n * 8 + k) << k);
        put_byte(b, byte);
    }
}

/* One above the highest bit that is set, not below the watermark's. */
static size_t end_of_bits(const struct offsets *o)
{
    size_t at = (size_t)(o->watermark - first_bit(o)), end = o->nwords * WORD_BITS;

    while (end > at && !bit(o, end - 1))
        end -= end % WORD_BITS == 0 && end - at >= WORD_BITS && !o->words[end / WORD_BITS - 1] ? WORD_BITS : 1;
    return end > at ? end : at;
}

int64_t offsets_end(const struct offsets *o) { return first_bit(o) + (int64_t)end_of_bits(o); }

static void put_bits(struct bytes *b, const struct offsets *o)
{
    size_t at = (size_t)(o->watermark - first_bit(o)), end = end_of_bits(o);

    while (at < end && !b->full) {
        size_t run = run_length(o, at, end);
        size_t plain = at;

        if (run >= RUN_MIN) {
            put_varint(b, (uint64_t)run << 2 | (uint64_t)bit(o, at) << 1 | 1);
            at += run;
            continue;
        }
        while (plain < end && run_length(o, plain, end) < RUN_MIN)
            plain += 8;
        put_plain(b, o, at, (plain - at) / 8);
        at = plain;
    }
}

static bool encode(const struct offsets *o, char *text, size_t room, size_t *len)
{
    struct bytes b = {.len = HEADER};

    /* Plain bits are told by whole bytes, so they reach a little further than the last one. */
    if (offsets_end(o) - o->watermark > WINDOW_MAX - WORD_BITS)
        return false;
    put_bits(&b, o);
    if (b.full || base64url_length(b.len) >= room)
        return false;
    b.at[0] = FORMAT;
    put_little_endian(b.at + 1, (uint64_t)o->watermark, 8);
    put_little_endian(b.at + 9, crc32c(b.at + HEADER, b.len - HEADER), 4);
    *len = base64url_encode(text, b.at, b.len);
    return true;
}

/* Gaps make runs longer, and the text mostly shorter. Between records that nobody has finished they make it longer, and must not
 * keep it from being sent. */
bool offsets_encode(const struct offsets *o, char *text, size_t room, size_t *len)
{
    struct offsets *records;
    bool fits;

    if (encode(o, text, room, len))
        return true;
    records = RULE(gaps_untold) ? offsets_copy(o) : NULL;
    for (size_t i = 0; records && i < records->nwords; i++)
        records->words[i] &= ~records->gaps[i];
    fits = records && encode(records, text, room, len);
    offsets_free(records);
    return fits;
}

static uint64_t get_little_endian(const uint8_t *at, size_t n)
{
    uint64_t v = 0;

    while (n--)
        v = v << 8 | at[n];
    return v;
}

static bool get_varint(const uint8_t **at, const uint8_t *end, uint64_t *v)
{
    *v = 0;
    for (unsigned shift = 0; *at < end && shift < 35; shift += 7) {
        uint8_t byte = *(*at)++;

        *v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

static const char no_memory[] = "no memory";

/* Apply the token at `*at` to the bits from `*offset` up. Returns what is wrong with it, or NULL. */
static const char *get_token(struct offsets *o, int64_t limit, int64_t *offset, const uint8_t **at, const uint8_t *end)
{
    uint64_t token;
    int64_t count;

    if (!get_varint(at, end, &token))
        return "cut off";
    count = (int64_t)(token & 1 ? token >> 2 : token >> 1 << 3);
    if (count == 0 || count > limit - *offset)
        return "window too large";
    if (token & 1) {
        if (token & 2 && !finish(o, *offset, *offset + count, false))
            return no_memory;
        *offset += count;
        return NULL;
    }
    if (count / 8 > end - *at)
        return "cut off";
    for (int64_t i = 0; i < count; i++)
        if ((*at)[i / 8] >> i % 8 & 1 && !finish(o, *offset + i, *offset + i + 1, false))
            return no_memory;
    *at += count / 8;
    *offset += count;
    return NULL;
}

struct offsets *offsets_decode(int64_t watermark, const char *text, size_t len, const char **why)
{
    uint8_t bytes[BYTES_MAX];
    size_t n = 0;
    const uint8_t *at = bytes + HEADER;
    int64_t offset = watermark;
    struct offsets *o;

    *why = NULL;
    if (len >= OFFSETS_TEXT_MAX || (len && !base64url_decode(bytes, &n, text, len)) || (len && n < HEADER) ||
        (len && bytes[0] != FORMAT))
        *why = "not made by this version";
    else if (len && get_little_endian(bytes + 1, 8) != (uint64_t)watermark)
        *why = "made for another offset";
    else if (len && get_little_endian(bytes + 9, 4) != crc32c(bytes + HEADER, n - HEADER))
        *why = "checksum differs";
    if (*why)
        return NULL;

    o = offsets_new(watermark);
    while (o && !*why && at < bytes + n)
        *why = get_token(o, watermark + WINDOW_MAX, &offset, &at, bytes + n);
    if (*why) {
        offsets_free(o);
        o = NULL;
    }
    if (*why == no_memory)
        *why = NULL;
    return o;
}
