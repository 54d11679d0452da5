/* The text of `done:<task_id>`: written and read. */
#include "stepmill/done.h"

enum { VERSION = 1, WORDS = 7, TOPIC_MAX = 249 };

static const char *const status_names[] = {
    [DONE_COMPLETED] = "completed",
    [DONE_FAILED] = "failed",
    [DONE_CANCELLED] = "cancelled",
};
enum { NSTATUS = sizeof status_names / sizeof *status_names };

static bool is_topic(struct slice s)
{
    if (s.len == 0 || s.len > TOPIC_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];

        if (!(c >= '0' && c <= '9') && !(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z') && c != '.' && c != '_' && c != '-')
            return false;
    }
    return true;
}

static void put_word(struct buf *out, struct slice word)
{
    buf_put_byte(out, ' ');
    buf_put_slice(out, word);
}

static void put_number(struct buf *out, int64_t n)
{
    buf_put_byte(out, ' ');
    buf_put_int(out, n);
}

void done_encode(const struct done *d, struct buf *out)
{
    char hash[2 * DIGEST_SIZE + 1];

    if (!is_topic(d->origin.topic)) {
        out->failed = true;
        return;
    }
    digest_text(hash, &d->input_hash);
    buf_put_int(out, VERSION);
    put_word(out, slice_of(status_names[d->status]));
    put_number(out, d->redrives);
    put_number(out, d->origin.partition);
    put_number(out, d->origin.offset);
    put_word(out, (struct slice){hash, 2 * DIGEST_SIZE});
    put_word(out, d->origin.topic);
}

/* Cuts `text` at single blanks into exactly n words. */
static bool split(struct slice text, struct slice *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *blank = text.len ? memchr(text.at, ' ', text.len) : NULL;
        size_t len = blank ? (size_t)(blank - text.at) : text.len;

        if ((i + 1 < n) != (blank != NULL) || len == 0)
            return false;
        words[i] = (struct slice){text.at, len};
        text = blank ? (struct slice){blank + 1, text.len - len - 1} : (struct slice){"", 0};
    }
    return true;
}

static bool read_status(struct slice word, enum done_status *status)
{
    for (int i = 0; i < NSTATUS; i++)
        if (slice_is(word, status_names[i])) {
            *status = (enum done_status)i;
            return true;
        }
    return false;
}

/* A later version may have other words, but its number comes first. */
static bool is_newer(struct slice text)
{
    const char *blank = text.len ? memchr(text.at, ' ', text.len) : NULL;
    int64_t version;

    return blank && slice_to_int((struct slice){text.at, (size_t)(blank - text.at)}, VERSION + 1, 1000000, &version);
}

struct error done_decode(struct slice text, struct done *d)
{
    struct slice word[WORDS];
    int64_t version, redrives, partition;

    if (is_newer(text))
        return error_make(CLASS_WAIT, "done_newer", "the task was ended by a newer stepmill: update this worker");
    if (text.len > DONE_TEXT_MAX || !split(text, word, WORDS) || !slice_to_int(word[0], VERSION, VERSION, &version) ||
        !read_status(word[1], &d->status) || !slice_to_int(word[2], 0, INT32_MAX, &redrives) ||
        !slice_to_int(word[3], 0, INT32_MAX, &partition) || !slice_to_int(word[4], 0, INT64_MAX, &d->origin.offset) ||
        !hex_decode(d->input_hash.bytes, DIGEST_SIZE, word[5]) || !is_topic(word[6]))
        return error_make(CLASS_WAIT, "done_unreadable",
                          "the key done:<task_id> was not written by stepmill: look at it, then delete it");
    d->redrives = (int32_t)redrives;
    d->origin.partition = (int32_t)partition;
    d->origin.topic = word[6];
    return error_none();
}
