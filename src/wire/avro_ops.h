/* The plan: a program for a small machine that walks over Avro bytes. Compiled by avro_compile.c, run by avro_run.c. */
#ifndef STEPMILL_AVRO_OPS_H
#define STEPMILL_AVRO_OPS_H

#include "stepmill/avro_plan.h"

enum op_code {
    OP_END, /* no byte may be left */
    OP_SKIP_LONG,
    OP_SKIP_BOOL,
    OP_SKIP_INDEX, /* a: how many symbols there are */
    OP_SKIP_RAW,   /* a: bytes */
    OP_SKIP_BYTES,
    OP_TAKE_STRING, /* at: where the value goes, as in all that take or set */
    OP_TAKE_INT,    /* an int or long into an int32_t, if it fits */
    OP_TAKE_LONG,
    OP_TAKE_BOOL,
    OP_TAKE_SCALED, /* a time: v > 0: times v; v < 0: divided by -v, rounded down */
    OP_TAKE_ENUM,   /* a: symbols, b: their first index in `table`, which holds the reader's value or NO_SYMBOL */
    OP_TAKE_RAW,    /* a: bytes, copied */
    OP_SET_INT,     /* to v */
    OP_SET_LONG,
    OP_SET_BOOL,
    OP_SET_EMPTY, /* a slice that is there, with nothing in it */
    OP_BRANCH,    /* a: branches, b: their first index in `table`, which holds addresses */
    OP_JUMP,      /* a: address */
    OP_LOOP,      /* over an array or map that is skipped; its body ends with OP_NEXT, before `after` */
    OP_LOOP_TAKE, /* the same, taken: at: the pointer, a: its size_t, b: bytes of an element, v: how many at most */
    OP_NEXT,
    OP_CALL, /* a: address of the steps that skip a record */
    OP_RETURN,
    OP_PROBLEM, /* a: enum problem: sound bytes, but not what the reader needs; goes on */
};

enum { NO_SYMBOL = 0xffffffff };

enum problem {
    PROBLEM_NONE,
    PROBLEM_MISSING,
    PROBLEM_NULL,
    PROBLEM_TYPE,
    PROBLEM_UTF8,
    PROBLEM_RANGE,
    PROBLEM_SYMBOL,
    PROBLEM_BRANCH,
    PROBLEM_TOO_MANY,
};

struct op {
    uint8_t code;   /* enum op_code */
    uint16_t field; /* index in `fields`: whom a problem is told about */
    uint32_t at, a, b, after;
    int64_t v;
};

struct avro_plan {
    const struct avro_record *reader;
    struct op *ops;
    uint32_t *table;
    const struct avro_take **fields;
    uint32_t nops, ntable, nfields;
};

#endif
