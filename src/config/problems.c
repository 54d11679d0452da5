/* Collecting what is wrong: the first problems of the file, in its order, then those of the environment and the flags. */
#include "problems.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

#include "stepmill/json.h"

/* Lines of the file come first, then what has no line, in the order it was found. */
static bool comes_before(const struct config_problem *a, const struct config_problem *b)
{
    int a_line = a->line ? a->line : INT_MAX, b_line = b->line ? b->line : INT_MAX;

    return a_line != b_line ? a_line < b_line : a->column < b->column;
}

/* An error must not be hidden by warnings: the last of them makes room. */
static bool drop_warning(struct config_report *r)
{
    for (size_t i = r->count; i-- > 0;)
        if (r->problems[i].warning) {
            memmove(&r->problems[i], &r->problems[i + 1], (r->count - i - 1) * sizeof *r->problems);
            r->count--;
            return true;
        }
    return false;
}

static void insert(struct config_report *r, const struct config_problem *p)
{
    size_t at = r->count;

    if (r->count == CONFIG_PROBLEMS_MAX && !p->warning && drop_warning(r))
        at--;
    while (at > 0 && comes_before(p, &r->problems[at - 1]))
        at--;
    if (at == CONFIG_PROBLEMS_MAX ||
        (p->warning && r->count == CONFIG_PROBLEMS_MAX && !r->problems[CONFIG_PROBLEMS_MAX - 1].warning))
        return;
    if (r->count < CONFIG_PROBLEMS_MAX)
        r->count++;
    memmove(&r->problems[at + 1], &r->problems[at], (r->count - at - 1) * sizeof *p);
    r->problems[at] = *p;
}

static void keep(struct config_report *r, struct config_problem *p)
{
    *(p->warning ? &r->warnings : &r->errors) += 1;
    for (char *c = p->text; *c; c++) /* what was cited may hold line ends, or bytes a terminal obeys */
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    if (strlen(p->text) == sizeof p->text - 1) /* cut off, perhaps within a character */
        p->text[utf8_cut(slice_of(p->text), sizeof p->text - 4).len] = '\0';
    insert(r, p);
}

static void add(struct config_report *r, bool warning, const struct place *place, const char *format, va_list args)
{
    struct config_problem p = {.warning = warning};
    int n = 0;

    if (place && place->source == PLACE_FILE) {
        p.line = place->line;
        p.column = place->column;
        n = snprintf(p.text, sizeof p.text, "%.*s:%d:%d: ", 200, place->name, place->line, place->column);
    } else if (place && place->name) {
        n = snprintf(p.text, sizeof p.text, "%.*s: ", 200, place->name);
    }
    if (warning && n >= 0)
        n += snprintf(p.text + n, sizeof p.text - (size_t)n, "warning: ");
    if (n >= 0)
        vsnprintf(p.text + n, sizeof p.text - (size_t)n, format, args);
    keep(r, &p);
}

void config_report_add(struct config_report *r, bool warning, const char *format, ...)
{
    struct config_problem p = {.warning = warning};
    va_list args;

    va_start(args, format);
    vsnprintf(p.text, sizeof p.text, format, args);
    va_end(args);
    keep(r, &p);
}

void problem_error(struct config_report *r, const struct place *place, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add(r, false, place, format, args);
    va_end(args);
}

void problem_warning(struct config_report *r, const struct place *place, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add(r, true, place, format, args);
    va_end(args);
}
