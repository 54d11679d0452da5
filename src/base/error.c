/* Names of the error classes, and the end of the road for impossible states. */
#include "stepmill/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const char *error_class_name(enum error_class class)
{
    static const char *const names[] = {
        [CLASS_NONE] = "none",     [CLASS_AGAIN] = "again",       [CLASS_SLOW_DOWN] = "slow_down", [CLASS_WAIT] = "wait",
        [CLASS_POISON] = "poison", [CLASS_REJECTED] = "rejected", [CLASS_EXHAUSTED] = "exhausted", [CLASS_TIMEOUT] = "timeout",
        [CLASS_LIMIT] = "limit",   [CLASS_LOST] = "lost",         [CLASS_CONFIG] = "config",       [CLASS_INTERNAL] = "internal",
    };

    return (size_t) class < sizeof names / sizeof *names ? names[class] : "unknown";
}

void bug(const char *format, ...)
{
    va_list args;

    fputs("BUG: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    abort();
}
