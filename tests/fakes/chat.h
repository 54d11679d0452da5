/* What a chat.completions request says, read in one pass. */
#ifndef FAKES_CHAT_H
#define FAKES_CHAT_H

#include "scan.h"

/* All spans are raw JSON inside the request body; `model` is the inside of the string. Empty: not there. */
struct chat {
    struct span model;
    struct span messages;    /* the whole array */
    struct span system;      /* content of the first system message */
    struct span user;        /* content of the last user message: the task */
    struct span tool_result; /* content of the last tool message after it */
    struct span tools;       /* the whole array */
    size_t step;             /* 1 + assistant messages after the last user message */
    size_t tool_messages;    /* tool messages after the last user message */
    bool stream;
};

/* False: `*why` says what a real server would have complained about. */
bool chat_read(struct chat *c, struct span body, const char **why);

#endif
