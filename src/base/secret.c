/* Secrets by reference: ${NAME} of the environment, or a file. */
#include "stepmill/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static bool name_byte(char c, bool first)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || (!first && c >= '0' && c <= '9');
}

const char *secret_environment(char *const *environment, struct slice name)
{
    for (; environment && *environment; environment++)
        if (strncmp(*environment, name.at, name.len) == 0 && (*environment)[name.len] == '=')
            return *environment + name.len + 1;
    return NULL;
}

/* `text` begins behind "${". Its parts and the bytes up to and with the "}"; 0: not a reference. */
static size_t split_reference(struct slice text, struct slice *name, struct slice *fallback)
{
    const char *end = text.len ? memchr(text.at, '}', text.len) : NULL;
    size_t n = 0;

    *fallback = (struct slice){NULL, 0};
    while (end && text.at + n < end && name_byte(text.at[n], n == 0))
        n++;
    *name = (struct slice){text.at, n};
    if (!end || n == 0)
        return 0;
    if (text.at + n < end) {
        if (end - (text.at + n) < 2 || text.at[n] != ':' || text.at[n + 1] != '-')
            return 0;
        *fallback = (struct slice){text.at + n + 2, (size_t)(end - (text.at + n + 2))};
    }
    return (size_t)(end - text.at) + 1;
}

static struct error put_variable(struct slice name, struct slice fallback, char *const *environment, struct buf *to,
                                 struct secret_use *use)
{
    const char *value = secret_environment(environment, name);
    size_t n = name.len < sizeof use->missing ? name.len : sizeof use->missing - 1;

    use->references = true;
    if (value && (*value || !fallback.at)) {
        buf_put_text(to, value);
        return error_none();
    }
    if (fallback.at) {
        buf_put_slice(to, fallback);
        return error_none();
    }
    memcpy(use->missing, name.at, n);
    use->missing[n] = '\0';
    return error_make(CLASS_CONFIG, "secret_missing", "the environment variable is not set");
}

static struct error does_not_fit(const struct buf *to, const char *text)
{
    return to->no_memory ? error_make(CLASS_INTERNAL, "out_of_memory", "no memory left for a secret")
                         : error_make(CLASS_CONFIG, "secret_too_large", text);
}

struct error secret_expand(struct slice text, char *const *environment, struct buf *to, struct secret_use *use)
{
    size_t before = to->len;
    struct error e = error_none();

    *use = (struct secret_use){0};
    for (size_t i = 0; i < text.len && !failed(e);) {
        struct slice rest = {text.at + i, text.len - i}, name, fallback;
        size_t n;

        if (slice_starts_with(rest, "$${")) {
            buf_put_text(to, "${");
            use->literal = true;
            i += 3;
            continue;
        }
        if (!slice_starts_with(rest, "${")) {
            buf_put_byte(to, text.at[i++]);
            use->literal = true;
            continue;
        }
        n = split_reference((struct slice){rest.at + 2, rest.len - 2}, &name, &fallback);
        if (n == 0)
            e = error_make(CLASS_CONFIG, "secret_syntax",
                           "a reference is written ${NAME} or ${NAME:-default}, a plain \"${\" as \"$${\"");
        else
            e = put_variable(name, fallback, environment, to, use);
        i += 2 + n;
    }
    if (!failed(e) && (to->failed || to->len - before > SECRET_MAX))
        e = does_not_fit(to, "the value is larger than 64 KiB");
    if (failed(e))
        to->len = before;
    return e;
}

static struct error read_all(int fd, struct buf *to)
{
    size_t before = to->len;

    for (;;) {
        char *at = buf_reserve(to, 4096);
        ssize_t n;

        if (!at || to->len - before > SECRET_MAX)
            return does_not_fit(to, "the file is larger than 64 KiB");
        n = read(fd, at, 4096);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_make(CLASS_CONFIG, "secret_unreadable", "the file cannot be read");
        if (n == 0)
            return error_none();
        to->len += (size_t)n;
    }
}

struct error secret_read_file(const char *path, struct buf *to)
{
    size_t before = to->len;
    struct error e;
    int fd = open(path, O_RDONLY | O_CLOEXEC), saved;

    if (fd < 0)
        return error_make(CLASS_CONFIG, "secret_unreadable", "the file cannot be read");
    e = read_all(fd, to);
    saved = errno;
    close(fd);
    errno = saved;
    if (!failed(e)) {
        if (to->len > before && to->at[to->len - 1] == '\n')
            to->len--;
        if (to->len > before && to->at[to->len - 1] == '\r')
            to->len--;
        if (to->len == before)
            e = error_make(CLASS_CONFIG, "secret_empty", "the file is empty");
        else if (memchr(to->at + before, '\0', to->len - before))
            e = error_make(CLASS_CONFIG, "secret_binary", "the file holds a NUL byte: it is not text");
        else if (to->len - before > SECRET_MAX)
            e = does_not_fit(to, "the file is larger than 64 KiB");
    }
    if (failed(e))
        to->len = before;
    return e;
}
