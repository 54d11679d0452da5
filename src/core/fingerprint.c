/* Fingerprints of failures: what differs from case to case is taken out of the message first. */
#include "stepmill/fingerprint.h"

#include <ctype.h>

#include "stepmill/digest.h"

enum { MESSAGE_MAX = 1000, HEX_MIN = 8 };

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '.' || c == ':' || c == '@' || c == '/';
}

/* A word with a digit in it is a number, an id, a hash, an address or a path with one: all of them differ from case to case. So
 * does a long word of hex letters only. */
static bool varies(struct slice word)
{
    size_t hex = 0;

    for (size_t i = 0; i < word.len; i++) {
        if (isdigit((unsigned char)word.at[i]) || word.at[i] == '@')
            return true;
        hex += isxdigit((unsigned char)word.at[i]) != 0;
    }
    return word.len >= HEX_MIN && hex == word.len;
}

/* Where the quoted text that begins at `i` ends, or `i` when it is no quote or never closes. */
static size_t after_quote(struct slice m, size_t i)
{
    char quote = m.at[i];

    if (quote != '"' && quote != '\'' && quote != '`')
        return i;
    if (quote == '\'' && i > 0 && isalnum((unsigned char)m.at[i - 1])) /* an apostrophe */
        return i;
    for (size_t j = i + 1; j < m.len; j++)
        if (m.at[j] == quote)
            return j + 1;
    return i;
}

void fingerprint_normalise(struct slice message, struct buf *to)
{
    size_t i = 0;

    if (message.len > MESSAGE_MAX)
        message.len = MESSAGE_MAX;
    while (i < message.len) {
        size_t end = after_quote(message, i);

        if (end > i) {
            buf_put_text(to, "<text>");
        } else if (is_word(message.at[i])) {
            while (end < message.len && is_word(message.at[end]))
                end++;
            if (varies((struct slice){message.at + i, end - i}))
                buf_put_text(to, "<id>");
            else
                for (size_t k = i; k < end; k++)
                    buf_put_byte(to, (char)tolower((unsigned char)message.at[k]));
        } else if (isspace((unsigned char)message.at[i])) {
            while (end < message.len && isspace((unsigned char)message.at[end]))
                end++;
            buf_put_byte(to, ' ');
        } else {
            buf_put_byte(to, message.at[i]);
            end = i + 1;
        }
        i = end;
    }
}

void fingerprint(char text[FINGERPRINT_LENGTH + 1], struct slice class, struct slice stage, struct slice message)
{
    char room[16 * MESSAGE_MAX]; /* here, so that a fingerprint is the same whatever memory there is */
    struct buf normal = BUF_IN(room);
    struct digest d;

    fingerprint_normalise(message, &normal);
    d = digest_of((struct slice[]){class, SLICE("\n"), stage, SLICE("\n"), buf_slice(&normal)}, 5);
    hex_encode(text, d.bytes, FINGERPRINT_LENGTH / 2);
}
