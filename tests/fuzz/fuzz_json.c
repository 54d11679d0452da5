/* Fuzzes the JSON scanner and writer: never reads outside the text, agrees with jansson about what is JSON and what it says.
 */
#include <jansson.h>
#include <stdlib.h>

#include "stepmill/error.h"
#include "stepmill/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* We stop at 64, jansson at 2,048. */
static bool deeper_than_ours(const json_t *v, int left)
{
    const char *key;
    json_t *child;
    size_t i;

    if (!json_is_object(v) && !json_is_array(v))
        return false;
    if (!left)
        return true;
    json_array_foreach(v, i, child)
    {
        if (deeper_than_ours(child, left - 1))
            return true;
    }
    json_object_foreach((json_t *)(uintptr_t)v, key, child)
    {
        if (deeper_than_ours(child, left - 1))
            return true;
    }
    return false;
}

/* Deliberate differences: depth, numbers that do not fit jansson's types, and NUL bytes, some of which jansson loses: we refuse
 * them. */
static void compare_answers(struct slice text)
{
    json_error_t error;
    json_t *theirs = json_loadb(text.at, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    bool ours = json_valid(text);

    if (theirs && !ours && !memchr(text.at, 0, text.len) && !deeper_than_ours(theirs, JSON_DEPTH_MAX))
        bug("jansson takes what we refuse");
    if (ours && text.len && memchr(text.at, 0, text.len))
        bug("a NUL byte was taken");
    if (!theirs && ours && json_error_code(&error) != json_error_numeric_overflow)
        bug("we take what jansson refuses: %s", error.text);
    json_decref(theirs);
}

/* The key or string at which the scanner stands says what jansson read. */
static bool says(const struct json *j, const char *text, size_t len)
{
    struct buf value = BUF(1 << 20);
    bool same = json_unescape(j, &value) && slice_equal(buf_slice(&value), (struct slice){text, len});

    buf_free(&value);
    return same;
}

/* From the value at which the scanner stands to its end, beside jansson's, which keeps the order of an object's members. */
static bool same_value(struct json *j, const json_t *v)
{
    int64_t number;
    json_t *child;
    size_t i;

    switch (json_typeof(v)) {
    case JSON_OBJECT:
        if (j->token != JSON_TOKEN_OBJECT)
            return false;
        for (void *at = json_object_iter((json_t *)(uintptr_t)v); at; at = json_object_iter_next((json_t *)(uintptr_t)v, at)) {
            const char *key = json_object_iter_key(at);

            if (!json_next(j) || j->token != JSON_TOKEN_KEY || !says(j, key, strlen(key)) || !json_next(j) ||
                !same_value(j, json_object_iter_value(at)))
                return false;
        }
        return json_next(j) && j->token == JSON_TOKEN_OBJECT_END;
    case JSON_ARRAY:
        if (j->token != JSON_TOKEN_ARRAY)
            return false;
        json_array_foreach(v, i, child)
        {
            if (!json_next(j) || !same_value(j, child))
                return false;
        }
        return json_next(j) && j->token == JSON_TOKEN_ARRAY_END;
    case JSON_STRING:
        return j->token == JSON_TOKEN_STRING && says(j, json_string_value(v), json_string_length(v));
    case JSON_INTEGER:
        return j->token == JSON_TOKEN_NUMBER && json_int(j, INT64_MIN, INT64_MAX, &number) && number == json_integer_value(v);
    case JSON_REAL:
        return j->token == JSON_TOKEN_NUMBER && !json_int(j, INT64_MIN, INT64_MAX, &number);
    case JSON_TRUE:
        return j->token == JSON_TOKEN_TRUE;
    case JSON_FALSE:
        return j->token == JSON_TOKEN_FALSE;
    default:
        return j->token == JSON_TOKEN_NULL;
    }
}

/* Token by token. Repeated members are left out: jansson keeps one of them. */
static void compare_trees(struct slice text)
{
    json_t *theirs = json_loadb(text.at, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    struct json j = json_start(text);

    if (theirs && json_valid(text) && (!json_next(&j) || !same_value(&j, theirs) || json_next(&j)))
        bug("a value is read differently");
    json_decref(theirs);
}

/* Every string token, read by us and by jansson. */
static void compare_strings(struct slice text)
{
    for (struct json j = json_start(text); json_next(&j);) {
        struct buf value = BUF(1 << 20);
        json_t *theirs;

        if (j.token != JSON_TOKEN_STRING)
            continue;
        theirs = json_loadb(j.raw.at - 1, j.raw.len + 2, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        if (!theirs || !json_unescape(&j, &value) ||
            !slice_equal(buf_slice(&value), (struct slice){json_string_value(theirs), json_string_length(theirs)}))
            bug("a string is read differently");
        json_decref(theirs);
        buf_free(&value);
    }
}

/* Any bytes, written as a string: valid, and read back as their repaired form. */
static void round_trip(struct slice bytes)
{
    struct buf text = BUF(1 << 24), clean = BUF(1 << 24), back = BUF(1 << 24);
    struct json j;

    json_put_string(&text, bytes);
    utf8_put(&clean, bytes);
    j = json_start(buf_slice(&text));
    if (!json_next(&j) || !json_unescape(&j, &back) || json_next(&j) || j.error || !utf8_valid(buf_slice(&clean)) ||
        !slice_equal(buf_slice(&back), buf_slice(&clean)) || (utf8_valid(bytes) && !slice_equal(bytes, buf_slice(&clean))))
        bug("a string does not survive writing and reading");
    buf_free(&text);
    buf_free(&clean);
    buf_free(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size ? size : 1); /* of its exact size, whatever the fuzzer keeps behind it */
    struct slice text = {copy, size};
    struct json j;
    struct slice part;

    if (!copy)
        return 0;
    if (size)
        memcpy(copy, data, size);
    compare_answers(text);
    compare_trees(text);
    compare_strings(text);
    round_trip(text);
    for (j = json_start(text); json_next(&j);) { /* each value's text is JSON by itself */
        struct json ahead = j;

        if (j.token != JSON_TOKEN_OBJECT_END && j.token != JSON_TOKEN_ARRAY_END && json_value_text(&ahead, &part) &&
            !json_valid(part))
            bug("a value's text is not JSON");
        if (size > 4096)
            break; /* the square of a large input would only be slow */
    }
    for (size_t max = 0; max < 8 && utf8_valid(text); max++)
        if (utf8_cut(text, max).len > max || !utf8_valid(utf8_cut(text, max)))
            bug("a cut character");
    free(copy);
    return 0;
}
