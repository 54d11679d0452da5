/* Values as people write them: numbers with units, words, addresses. */
#include "value.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "stepmill/units.h"

enum { TOPIC_MAX = 249 };

void value_write_number(const struct option *o, int64_t value, struct buf *to)
{
    if (o->type == OPTION_DURATION)
        duration_write(value, to);
    else if (o->type == OPTION_SIZE)
        size_write(value, to);
    else
        buf_put_int(to, value);
}

static bool check_range(const struct option *o, struct slice text, int64_t v, struct buf *why)
{
    if (v >= o->min && v <= o->max)
        return true;
    buf_printf(why, "%.*s is out of range: ", SLICE_FMT(text));
    value_write_number(o, o->min, why);
    buf_put_text(why, " to ");
    value_write_number(o, o->max, why);
    return false;
}

static bool read_number(const struct option *o, struct slice text, void *base, struct buf *why)
{
    const char *wrong = NULL;
    int64_t v = 0;
    int32_t narrow;

    if (o->type == OPTION_DURATION)
        wrong = duration_read(text, &v);
    else if (o->type == OPTION_SIZE)
        wrong = size_read(text, &v);
    else if (!slice_to_int(text, INT64_MIN, INT64_MAX, &v))
        wrong = "is not a whole number";
    if (wrong) {
        buf_printf(why, "\"%.*s\" %s", SLICE_FMT(text), wrong);
        return false;
    }
    if (!check_range(o, text, v, why))
        return false;
    narrow = (int32_t)v; /* the table's ranges of narrow options fit */
    if (o->type == OPTION_INT && !o->wide)
        memcpy(option_at(o, base), &narrow, sizeof narrow);
    else
        memcpy(option_at(o, base), &v, sizeof v);
    return true;
}

static bool read_double(const struct option *o, struct slice text, void *base, struct buf *why)
{
    char copy[32], *end;
    double v;

    memcpy(copy, text.at, text.len < sizeof copy ? text.len : 0);
    copy[text.len < sizeof copy ? text.len : 0] = '\0';
    errno = 0;
    v = strtod(copy, &end);
    if (end == copy || *end || errno || !isfinite(v) || copy[strspn(copy, "0123456789.+-eE")]) {
        buf_printf(why, "\"%.*s\" is not a number", SLICE_FMT(text));
        return false;
    }
    if (v < (double)o->min || v > (double)o->max) {
        buf_printf(why, "%.*s is out of range: %lld to %lld", SLICE_FMT(text), (long long)o->min, (long long)o->max);
        return false;
    }
    memcpy(option_at(o, base), &v, sizeof v);
    return true;
}

static bool read_bool(const struct option *o, struct slice text, void *base, struct buf *why)
{
    bool v = slice_is(text, "true");

    if (!v && !slice_is(text, "false")) {
        buf_printf(why, "\"%.*s\" is neither true nor false", SLICE_FMT(text));
        return false;
    }
    memcpy(option_at(o, base), &v, sizeof v);
    return true;
}

static bool read_enum(const struct option *o, struct slice text, void *base, struct buf *why)
{
    for (int i = 0; o->values[i]; i++)
        if (slice_is(text, o->values[i])) {
            memcpy(option_at(o, base), &i, sizeof i);
            return true;
        }
    buf_printf(why, "\"%.*s\" is not one of ", SLICE_FMT(text));
    for (size_t i = 0; o->values[i]; i++)
        buf_printf(why, "%s%s", i ? ", " : "", o->values[i]);
    return false;
}

/* Does not cite the value: a URL may hold a password. */
static const char *wrong_url(const struct option *o, struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.at[i] <= ' ' || text.at[i] == 0x7f)
            return "the URL holds a space or a control character";
    for (const char *const *scheme = o->values; *scheme; scheme++) {
        size_t n = strlen(*scheme);

        if (slice_starts_with(text, *scheme) && text.len > n + 3 && !memcmp(text.at + n, "://", 3))
            return text.at[n + 3] == '/' || text.at[n + 3] == '@' ? "the URL has no host" : NULL;
    }
    return slice_is(slice_of(o->values[0]), "redis") ? "a URL that begins with redis:// or rediss:// is needed"
                                                     : "a URL that begins with http:// or https:// is needed";
}

static const char *wrong_address(struct slice text)
{
    const char *colon = text.len ? memrchr(text.at, ':', text.len) : NULL;
    int64_t port;

    if (!colon || colon == text.at ||
        !slice_to_int((struct slice){colon + 1, (size_t)(text.at + text.len - colon - 1)}, 0, 65535, &port))
        return "an address is written host:port, such as 127.0.0.1:8080 or [::1]:8080";
    if (memchr(text.at, ':', (size_t)(colon - text.at)) && (text.at[0] != '[' || colon[-1] != ']'))
        return "an IPv6 address is written in brackets, such as [::1]:8080";
    return NULL;
}

const char *value_wrong_topic(struct slice text, bool is_prefix)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-'))
            return "a topic's name is made of letters, digits, \".\", \"_\" and \"-\"";
    }
    if (is_prefix && text.len > TOPIC_MAX - CONFIG_NAME_MAX)
        return "what an agent's name is put behind has 1 to 185 characters";
    if (text.len == 0 || text.len > TOPIC_MAX || slice_is(text, ".") || slice_is(text, ".."))
        return "a topic's name has 1 to 249 characters";
    return NULL;
}

static bool read_string(const struct option *o, struct slice text, void *base, struct arena *a, struct buf *why)
{
    const char *wrong = NULL;
    struct slice copy;

    if (o->type == OPTION_URL)
        wrong = wrong_url(o, text);
    else if (o->type == OPTION_ADDRESS)
        wrong = wrong_address(text);
    else if (o->type == OPTION_TOPIC)
        wrong = value_wrong_topic(text, !strcmp(o->path, "topics.tasks_prefix"));
    copy = arena_copy(a, text);
    if (!wrong && !copy.at)
        wrong = "out of memory";
    if (wrong) {
        buf_put_text(why, wrong);
        return false;
    }
    memcpy(option_at(o, base), &copy.at, sizeof copy.at);
    return true;
}

bool value_read(const struct option *o, struct slice text, void *base, struct arena *a, struct buf *why)
{
    bool yes = true, read;

    switch (o->type) {
    case OPTION_INT:
    case OPTION_DURATION:
    case OPTION_SIZE:
        read = read_number(o, text, base, why);
        break;
    case OPTION_DOUBLE:
        read = read_double(o, text, base, why);
        break;
    case OPTION_BOOL:
        read = read_bool(o, text, base, why);
        break;
    case OPTION_ENUM:
        read = read_enum(o, text, base, why);
        break;
    default:
        return read_string(o, text, base, a, why);
    }
    if (read && o->second)
        memcpy((char *)base + o->second, &yes, sizeof yes);
    return read;
}

static const char *member_text(const struct option *o, const void *base)
{
    const char *text;

    memcpy(&text, option_at_const(o, base), sizeof text);
    return text;
}

static size_t member_count(const struct option *o, const void *base)
{
    size_t n;

    memcpy(&n, (const char *)base + o->second, sizeof n);
    return n;
}

bool value_is_set(const struct option *o, const void *base)
{
    switch (o->type) {
    case OPTION_SECRET:
        return ((const struct config_secret *)option_at_const(o, base))->value != NULL;
    case OPTION_JSON:
        return ((const struct slice *)option_at_const(o, base))->at != NULL;
    case OPTION_TOPICS:
    case OPTION_TOOLS:
    case OPTION_MODELS:
        return member_count(o, base) > 0;
    case OPTION_INT:
    case OPTION_BOOL:
    case OPTION_DOUBLE:
    case OPTION_DURATION:
    case OPTION_SIZE:
    case OPTION_ENUM:
        return !o->second || *((const bool *)base + o->second);
    default:
        return member_text(o, base) != NULL;
    }
}

static void write_list(const struct option *o, const void *base, struct buf *to)
{
    const void *list = *(const void *const *)option_at_const(o, base);

    for (size_t i = 0; i < member_count(o, base); i++) {
        if (i)
            buf_put_text(to, ", ");
        buf_put_text(to, o->type == OPTION_MODELS ? ((const struct config_model *const *)list)[i]->name
                                                  : ((const char *const *)list)[i]);
    }
}

/* The shortest of the forms that read back as the same number. */
static void write_double(double v, struct buf *to)
{
    char text[32];

    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    buf_put_text(to, text);
}

static int64_t member_integer(const struct option *o, const void *base)
{
    int32_t narrow;
    int64_t v;

    if (o->type == OPTION_INT && !o->wide) {
        memcpy(&narrow, option_at_const(o, base), sizeof narrow);
        return narrow;
    }
    memcpy(&v, option_at_const(o, base), sizeof v);
    return v;
}

void value_write(const struct option *o, const void *base, struct buf *to)
{
    const void *at = option_at_const(o, base);

    if (!value_is_set(o, base))
        return;
    switch (o->type) {
    case OPTION_SECRET:
        buf_put_text(to, ((const struct config_secret *)at)->value);
        break;
    case OPTION_JSON:
        buf_put_slice(to, *(const struct slice *)at);
        break;
    case OPTION_TOPICS:
    case OPTION_TOOLS:
    case OPTION_MODELS:
        write_list(o, base, to);
        break;
    case OPTION_INT:
    case OPTION_DURATION:
    case OPTION_SIZE:
        value_write_number(o, member_integer(o, base), to);
        break;
    case OPTION_BOOL:
        buf_put_text(to, *(const bool *)at ? "true" : "false");
        break;
    case OPTION_DOUBLE:
        write_double(*(const double *)at, to);
        break;
    case OPTION_ENUM:
        buf_put_text(to, o->values[*(const int *)at]);
        break;
    default:
        buf_put_text(to, member_text(o, base));
        break;
    }
}
