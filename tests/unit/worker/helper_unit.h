/* What every cmocka test of the worker includes, in the order cmocka wants it. */
#ifndef HELPER_UNIT_H
#define HELPER_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#endif
