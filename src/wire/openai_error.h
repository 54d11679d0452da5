/* Errors that come under status 200. */
#ifndef STEPMILL_WIRE_OPENAI_ERROR_H
#define STEPMILL_WIRE_OPENAI_ERROR_H

#include "stepmill/bytes.h"
#include "stepmill/error.h"

/* By the HTTP status that the body's error gives as its code, else again model_answer_error. */
struct error openai_error_in_answer(struct slice body) MUST_CHECK;

#endif
