/* UTF-8 as RFC 3629 has it: no surrogates, no overlong forms, nothing above U+10FFFF. */
#ifndef STEPMILL_UTF8_H
#define STEPMILL_UTF8_H

#include "bytes.h"

/* Length (1–4) of the character that begins at `at`, which lies before `end`; 0: the bytes there are not UTF-8. */
size_t utf8_char(const char *at, const char *end);
bool utf8_valid(struct slice s);
/* The longest prefix of at most `max` bytes that does not cut a character. */
struct slice utf8_cut(struct slice s, size_t max);
/* Appends `s`; what is not UTF-8 in it becomes U+FFFD, one for each longest start of a character (Unicode §3.9, as browsers do).
 */
void utf8_put(struct buf *to, struct slice s);
/* How many of the bytes before `end` one U+FFFD stands for, when utf8_char(at, end) is 0. At least 1. */
size_t utf8_bad(const char *at, const char *end);
/* Appends the character. `c` is a scalar value (no surrogate, at most 0x10FFFF). */
void utf8_put_char(struct buf *to, uint32_t c);

#endif
