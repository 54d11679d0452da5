/* Fuzzes what Redis answers: any RESP, read by hiredis, ends in an answer within its limits or in an error; also redis.url.
 *
 * The first byte is the operation, the second chooses between an answer and an error text or URL.
 */
#include <hiredis/read.h>

#include "cells_private.h"
#include "fuzz_input.h"
#include "redis_private.h"

/* The one function of cells.c that the reader of answers needs. */
const char *cells_op_name(enum cells_op op) { return op < CELLS_OPS ? "op" : NULL; }

static void check_answer(void *ctx, struct ticket ticket, enum cells_op op, const struct cells_answer *a)
{
    size_t *calls = ctx;

    ++*calls;
    if (ticket.task != 7 || op >= CELLS_OPS)
        bug("somebody else's answer");
    if (failed(a->error)) {
        if (a->ncells || a->done_found || !a->error.code)
            bug("an error that brings something");
        return;
    }
    if (a->status > CELLS_ANSWERED)
        bug("a status that there is not");
    for (size_t i = 0; i < a->ncells; i++)
        if (a->cells[i].seq < 0 || a->cells[i].seq > SEQ_MAX || !a->cells[i].bytes.at ||
            (i && a->cells[i].seq < a->cells[i - 1].seq))
            bug("cells out of order or out of range");
    if (a->done_found && a->done.redrives < 0)
        bug("a redrive below zero");
}

static void tell(struct slice resp, enum cells_op op)
{
    redisReader *reader = redisReaderCreate();
    size_t calls = 0;
    struct cells c = {.options = {.answered = check_answer, .ctx = &calls}};
    void *reply = NULL;

    if (!reader)
        abort();
    reader->maxelements = 1 << 17; /* as redis_link.c bounds it */
    if (redisReaderFeed(reader, resp.at, resp.len) == REDIS_OK && redisReaderGetReply(reader, &reply) == REDIS_OK && reply) {
        cells_tell(&c, op, (struct ticket){.task = 7}, &(struct redis_answer){.value = reply}, NULL, 0);
        if (calls != 1)
            bug("%zu answers", calls);
        freeReplyObject(reply);
    }
    free(c.found);
    redisReaderFree(reader);
}

static void check_texts(struct slice text)
{
    struct redis_address address;
    struct buf copy = BUF(1 << 16);
    bool outage;

    buf_put_slice(&copy, text);
    if (!failed(redis_url_parse(buf_text(&copy), &address)) &&
        (!address.host[0] || !address.port || address.db < 0 || strlen(address.host) >= sizeof address.host ||
         strlen(address.user) >= sizeof address.user || strlen(address.password) >= sizeof address.password))
        bug("an address out of its limits");
    if (redis_error_of(buf_text(&copy), &outage).class != CLASS_WAIT)
        bug("an error of Redis that is none of ours");
    buf_free(&copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = fuzz_begin(data, size);
    enum cells_op op = (enum cells_op)fuzz_number(&in, CELLS_OPS - 1);
    bool texts = fuzz_number(&in, 1);
    struct slice rest = fuzz_rest(&in);

    if (texts)
        check_texts(rest);
    else
        tell(rest, op);
    fuzz_end(&in);
    return 0;
}
