/* Requests of a made-up agent's spans, encoded once; ids and times are patched in place for each request that is sent. */
#ifndef FUSEBOX_LOAD_PAYLOAD_H
#define FUSEBOX_LOAD_PAYLOAD_H

#include <stddef.h>
#include <stdint.h>

/* Spans of one run of the agent: a root, and steps, tools, models and retrievals below it. */
enum { spans_per_trace = 12 };

/* splitmix64: small, seedable, good enough for ids. */
struct chance {
    uint64_t state;
};

uint64_t chance_next(struct chance *chance);

/* Where a span's ids and times stand in the body. */
struct span_place {
    uint32_t trace_id, span_id, start, end;
    /* 0 for a root. */
    uint32_t parent_id;
    /* The number of the parent in the body. */
    uint32_t parent;
    /* Nanoseconds from the start of the request's runs, and of the span. */
    uint64_t offset_nanoseconds, duration_nanoseconds;
};

/* One ExportTraceServiceRequest. */
struct payload {
    uint8_t *bytes;
    size_t count;
    struct span_place *places;
    size_t span_count;
    /* For the ids of one request while it is patched. */
    uint64_t *span_ids;
};

/* A request of `span_count` spans. Ends the process when memory is short. */
struct payload payload_make(struct chance *chance, size_t span_count);

/* Bytes of the prompt that each model call carries; none by default. To be set before payloads are made. */
extern size_t payload_prompt_bytes;

/* Gives every span fresh ids, and times from `start_unix_nano` on. */
void payload_refresh(struct payload *payload, struct chance *chance, uint64_t start_unix_nano);

/* A gzip member of the payload, at the level that exporters use. Returns its length; `*into` is made with malloc. */
size_t payload_gzip(const struct payload *payload, uint8_t **into);

#endif
