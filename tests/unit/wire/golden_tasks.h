/* Records written by fastavro 1.13.1: the schemas as its users would write them, and the bytes, as hex. */
#ifndef GOLDEN_TASKS_H
#define GOLDEN_TASKS_H

static const char seven_schema[] = "{\"type\":\"record\",\"name\":\"AgentTaskEvent\",\"fields\":[{\"name\":\"task_id\",\"type\":"
                                   "\"string\"},{\"name\":\"source_agent\",\""
                                   "type\":\"string\"},{\"name\":\"target_agent\",\"type\":\"string\"},{\"name\":\"session_id\","
                                   "\"type\":\"string\"},{\"name\":\"prompt\""
                                   ",\"type\":\"string\"},{\"name\":\"context\",\"type\":{\"type\":\"map\",\"values\":\"string\"}"
                                   "},{\"name\":\"created_at\",\"type\":{\"typ"
                                   "e\":\"long\",\"logicalType\":\"timestamp-millis\"}}],\"namespace\":\"com.myco.agents.v1\"}";
static const char seven_bytes[] =
    "06742d31067765620c73656172636806732d311c46696e6420636166c3a920e29895060262023202610231126d6574612e757365720475"
    "3700f6a1d5edee66";

static const char full_schema[] = "{\"type\":\"record\",\"name\":\"AgentTaskEvent\",\"fields\":[{\"name\":\"task_id\",\"type\":"
                                  "\"string\"},{\"name\":\"source_agent\",\""
                                  "type\":\"string\"},{\"name\":\"target_agent\",\"type\":\"string\"},{\"name\":\"session_id\","
                                  "\"type\":\"string\"},{\"name\":\"prompt\""
                                  ",\"type\":\"string\"},{\"name\":\"context\",\"type\":{\"type\":\"map\",\"values\":\"string\"}}"
                                  ",{\"name\":\"created_at\",\"type\":{\"typ"
                                  "e\":\"long\",\"logicalType\":\"timestamp-millis\"}},{\"name\":\"max_steps\",\"type\":["
                                  "\"null\",\"int\"],\"default\":null},{\"name\""
                                  ":\"token_budget\",\"type\":[\"null\",\"int\"],\"default\":null},{\"name\":\"deadline_at\","
                                  "\"type\":[\"null\",{\"type\":\"long\",\"log"
                                  "icalType\":\"timestamp-millis\"}],\"default\":null},{\"name\":\"parent_task_id\",\"type\":["
                                  "\"null\",\"string\"],\"default\":nul"
                                  "l}],\"namespace\":\"com.myco.agents.v1\"}";
static const char full_bytes[] =
    "06742d31067765620c73656172636806732d311c46696e6420636166c3a920e29895060262023202610231126d6574612e757365720475"
    "3700f6a1d5edee66020a0280200280da8cf1ee660206702d39";

static const char stranger_schema[] = "{\"type\":\"record\",\"name\":\"Job\",\"fields\":[{\"name\":\"zz\",\"type\":{\"type\":"
                                      "\"array\",\"items\":{\"type\":\"record\",\"name\":\"T"
                                      "ree\",\"fields\":[{\"name\":\"v\",\"type\":\"double\"},{\"name\":\"kids\",\"type\":{"
                                      "\"type\":\"array\",\"items\":\"Tree\"}}]}}},{\"name\""
                                      ":\"created_at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}},{"
                                      "\"name\":\"prompt\",\"type\":[\"null\",\"string"
                                      "\"]},{\"name\":\"session_id\",\"type\":\"bytes\"},{\"name\":\"colour\",\"type\":{\"type\":"
                                      "\"enum\",\"name\":\"Colour\",\"symbols\":[\"RE"
                                      "D\",\"GREEN\"]}},{\"name\":\"context\",\"type\":{\"type\":\"map\",\"values\":[\"null\","
                                      "\"string\"]}},{\"name\":\"target_agent\",\"type"
                                      "\":[\"string\",\"null\"]},{\"name\":\"hash\",\"type\":{\"type\":\"fixed\",\"name\":\"H\","
                                      "\"size\":6}},{\"name\":\"source_agent\",\"type\""
                                      ":\"string\"},{\"name\":\"flags\",\"type\":[\"null\",\"boolean\",{\"type\":\"map\","
                                      "\"values\":[\"float\",\"Tree\",\"Colour\"]}]},{\"name"
                                      "\":\"task_id\",\"type\":\"string\"},{\"name\":\"max_steps\",\"type\":\"long\"},{\"name\":"
                                      "\"token_budget\",\"type\":[\"int\",\"null\"]},"
                                      "{\"name\":\"nothing\",\"type\":\"null\"}],\"namespace\":\"org.example.jobs\"}";
static const char stranger_bytes[] =
    "04000000000000f83f02000000000000044000000000000000000c400000808991e288d2a306021c46696e6420636166c3a920e2989506"
    "732d31020602620202320261020231126d6574612e757365720204753700000c736561726368616263646566067765620406026b020000"
    "000000002240000266000000a03f026304000006742d313202";

#endif
