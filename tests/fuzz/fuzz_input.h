/* Cuts the fuzzer's bytes into numbers and texts, for targets whose input has a structure of its own. */
#ifndef STEPMILL_FUZZ_INPUT_H
#define STEPMILL_FUZZ_INPUT_H

#include <stddef.h>
#include <stdlib.h>

#include "stepmill/bytes.h"
#include "stepmill/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Before each copy; the copies form a list. */
union fuzz_link {
    union fuzz_link *next;
    max_align_t align;
};

/* What is left of the input; at its end all numbers are 0 and all texts empty. */
struct fuzz_input {
    const uint8_t *at, *end;
    union fuzz_link *texts;
};

static inline struct fuzz_input fuzz_begin(const uint8_t *data, size_t size)
{
    return (struct fuzz_input){.at = data, .end = size ? data + size : data};
}

static inline void fuzz_end(struct fuzz_input *in)
{
    while (in->texts) {
        union fuzz_link *next = in->texts->next;

        free(in->texts);
        in->texts = next;
    }
}

/* 0 … most. */
static inline uint64_t fuzz_number(struct fuzz_input *in, uint64_t most)
{
    uint64_t v = 0;

    for (uint64_t left = most; left && in->at < in->end; left >>= 8)
        v = v << 8 | *in->at++;
    return most == UINT64_MAX ? v : v % (most + 1);
}

/* A copy of exactly its size, so that each byte read beyond it is seen. Lives until fuzz_end. */
static inline struct slice fuzz_copy(struct fuzz_input *in, const void *at, size_t n)
{
    union fuzz_link *link = malloc(sizeof *link + n);

    if (!link)
        bug("no memory for the fuzzer's own input");
    link->next = in->texts;
    in->texts = link;
    if (n)
        memcpy(link + 1, at, n);
    return (struct slice){(const char *)(link + 1), n};
}

/* Up to `most` bytes, their number first. */
static inline struct slice fuzz_text(struct fuzz_input *in, size_t most)
{
    size_t n = (size_t)fuzz_number(in, most), left = (size_t)(in->end - in->at);
    struct slice text = fuzz_copy(in, in->at, n < left ? n : left);

    if (left)
        in->at += n < left ? n : left;
    return text;
}

/* The same, or absent. */
static inline struct slice fuzz_maybe(struct fuzz_input *in, size_t most)
{
    return fuzz_number(in, 1) ? fuzz_text(in, most) : (struct slice){NULL, 0};
}

/* All that is left. */
static inline struct slice fuzz_rest(struct fuzz_input *in)
{
    struct slice text = fuzz_copy(in, in->at, (size_t)(in->end - in->at));

    in->at = in->end;
    return text;
}

#endif
