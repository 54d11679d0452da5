/* A provider's words, made fit for logs and dead letters: providers quote keys and prompts in their errors. */
#include "openai_message.h"

#include "stepmill/json.h"
#include "stepmill/openai.h"

enum {
    LOOKED_AT = 2048,  /* of a body; the rest is never shown */
    SECRET_RUN = 20,   /* so many letters and digits on end, both among them, are no word */
    PREFIXED_REST = 6, /* what follows a key's known prefix is at least so long */
};

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_key_char(char c) { return is_letter(c) || is_digit(c) || c == '_' || c == '-' || c == '*' || c == '.'; }

static bool has_key_prefix(struct slice word)
{
    static const char *const prefixes[] = {"sk-", "sk_",  "pk-",   "pk_", "rk_",    "key-", "xai-",        "gsk_",
                                           "hf_", "AIza", "ya29.", "eyJ", "nvapi-", "ghp_", "github_pat_", NULL};

    for (const char *const *p = prefixes; *p; p++)
        if (slice_starts_with(word, *p) && word.len >= strlen(*p) + PREFIXED_REST)
            return true;
    return false;
}

/* Model names, dates and UUIDs have short parts between their hyphens; keys have a long one, a known beginning, or stars that
 * hide half of them. */
static bool looks_secret(struct slice word)
{
    size_t run = 0, stars = 0;
    bool letter = false, digit = false;

    if (has_key_prefix(word))
        return true;
    for (size_t i = 0; i < word.len; i++) {
        char c = word.at[i];

        stars = c == '*' ? stars + 1 : 0;
        if (stars == 3)
            return true;
        if (!is_letter(c) && !is_digit(c)) {
            run = 0;
            letter = digit = false;
            continue;
        }
        run++;
        letter |= is_letter(c);
        digit |= is_digit(c);
        if (run >= SECRET_RUN && letter && digit)
            return true;
    }
    return false;
}

/* Words that could be keys become "[hidden]", and so does whatever stands behind "Bearer". */
static void put_without_secrets(struct buf *to, struct slice text)
{
    bool after_bearer = false;

    for (size_t at = 0; at < text.len;) {
        struct slice word = {text.at + at, 0};

        while (at < text.len && is_key_char(text.at[at])) {
            at++;
            word.len++;
        }
        if (word.len) {
            struct slice bare = word, rest;

            while (bare.len && bare.at[bare.len - 1] == '.') /* the sentence's end */
                bare.len--;
            rest = (struct slice){bare.at + bare.len, word.len - bare.len};
            buf_put_slice(to, after_bearer || looks_secret(bare) ? SLICE("[hidden]") : bare);
            buf_put_slice(to, rest);
            after_bearer = slice_is(bare, "Bearer") || slice_is(bare, "bearer");
        } else {
            buf_put_byte(to, text.at[at++]);
        }
    }
}

/* White space and control characters, however many, become one space. */
static void put_one_line(struct buf *to, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        bool gap = (unsigned char)text.at[i] <= ' ' || text.at[i] == 0x7f;

        if (!gap)
            buf_put_byte(to, text.at[i]);
        else if (to->len && to->at[to->len - 1] != ' ')
            buf_put_byte(to, ' ');
    }
    while (to->len && to->at[to->len - 1] == ' ')
        to->len--;
}

void openai_message(struct slice raw, struct slice body, char *message)
{
    struct buf value = BUF(LOOKED_AT), clean = BUF(3 * LOOKED_AT), line = BUF(3 * LOOKED_AT), shown = BUF(16 * LOOKED_AT);
    struct slice source = raw.at ? raw : body, cut;
    char *at = buf_reserve(&value, source.len < LOOKED_AT ? source.len : LOOKED_AT);

    message[0] = '\0';
    source = (struct slice){source.at, source.len < LOOKED_AT ? source.len : LOOKED_AT};
    if (at && raw.at)
        value.len += json_unescape_raw(source, at);
    else
        buf_put_slice(&value, source);
    utf8_put(&clean, buf_slice(&value));
    put_one_line(&line, buf_slice(&clean));
    put_without_secrets(&shown, buf_slice(&line));
    if (!value.failed && !clean.failed && !line.failed && !shown.failed) {
        cut = utf8_cut(buf_slice(&shown), OPENAI_MESSAGE_MAX);
        if (cut.len)
            memcpy(message, cut.at, cut.len);
        memcpy(message + cut.len, cut.len < shown.len ? "\xe2\x80\xa6" : "", cut.len < shown.len ? 4 : 1);
    }
    buf_free(&value);
    buf_free(&clean);
    buf_free(&line);
    buf_free(&shown);
}
