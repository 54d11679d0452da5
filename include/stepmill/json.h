/* JSON on the hot path: a strict pull scanner and a writer for strings (RFC 8259).
 *
 * The scanner walks text that somebody else owns, allocates nothing, is iterative, checks UTF-8, and stops at depth 64. It
 * refuses what RFC 8259 refuses, and also lone surrogates, "\u0000" in keys, a byte order mark, and anything after the value.
 * What has not been scanned has not been checked: only when json_next has returned false without an error is the whole text known
 * to be JSON. Duplicate keys are the caller's business (the last or the first counts: say which).
 *
 *     struct json j = json_start(text);
 *     while (json_next(&j)) switch (j.token) { … }
 *     if (j.error) …                                    at json_offset(&j)
 *
 * The fields of an object:
 *
 *     json_next(&j);                                    // JSON_TOKEN_OBJECT
 *     while (json_next(&j) && j.token == JSON_TOKEN_KEY)
 *         if (json_key_is(&j, "model") && json_next(&j)) …   else json_skip(&j);
 *
 * Token names are longer than one would like because jansson owns the short ones, and some files use both.
 * Belongs to any thread; a scanner is a plain value and may be copied to look ahead.
 */
#ifndef STEPMILL_JSON_H
#define STEPMILL_JSON_H

#include "bytes.h"
#include "utf8.h"

enum { JSON_DEPTH_MAX = 64 };

enum json_token {
    JSON_TOKEN_END, /* of the text, or an error */
    JSON_TOKEN_OBJECT,
    JSON_TOKEN_OBJECT_END,
    JSON_TOKEN_ARRAY,
    JSON_TOKEN_ARRAY_END,
    JSON_TOKEN_KEY,
    JSON_TOKEN_STRING,
    JSON_TOKEN_NUMBER,
    JSON_TOKEN_TRUE,
    JSON_TOKEN_FALSE,
    JSON_TOKEN_NULL,
};

struct json {
    enum json_token token;
    struct slice raw;  /* of the token: a string or key WITHOUT its quotes and with its escapes as written; all else as written */
    bool escaped;      /* the raw string or key holds backslashes: json_unescape needed for its value */
    const char *error; /* what is wrong, a static text; NULL while all is well */
    size_t depth;      /* of open objects and arrays after this token */
    /* private */
    const char *start, *at, *end;
    uint64_t objects; /* bit per depth: object or array */
    int expect;
};

struct json json_start(struct slice text);
/* Step to the next token. False at the end and on error (token JSON_TOKEN_END); then it stays so. */
bool json_next(struct json *j);
/* After JSON_TOKEN_KEY: step over its value. After JSON_TOKEN_OBJECT or JSON_TOKEN_ARRAY: to its end token. After a scalar:
 * nothing. False on error. */
bool json_skip(struct json *j);
/* As json_skip, and gives the whole value's text as written, quotes included. Call after JSON_TOKEN_KEY (the value that follows)
 * or on a value's first token. */
bool json_value_text(struct json *j, struct slice *text);
/* Byte offset of the last token, or of what is wrong, for messages. */
size_t json_offset(const struct json *j);

/* The present token is a key, or a string, of this value, escapes understood. `text` is ASCII without '"', '\' and control
 * characters. */
static inline bool json_key_is(const struct json *j, const char *text);
static inline bool json_string_is(const struct json *j, const char *text);

/* The value of the present string or key, appended to `to`. False: does not fit. */
bool json_unescape(const struct json *j, struct buf *to);
/* The same for the raw text of a token seen earlier, written to `to`, which has room for raw.len bytes; returns how many it
 * wrote. */
size_t json_unescape_raw(struct slice raw, char *to);
/* The present number as an integer in [min, max]; false for a fraction, an exponent, out of range, and any other token. */
bool json_int(const struct json *j, int64_t min, int64_t max, int64_t *value);

/* True when `text` is one JSON value and nothing else (white space around it is allowed). */
bool json_valid(struct slice text);
/* The same, and the value is an object. */
bool json_valid_object(struct slice text);

/* Appends "…" with escapes. Bytes that are not UTF-8 become U+FFFD, so the output is always valid JSON. */
void json_put_string(struct buf *to, struct slice s);
/* The same without the quotes: for a string that is written in pieces. A piece must not cut a character. */
void json_put_escaped(struct buf *to, struct slice s);

/* Here, so that the length of a literal is known: readers ask for one key after another. */
bool json_escaped_is(const struct json *j, struct slice text);
static inline bool json_key_is(const struct json *j, const char *text)
{
    return j->token == JSON_TOKEN_KEY && (j->escaped ? json_escaped_is(j, slice_of(text)) : slice_is(j->raw, text));
}
static inline bool json_string_is(const struct json *j, const char *text)
{
    return j->token == JSON_TOKEN_STRING && (j->escaped ? json_escaped_is(j, slice_of(text)) : slice_is(j->raw, text));
}

#endif
