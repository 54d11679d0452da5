/* What the simulated models and tools say: a pure function of the task, the step and how often it was asked.
 *
 * A model asked again answers differently, in words and in the number of its tool calls: a step that is run twice shows in the
 * history.
 */
#ifndef SIM_MODEL_SCRIPT_H
#define SIM_MODEL_SCRIPT_H

#include "memory.h"

/* What a task is like for its model. */
struct script_task {
    struct slice task_id;
    uint64_t seed;
    int32_t last_seq;   /* from this cell on the model says its last word */
    int32_t tools_most; /* tool calls of one answer, 0–3 */
    bool dear;          /* tools that must not be repeated are among them */
    bool refused;       /* every answer is a 400: the task can't succeed */
    bool failing;       /* every answer is a 500, though other tasks get theirs */
    bool deadly;        /* whoever asks a model for it dies */
};

/* The tools that the simulated agent has; tool_names[SCRIPT_TOOLS] is NULL. */
enum { SCRIPT_LOOK, SCRIPT_PAY, SCRIPT_BOOK, SCRIPT_TOOLS };
extern const char *const script_tool_names[SCRIPT_TOOLS + 1];

/* `asked`: how often the answer of this cell was asked for before. */
struct slice script_answer(struct memory *m, const struct script_task *t, int32_t seq, uint32_t asked);
struct slice script_tool_answer(struct memory *m, struct slice key, uint32_t asked);

#endif
