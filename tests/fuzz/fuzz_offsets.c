/* Fuzzes commit metadata: any text ends in a set or a reason; a set survives its text; finishing agrees with a plain model.
 *
 * The first byte chooses: the text as it comes; the tokens behind a header that is right, so that the fuzzer gets past the
 * checksum; or a list of offsets to finish.
 */
#include "fuzz_input.h"
#include "stepmill/base64url.h"
#include "stepmill/crc32c.h"
#include "stepmill/offsets.h"

enum { HEADER = 13, MODEL = 1024 };

/* Written and read again it is the same set; where it does not fit, that is said and nothing is written too far. */
static void round_trip(const struct offsets *o, int64_t from, int64_t to)
{
    char *text = malloc(OFFSETS_TEXT_MAX), small[32];
    const char *why;
    size_t len;
    struct offsets *back;

    if (!text)
        abort();
    if (offsets_encode(o, small, sizeof small, &len) && len >= sizeof small)
        bug("more text than room");
    if (offsets_encode(o, text, OFFSETS_TEXT_MAX, &len)) {
        if (len >= OFFSETS_TEXT_MAX || text[len] != '\0')
            bug("a text without end");
        back = offsets_decode(offsets_watermark(o), text, len, &why);
        if (!back || offsets_watermark(back) != offsets_watermark(o))
            bug("our own text: %s", why ? why : "another watermark");
        for (int64_t i = from; i < to; i++)
            if (offsets_is_finished(o, i) != offsets_is_finished(back, i))
                bug("offset %lld is lost on the way", (long long)i);
        offsets_free(back);
        if (offsets_decode(offsets_watermark(o) + 1, text, len, &why))
            bug("the text of another offset was taken");
    }
    free(text);
}

static void decode(int64_t watermark, const char *text, size_t len)
{
    const char *why = NULL;
    struct offsets *o = offsets_decode(watermark, text, len, &why);

    if (!o != !!why)
        bug("neither a set nor a reason");
    if (o) {
        if (offsets_watermark(o) < watermark)
            bug("the watermark went back");
        round_trip(o, watermark - 64, watermark + MODEL);
    }
    offsets_free(o);
}

/* The tokens with a header that fits them. */
static void decode_tokens(int64_t watermark, struct slice tokens)
{
    uint8_t bytes[OFFSETS_TEXT_MAX] = {1};
    char text[2 * OFFSETS_TEXT_MAX];
    size_t n = tokens.len < 2980 ? tokens.len : 2980;
    uint32_t crc;

    if (n)
        memcpy(bytes + HEADER, tokens.at, n);
    for (size_t i = 2; watermark % 8 && i < n; i++) /* mostly no window of millions: those take milliseconds */
        if (bytes[HEADER + i - 1] & bytes[HEADER + i - 2] & 0x80)
            bytes[HEADER + i] &= 0x7f;
    crc = crc32c(bytes + HEADER, n);
    for (size_t i = 0; i < 8; i++)
        bytes[1 + i] = (uint8_t)((uint64_t)watermark >> 8 * i);
    for (size_t i = 0; i < 4; i++)
        bytes[9 + i] = (uint8_t)(crc >> 8 * i);
    decode(watermark, text, base64url_encode(text, bytes, HEADER + n));
}

static void check_model(const struct offsets *o, const struct offsets *copy, const bool *finished, int64_t base, int64_t least)
{
    while (least < MODEL && finished[least])
        least++;
    if (offsets_watermark(o) != base + least)
        bug("the watermark is %lld, not %lld", (long long)offsets_watermark(o), (long long)(base + least));
    for (int64_t i = 0; i < MODEL; i++)
        if (offsets_is_finished(o, base + i) != finished[i] || offsets_is_finished(copy, base + i) != finished[i])
            bug("offset %lld is finished in one of two books", (long long)(base + i));
}

/* Ranges finished in any order, beside a plain array of bits. */
static void finish(struct fuzz_input *in, int64_t base)
{
    static bool finished[MODEL];
    struct offsets *o = offsets_new(base), *copy;

    if (!o)
        abort();
    memset(finished, 0, sizeof finished);
    while (in->at < in->end) {
        int64_t from = (int64_t)fuzz_number(in, MODEL - 257), n = 1 + (int64_t)fuzz_number(in, 255);
        bool one = n % 2;

        if (one && finished[from]) /* that would be a bug of the caller, and abort */
            continue;
        if (!(one ? offsets_finish(o, base + from) : offsets_finish_gap(o, base + from, base + from + n)))
            abort();
        for (int64_t i = from; i < from + (one ? 1 : n); i++)
            finished[i] = true;
    }
    copy = offsets_copy(o);
    if (!copy)
        abort();
    check_model(o, copy, finished, base, 0);
    round_trip(copy, base, base + MODEL);
    offsets_free(o);
    offsets_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = fuzz_begin(data, size);
    uint64_t kind = fuzz_number(&in, 2);
    int64_t watermark = (int64_t)fuzz_number(&in, UINT64_C(0xffffffffff));
    struct slice text;

    if (kind == 2) {
        finish(&in, watermark);
    } else {
        text = fuzz_rest(&in);
        if (kind == 0)
            decode(watermark, text.at, text.len);
        else
            decode_tokens(watermark, text);
    }
    fuzz_end(&in);
    return 0;
}
