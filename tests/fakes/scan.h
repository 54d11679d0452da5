/* A strict, cheap walk over JSON bytes (RFC 8259): a request is checked and read in one pass, without building a tree.
 * Not checked: that strings are UTF-8 and that keys differ. Depth is limited to SCAN_DEPTH_MAX. */
#ifndef FAKES_SCAN_H
#define FAKES_SCAN_H

#include "text.h"

enum { SCAN_DEPTH_MAX = 256 };

/* Where the walk stands. `bad` stays set once the bytes turned out not to be JSON. */
struct scan {
    const char *at, *end;
    bool bad;
};

struct scan scan_start(struct span s);

/* Reads the next value whole; `*value` is its bytes, quotes or brackets included. */
bool scan_value(struct scan *s, struct span *value);

/* Steps into an object or an array when it is the next value; false (and nothing read) when it is something else. */
bool scan_enter(struct scan *s, char bracket);

/* The next member of the object entered: `*key` is the inside of its quotes; the value must be read before the next call.
 * `first` starts true. False: the object has ended, or `bad`. */
bool scan_member(struct scan *s, bool *first, struct span *key);

/* The same for an array: true when one more value follows. */
bool scan_item(struct scan *s, bool *first);

/* Nothing but white space is left, and nothing was bad. */
bool scan_done(struct scan *s);

/* The text a value stands for: a string decoded, the `text` members of an array of content parts one after the other,
 * nothing for null; any other value as it is written. The value must have come from scan_value. */
void scan_text(struct span value, struct text *out);

/* The inside of a string value, still escaped; an empty span for any other value. */
struct span scan_inside(struct span value);

#endif
