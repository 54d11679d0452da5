/* Fuzzes the headers of records: dead letters keep what came and add lines that are bounded and printable; CloudEvents likewise.
 */
#include "fuzz_input.h"
#include "stepmill/cloud_events.h"
#include "stepmill/dead_letter.h"
#include "stepmill/fingerprint.h"
#include "stepmill/utf8.h"

enum { HEADERS = 8 };

static bool is_ours(struct slice name)
{
    return slice_starts_with(name, "__dlq.errors.") || slice_starts_with(name, "stepmill.");
}

static const struct kafka_header *find(const struct kafka_header *headers, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (slice_is(headers[i].name, name))
            return &headers[i];
    return NULL;
}

static void check_printable(const struct kafka_header *h)
{
    if (!h || !h->value.at || h->value.len > DEAD_LETTER_MESSAGE_MAX || !utf8_valid(h->value))
        bug("a message that nobody can read");
    for (size_t i = 0; i < h->value.len; i++)
        if ((unsigned char)h->value.at[i] < 0x20 || h->value.at[i] == 0x7f)
            bug("a message of several lines");
}

static void check_letter(const struct dead_letter *l, const struct kafka_header *original, size_t noriginal)
{
    struct arena *arena = arena_new(1 << 20);
    const struct kafka_header *headers = NULL;
    size_t n = 0, kept = 0;
    int64_t number;

    if (!arena || !dead_letter_headers(l, original, noriginal, arena, &headers, &n))
        abort();
    for (size_t i = 0; i < noriginal; i++) {
        if (is_ours(original[i].name))
            continue;
        if (!slice_equal(headers[kept].name, original[i].name) || headers[kept].value.at != original[i].value.at ||
            headers[kept].value.len != original[i].value.len)
            bug("an original header was changed");
        kept++;
    }
    if (n - kept > DEAD_LETTER_HEADERS)
        bug("more headers than there is room for");
    for (size_t i = kept; i < n; i++)
        for (size_t k = kept; k < i; k++)
            if (!is_ours(headers[i].name) || slice_equal(headers[i].name, headers[k].name))
                bug("%.*s stands there twice", SLICE_FMT(headers[i].name));
    check_printable(find(headers + kept, n - kept, "__dlq.errors.message"));
    if (!slice_to_int(find(headers + kept, n - kept, "stepmill.first_failed_at")->value, INT64_MIN, INT64_MAX, &number))
        bug("a time that is none");
    if (!dead_letter_omitted(l->message, &l->origin, arena).at)
        bug("an omitted value without a word about it");
    arena_free(arena);
}

static void check_fingerprint(struct slice message)
{
    struct buf once = BUF(1 << 16), twice = BUF(1 << 16);

    fingerprint_normalise(message, &once);
    fingerprint_normalise(buf_slice(&once), &twice);
    if (once.failed || twice.failed)
        bug("a normal form without end");
    buf_free(&once);
    buf_free(&twice);
}

static void check_cloud_event(struct slice task_id, struct slice agent, int32_t seq, int64_t at_ms)
{
    struct arena *arena = arena_new(1 << 16);
    struct kafka_header headers[CLOUD_EVENT_HEADERS];
    struct digest digest = {{0}};

    if (!arena)
        abort();
    if (cloud_event_headers(headers, arena, task_id, seq, &digest, agent, "ModelAnswered", at_ms))
        for (size_t i = 0; i < CLOUD_EVENT_HEADERS; i++)
            if (!headers[i].value.at || headers[i].value.len > 1024)
                bug("%.*s has no value", SLICE_FMT(headers[i].name));
    arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = fuzz_begin(data, size);
    struct kafka_header headers[HEADERS];
    size_t n = (size_t)fuzz_number(&in, HEADERS);
    struct dead_letter l = {.group = SLICE("g"), .class = SLICE("poison"), .stage = SLICE("loading"), .worker = SLICE("w/1")};

    for (size_t i = 0; i < n; i++)
        headers[i] = (struct kafka_header){fuzz_text(&in, 64), fuzz_maybe(&in, 255)};
    l.origin = (struct origin){fuzz_text(&in, 249), (int32_t)fuzz_number(&in, UINT32_MAX), (int64_t)fuzz_number(&in, UINT64_MAX)};
    l.task_id = fuzz_maybe(&in, 128);
    l.agent = fuzz_maybe(&in, 64);
    l.code = fuzz_text(&in, 64);
    l.step = (int32_t)fuzz_number(&in, UINT32_MAX);
    l.first_failed_at_ms = (int64_t)fuzz_number(&in, UINT64_MAX);
    l.failed_at_ms = (int64_t)fuzz_number(&in, UINT64_MAX);
    l.redrives = (int32_t)fuzz_number(&in, UINT32_MAX);
    l.schema_id = (int64_t)fuzz_number(&in, UINT32_MAX) - 1;
    l.message = fuzz_rest(&in);
    check_letter(&l, headers, n);
    check_fingerprint(l.message);
    check_cloud_event(l.origin.topic, l.code, l.step, (l.failed_at_ms & INT64_MAX) % 253402300800000); /* a clock's */
    fuzz_end(&in);
    return 0;
}
